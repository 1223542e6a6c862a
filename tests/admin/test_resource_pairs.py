"""Pairs of resource servers."""

from typing import Any

import pytest

from identity.model.resource_pair import PAIRS_MAX
from tests.admin.conftest import Admin

NOBODY = "01890000-0000-7000-8000-000000000000"
ERP = {"audience": "https://erp.example", "scopes": ["read", "pay"],
       "authorization_details_types": ["note", {"type": "invoice", "scopes": ["pay"]}]}  # fmt: skip
CRM = {"audience": "https://crm.example", "scopes": ["look"], "authorization_details_types": ["memo"]}
PAIR: dict[str, Any] = {
    "from": ERP["audience"],
    "to": CRM["audience"],
    "scopes": {"read": ["look"]},
    "authorization_details_types": {"note": "memo"},
}


@pytest.fixture
def both(acme: Admin) -> list[str]:
    """The ids of two resource servers."""
    return [acme.post("/resources", server)["id"] for server in (ERP, CRM)]


@pytest.mark.usefixtures("both")
def test_a_pair_is_read_and_deleted_by_its_id(acme: Admin, rival: Admin) -> None:
    made = acme.post("/resource-pairs", PAIR)
    assert {name: made[name] for name in PAIR} == PAIR
    assert acme.get(f"/resource-pairs/{made['id']}") == made == acme.get("/resource-pairs")["items"][0]
    rival.get(f"/resource-pairs/{made['id']}", 404)
    rival.delete(f"/resource-pairs/{made['id']}", 404)
    assert rival.get("/resource-pairs")["items"] == []
    acme.delete(f"/resource-pairs/{made['id']}")
    acme.delete(f"/resource-pairs/{made['id']}", 404)
    told = [
        event["detail"] for type_ in ("registered", "deleted") for event in acme.events(type=f"resource_pair.{type_}")
    ]
    assert told == [{"pair_id": made["id"], **PAIR}] * 2


def test_two_resource_servers_are_named_by_audience_or_by_id_and_are_one_pair(acme: Admin, both: list[str]) -> None:
    made = acme.post("/resource-pairs", PAIR)
    assert acme.post("/resource-pairs", PAIR | {"from": both[0], "to": both[1]}) == made
    assert acme.post("/resource-pairs", PAIR | {"scopes": {"pay": ["look"]}}, 409)["code"] == "pair_taken"
    back = {"from": CRM["audience"], "to": ERP["audience"], "scopes": {"look": ["read"]}}
    assert acme.post("/resource-pairs", back)["id"] != made["id"]
    assert len(acme.events(type="resource_pair.registered")) == 2


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"from": "https://nobody.example"}, "/from"),
        ({"from": NOBODY}, "/from"),
        ({"from": None}, "/from"),
        ({"to": "https://nobody.example"}, "/to"),
        ({"to": ERP["audience"]}, "/to"),
        ({"source": ERP["audience"]}, "/source"),
        ({"scopes": {"void": ["look"]}}, "/scopes"),
        ({"scopes": {"read": ["void"]}}, "/scopes"),
        ({"scopes": {"read": "look"}}, "/scopes/read"),
        ({"scopes": {"read": []}}, "/scopes/read"),
        ({"scopes": ["read"]}, "/scopes"),
        ({"scopes": {f"s{number}": ["look"] for number in range(51)}}, "/scopes"),
        ({"authorization_details_types": {"note": "void"}}, "/authorization_details_types"),
        ({"authorization_details_types": {"invoice": "memo"}}, "/authorization_details_types"),
        ({"authorization_details_types": {"note": ["memo"]}}, "/authorization_details_types/note"),
        ({"scopes": {}, "authorization_details_types": {}}, "/scopes"),
    ],
)
def test_a_pair_with_one_fault_is_refused_for_it(acme: Admin, changed: dict[str, Any], pointer: str) -> None:
    problem = acme.post("/resource-pairs", PAIR | changed, 400)
    assert problem["errors"][0]["pointer"] == pointer
    assert acme.get("/resource-pairs")["items"] == []


def test_a_pair_is_of_two_resource_servers_of_its_tenant(acme: Admin, rival: Admin, both: list[str]) -> None:
    rival.post("/resources", ERP)
    theirs = [rival.post("/resource-pairs", PAIR | {"to": crm}, 400) for crm in (CRM["audience"], both[1])]
    assert {problem["code"] for problem in theirs} == {"unknown_resource"}


@pytest.mark.promise(8)
def test_a_resource_server_is_in_so_many_pairs_in_each_direction(acme: Admin) -> None:
    for number in range(PAIRS_MAX + 1):
        acme.post("/resources", {"audience": f"https://{number}.example", "scopes": ["a"]})

    def pair(source: int, target: int) -> dict[str, Any]:
        return {"from": f"https://{source}.example", "to": f"https://{target}.example", "scopes": {"a": ["a"]}}

    for number in range(1, PAIRS_MAX):
        acme.post("/resource-pairs", pair(0, number))
    last = acme.post("/resource-pairs", pair(0, PAIRS_MAX))
    acme.post("/resources", {"audience": "https://more.example", "scopes": ["a"]})
    more = {"from": "https://0.example", "to": "https://more.example", "scopes": {"a": ["a"]}}
    assert acme.post("/resource-pairs", more, 409)["code"] == "too_many_pairs"
    acme.post("/resource-pairs", pair(1, 0))
    acme.delete(f"/resource-pairs/{last['id']}")
    acme.post("/resource-pairs", more)


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("changed", "is_narrowed"),
    [
        ({"scopes": {"pay": ["look"]}}, True),
        ({"scopes": {"read": ["look"], "pay": ["look"]}}, False),
        ({"authorization_details_types": {}}, True),
        ({"scopes": {}}, True),
    ],
)
def test_a_pair_is_changed_by_its_id(acme: Admin, rival: Admin, changed: dict[str, Any], is_narrowed: bool) -> None:
    made = acme.post("/resource-pairs", PAIR)
    path = f"/resource-pairs/{made['id']}"
    rival.patch(path, changed, 404)
    after = acme.patch(path, changed)
    assert after == {**made, **changed, "version": 2} == acme.get(path)
    assert acme.patch(path, changed, **{"If-Match": '"2"'}) == after
    assert acme.patch(path, {}, 412, **{"If-Match": '"1"'})["code"] == "precondition_failed"
    [event] = acme.events(type="resource_pair.changed")
    assert event["detail"]["is_narrowed"] is is_narrowed


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"scopes": {"void": ["look"]}}, "/scopes"),
        ({"scopes": {}, "authorization_details_types": {}}, "/scopes"),
        ({"authorization_details_types": {"invoice": "memo"}}, "/authorization_details_types"),
        ({"to": ERP["audience"]}, "/to"),
    ],
)
def test_a_change_of_a_pair_with_one_fault_changes_nothing(acme: Admin, changed: dict[str, Any], pointer: str) -> None:
    made = acme.post("/resource-pairs", PAIR)
    assert acme.patch(f"/resource-pairs/{made['id']}", changed, 400)["errors"][0]["pointer"] == pointer
    assert acme.get(f"/resource-pairs/{made['id']}") == made
