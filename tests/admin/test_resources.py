"""Resource servers."""

from typing import Any

import pytest

from tests.admin.conftest import Admin, Provision

ERP = {"audience": "https://erp.example", "scopes": ["a", "b"]}


def test_a_resource_server_has_an_id_and_is_read_by_it(acme: Admin, rival: Admin, provision: Provision) -> None:
    bot = provision("acme", "service_account")
    made = acme.post("/resources", {**ERP, "principal_id": bot})
    assert acme.get(f"/resources/{made['id']}") == made == acme.get("/resources")["items"][0]
    assert (made["audience"], made["principal_id"]) == (ERP["audience"], bot)
    rival.get(f"/resources/{made['id']}", 404)
    assert acme.events(type="resource.registered")[0]["subject_id"] == bot


def test_who_runs_a_resource_server_is_part_of_what_is_said(acme: Admin, provision: Provision) -> None:
    asked = {**ERP, "principal_id": provision("acme", "agent")}
    assert acme.post("/resources", asked) == acme.post("/resources", asked)
    for other in (ERP, {**ERP, "principal_id": provision("acme", "agent")}):
        assert acme.post("/resources", other, 409)["code"] == "resource_taken"


def test_a_resource_server_is_run_by_an_active_agent_or_service_account_of_its_tenant(
    acme: Admin, rival: Admin, provision: Provision
) -> None:
    rows = [(acme, "user"), (acme, "group"), (rival, "agent")]
    for tenant, kind in rows:
        problem = acme.post("/resources", {**ERP, "principal_id": provision(str(tenant.tenant), kind)}, 400)
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("unknown_principal", "/principal_id")
    bot = provision("acme", "agent")
    acme.post(f"/principals/{bot}/suspend", {}, 200)
    assert acme.post("/resources", {**ERP, "principal_id": bot}, 409)["code"] == "principal_not_active"
    assert acme.get("/resources")["items"] == []


def test_a_resource_server_is_registered_once_and_saying_it_again_changes_nothing(acme: Admin, rival: Admin) -> None:
    erp = {"audience": "https://erp.example", "scopes": ["a", "b"]}
    for _ in range(2):
        assert acme.post("/resources", erp)["scopes"] == ["a", "b"]
    assert acme.post("/resources", {**erp, "scopes": ["a"]}, 409)["code"] == "resource_taken"
    assert [event["detail"]["audience"] for event in acme.events(type="resource.registered")] == [erp["audience"]]
    assert rival.get("/resources")["items"] == []


def test_a_type_of_authorization_details_stands_alone_or_restricts_scopes(acme: Admin, rival: Admin) -> None:
    types = ["order", {"type": "invoice", "scopes": ["b", "a"]}, "payment"]
    erp = {"audience": "https://erp.example", "scopes": ["a", "b"], "authorization_details_types": types}
    for _ in range(2):
        assert acme.post("/resources", erp)["authorization_details_types"] == types
    assert acme.get("/resources")["items"][0]["authorization_details_types"] == types
    for other in (["order", "invoice", "payment"], [*types[:1], {"type": "invoice", "scopes": ["a"]}, *types[2:]]):
        refused = acme.post("/resources", {**erp, "authorization_details_types": other}, 409)
        assert refused["code"] == "resource_taken"
    rivals = rival.post("/resources", {**erp, "authorization_details_types": ["invoice"]})
    assert rivals["authorization_details_types"] == ["invoice"]


@pytest.mark.parametrize(
    ("types", "pointer"),
    [
        ([{"type": "invoice", "scopes": []}], "/authorization_details_types/0/scopes"),  # a string says that
        ([{"type": "invoice"}], "/authorization_details_types/0/scopes"),
        ([{"scopes": ["a"]}], "/authorization_details_types/0/type"),
        ([{"type": "", "scopes": ["a"]}], "/authorization_details_types/0/type"),
        ([{"type": "invoice", "scopes": "a"}], "/authorization_details_types/0/scopes"),
        (["order", {"type": "invoice", "scopes": ["a", 1]}], "/authorization_details_types/1/scopes/1"),
        ([{"type": "invoice", "scopes": ["a"], "more": 1}], "/authorization_details_types/0/more"),
        ([["invoice", "a"]], "/authorization_details_types/0"),
        ([None], "/authorization_details_types/0"),
        ({"invoice": ["a"]}, "/authorization_details_types"),
        ([{"type": "invoice", "scopes": ["c"]}], "/authorization_details_types"),  # no scope of the resource
        ([{"type": "invoice", "scopes": ["a", "a"]}], "/authorization_details_types"),
        (["invoice", {"type": "invoice", "scopes": ["a"]}], "/authorization_details_types"),
        ([{"type": "in\nvoice", "scopes": ["a"]}], "/authorization_details_types"),
    ],
)
def test_a_type_with_one_fault_is_pointed_at_and_registers_nothing(acme: Admin, types: Any, pointer: str) -> None:
    erp = {"audience": "https://erp.example", "scopes": ["a", "b"], "authorization_details_types": types}
    assert [fault["pointer"] for fault in acme.post("/resources", erp, 400)["errors"]] == [pointer]
    assert acme.get("/resources")["items"] == []


@pytest.mark.parametrize(
    "fault",
    [
        {"audience": "erp"},
        {"audience": "https://erp.example/#x"},
        {"audience": ""},
        {"scopes": ["a", "a"]},
        {"scopes": ["a b"]},
        {"scopes": "a"},
        {"authorization_details_types": ["x", "x"]},
        {"scopes": [f"s{number}" for number in range(51)]},
    ],
)
def test_a_resource_server_with_one_fault_is_refused(acme: Admin, fault: dict[str, Any]) -> None:
    acme.post("/resources", {"audience": "https://erp.example", "scopes": ["a"], **fault}, 400)


TYPES = ["note", {"type": "invoice", "scopes": ["b"]}]
TYPED = ERP | {"authorization_details_types": TYPES}


@pytest.mark.parametrize(
    ("changed", "is_narrowed"),
    [
        ({"scopes": ["a"]}, True),
        ({"scopes": ["a", "b", "c"]}, False),
        ({"scopes": ["b", "a"]}, False),
        ({"authorization_details_types": [TYPES[1]]}, True),
        ({"authorization_details_types": [*TYPES, "memo"]}, False),
        ({"authorization_details_types": [*TYPES, {"type": "order", "scopes": ["a"]}]}, True),
        (
            {"scopes": ["a", "b", "c"], "authorization_details_types": [*TYPES, {"type": "order", "scopes": ["c"]}]},
            False,
        ),
    ],
)
def test_a_resource_server_is_changed_by_its_id(
    acme: Admin, rival: Admin, changed: dict[str, Any], is_narrowed: bool
) -> None:
    made = acme.post("/resources", TYPED)
    rival.patch(f"/resources/{made['id']}", changed, 404)
    after = acme.patch(f"/resources/{made['id']}", changed)
    assert after == {**made, **changed, "version": 2} == acme.get(f"/resources?audience={made['audience']}")["items"][0]
    assert acme.patch(f"/resources/{made['id']}", changed) == after
    [event] = acme.events(type="resource.changed")
    assert (event["detail"]["changed"], event["detail"]["is_narrowed"]) == (sorted(changed), is_narrowed)


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"authorization_details_types": ["note", "invoice"]}, 409, "details_type_taken"),
        ({"authorization_details_types": [{"type": "note", "scopes": ["a"]}]}, 409, "details_type_taken"),
        ({"authorization_details_types": [{"type": "invoice", "scopes": ["a", "b"]}]}, 409, "details_type_taken"),
        ({"authorization_details_types": [{"type": "order", "scopes": ["c"]}]}, 400, "invalid_value"),
        ({"authorization_details_types": ["note", "note"]}, 400, "invalid_value"),
        ({"scopes": ["a", "a"]}, 400, "invalid_value"),
        ({"audience": "https://other.example"}, 400, "invalid_value"),
        ({"principal_id": "01890000-0000-7000-8000-000000000000"}, 400, "unknown_principal"),
    ],
)
def test_a_change_with_one_fault_changes_nothing(acme: Admin, changed: dict[str, Any], status: int, code: str) -> None:
    made = acme.post("/resources", TYPED)
    assert acme.patch(f"/resources/{made['id']}", changed, status)["code"] == code
    assert acme.get(f"/resources/{made['id']}") == made


def test_what_a_type_restricted_it_restricts_when_it_comes_back(acme: Admin) -> None:
    """What was granted with entries of it would else mean another thing."""
    made = acme.post("/resources", TYPED)
    path = f"/resources/{made['id']}"
    acme.patch(path, {"authorization_details_types": []})
    for other in (["invoice"], [{"type": "invoice", "scopes": ["a"]}], [{"type": "note", "scopes": ["a"]}]):
        assert acme.patch(path, {"authorization_details_types": other}, 409)["code"] == "details_type_taken"
    acme.patch(path, {"scopes": ["a"]})
    assert acme.patch(path, {"authorization_details_types": TYPES})["authorization_details_types"] == TYPES
    assert acme.patch(path, {"principal_id": None}, **{"If-Match": '"4"'})["version"] == 4
    assert acme.patch(path, {"scopes": ["b"]}, 412, **{"If-Match": '"3"'})["code"] == "precondition_failed"


def test_another_principal_runs_a_resource_server_and_the_first_ones_client_of_it_ends(
    acme: Admin, provision: Provision
) -> None:
    first, second = provision("acme", "agent"), provision("acme", "agent")
    made = acme.post("/resources", ERP | {"principal_id": first})
    both = acme.post("/clients", {"principal_id": first, "audience": ERP["audience"]})["client_id"]
    other = [
        acme.post("/clients", party)["client_id"] for party in ({"principal_id": first}, {"audience": ERP["audience"]})
    ]
    acme.patch(f"/resources/{made['id']}", {"principal_id": second})
    ended = {client["client_id"] for client in acme.get("/clients")["items"] if client["revoked_at"]}
    assert (ended, acme.get(f"/resources/{made['id']}")["principal_id"]) == ({both}, second)
    refused = acme.post("/clients", {"principal_id": first, "audience": ERP["audience"]}, 400)
    assert refused["code"] == "not_run_by_principal"
    acme.post("/clients", {"principal_id": second, "audience": ERP["audience"]})
    assert all(acme.get(f"/clients/{id_}")["revoked_at"] is None for id_ in other)
    acme.patch(f"/resources/{made['id']}", {"principal_id": None})
    assert len([client for client in acme.get("/clients")["items"] if client["revoked_at"]]) == 2


def test_a_deleted_resource_server_takes_with_it_what_rests_on_it_and_comes_back_without(
    acme: Admin, rival: Admin, provision: Provision
) -> None:
    crm = acme.post("/resources", {"audience": "https://crm.example", "scopes": ["look"]})
    made = acme.post("/resources", ERP)
    pairs = [{"from": ERP["audience"], "to": crm["audience"], "scopes": {"a": ["look"]}},
             {"from": crm["audience"], "to": ERP["audience"], "scopes": {"look": ["a"]}}]  # fmt: skip
    for pair in pairs:
        acme.post("/resource-pairs", pair)
    client = acme.post("/clients", {"audience": ERP["audience"]})["client_id"]
    bot, sam = provision("acme", "agent"), provision("acme", "user")
    grant = {"actor_id": bot, "subject_id": sam, "resource": ERP["audience"], "scopes": ["a"]}
    delegation = acme.post("/delegations", grant)["id"]
    rival.delete(f"/resources/{made['id']}", 404)
    acme.delete(f"/resources/{made['id']}")
    for again in (False, True):
        if again:
            new = acme.post("/resources", ERP | {"scopes": ["a", "c"]})
            assert (new["id"] != made["id"], new["scopes"], new["version"]) == (True, ["a", "c"], 1)
        acme.get(f"/resources/{made['id']}", 404)
        acme.delete(f"/resources/{made['id']}", 404)
        assert acme.get("/resource-pairs")["items"] == []
        assert acme.get(f"/clients/{client}")["revoked_at"] is not None
        assert acme.post(f"/clients/{client}/secret", {}, 409)["code"] == "client_revoked"
        ended = acme.get(f"/delegations/{delegation}")
        assert (ended["ended_reason"], ended["ended_at"] is not None) == ("resource_deleted", True)
        assert acme.patch(f"/delegations/{delegation}", {"max_depth": 2}, 409)["code"] == "delegation_ended"
    acme.delete(f"/delegations/{delegation}")
    acme.post("/delegations", grant)
    acme.post("/clients", {"audience": ERP["audience"]})
    acme.post("/resource-pairs", pairs[0])
    assert len(acme.events(type="resource.deleted")) == 1
