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
    assert [event["detail"] for event in acme.events(type="resource.registered")] == [{"audience": erp["audience"]}]
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
