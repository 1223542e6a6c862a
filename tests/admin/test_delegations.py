"""Delegations and tasks."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from identity.actions.tenants import resolve_tenant
from identity.edge.runtime import Runtime
from identity.model.ids import PLATFORM
from identity.store.tables import tasks
from identity.store.transaction import transaction
from tests.admin.conftest import Admin, Clock, Provision

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def bot(acme: Admin, provision: Provision) -> str:
    return provision("acme", "agent", "bot")


@pytest.fixture
def sam(acme: Admin, provision: Provision) -> str:
    return provision("acme", "user", "sam")


@pytest.fixture
def grant(bot: str, sam: str, resource: str) -> dict[str, Any]:
    return {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}


def test_an_agent_may_act_for_a_person_within_what_the_resource_server_knows(
    acme: Admin, rival: Admin, grant: dict[str, Any]
) -> None:
    details = [{"type": "invoice", "actions": ["read"], "constraints": {"max": 100}}]
    made = acme.post("/delegations", {**grant, "authorization_details": details, "max_lifetime_s": 60, "max_depth": 2})
    assert acme.get(f"/delegations/{made['id']}") == made
    assert (made["max_lifetime_s"], made["max_depth"], made["authorization_details"]) == (60, 2, details)
    rival.get(f"/delegations/{made['id']}", 404)
    [event] = acme.events(type="delegation.granted")
    assert (event["subject_id"], event["actor_ids"]) == (grant["subject_id"], [grant["actor_id"]])


def test_an_agent_may_act_for_the_members_of_a_group(acme: Admin, provision: Provision, grant: dict[str, Any]) -> None:
    finance = provision("acme", "group", "Finance")
    made = acme.post("/delegations", {**grant, "subject_id": None, "subject_group_id": finance})
    assert (made["subject_id"], made["subject_group_id"]) == (None, finance)
    assert [one["id"] for one in acme.get(f"/delegations?subject={finance}")["items"]] == [made["id"]]


@pytest.mark.parametrize(
    ("scopes", "types", "reason"),
    [
        (["pay"], ["invoice"], None),
        (["pay", "read"], ["invoice", "order"], None),
        (["pay"], [], None),
        ([], ["invoice"], None),
        ([], ["order"], None),
        (["read"], ["order"], None),
        (["pay"], ["order"], "scope_without_authorization_details"),
        (["pay", "read"], ["order"], "scope_without_authorization_details"),
        (["pay"], ["payment"], "unknown_authorization_details_type"),
    ],
)
def test_a_delegation_gives_no_scope_that_its_details_would_never_open(
    acme: Admin, grant: dict[str, Any], scopes: list[str], types: list[str], reason: str | None
) -> None:
    known = ["order", {"type": "invoice", "scopes": ["pay"]}]
    crm = {"audience": "https://crm.example", "scopes": ["read", "pay"], "authorization_details_types": known}
    acme.post("/resources", crm)
    details = [{"type": type_} for type_ in types]
    asked = {**grant, "resource": crm["audience"], "scopes": scopes, "authorization_details": details}
    made = acme.post("/delegations", asked, 400 if reason else 201)
    assert made.get("code") == reason


def test_no_authorization_details_and_an_empty_list_of_them_are_the_same(acme: Admin, grant: dict[str, Any]) -> None:
    assert acme.post("/delegations", {**grant, "authorization_details": []})["authorization_details"] == []
    assert acme.post("/delegations", grant, 409)["code"] == "already_delegated"


def test_the_same_delegation_is_granted_once(acme: Admin, provision: Provision, grant: dict[str, Any]) -> None:
    """Whoever ends it has ended it, and no twin of it goes on."""
    made = acme.post("/delegations", {**grant, "scopes": ["invoices.read", "invoices.pay"]})
    again = acme.post("/delegations", {**grant, "scopes": ["invoices.pay", "invoices.read"]}, 409)
    assert (again["code"], made["id"] in again["detail"], made["granted_by"]) == (
        "already_delegated",
        True,
        "administrator",
    )
    for other in ({}, {"max_depth": 2}, {"max_lifetime_s": 60}, {"subject_id": provision("acme", "user")}):
        acme.post("/delegations", {**grant, **other})
    acme.delete(f"/delegations/{made['id']}")
    acme.post("/delegations", {**grant, "scopes": ["invoices.read", "invoices.pay"]})
    assert len(acme.events(type="delegation.granted")) == 6


def test_one_that_has_expired_may_be_granted_anew(acme: Admin, clock: Clock, grant: dict[str, Any]) -> None:
    soon = {**grant, "expires_at": (clock.now + timedelta(seconds=5)).isoformat()}
    acme.post("/delegations", soon)
    assert acme.post("/delegations", soon, 409)["code"] == "already_delegated"
    clock.advance(seconds=6)
    assert acme.post("/delegations", soon, 400)["errors"][0]["pointer"] == "/expires_at"
    acme.post("/delegations", grant)


DETAILS = [{"type": "invoice", "actions": ["read", "pay"], "constraints": {"max_amount": 500}}]
LESS = [{"type": "invoice", "actions": ["read"], "constraints": {"max_amount": 100}}]


@pytest.mark.parametrize(
    ("changed", "is_narrowed"),
    [
        ({"scopes": ["invoices.read"]}, True),
        ({"scopes": ["invoices.pay", "invoices.read"]}, False),
        ({"authorization_details": LESS}, True),
        ({"authorization_details": []}, True),  # the type stands alone: what it permitted is gone
        ({"authorization_details": [*DETAILS, *LESS]}, False),
        ({"max_lifetime_s": 59}, True),
        ({"max_lifetime_s": 61}, False),
        ({"max_depth": 1}, True),
        ({"max_depth": 3}, False),
        ({"expires_at": "2998-01-01T00:00:00Z"}, True),
        ({"expires_at": "3000-01-01T00:00:00Z"}, False),
        ({"expires_at": None}, False),
    ],
)
def test_a_delegation_is_changed_by_its_id(
    acme: Admin, rival: Admin, grant: dict[str, Any], changed: dict[str, Any], is_narrowed: bool
) -> None:
    limits = {"max_lifetime_s": 60, "max_depth": 2, "expires_at": "2999-01-01T00:00:00Z"}
    scopes = {"scopes": ["invoices.read", "invoices.pay"], "authorization_details": DETAILS}
    made = acme.post("/delegations", {**grant, **scopes, **limits})
    rival.patch(f"/delegations/{made['id']}", changed, 404)
    after = acme.patch(f"/delegations/{made['id']}", changed)
    assert after == {**made, **changed, "version": 2} == acme.get(f"/delegations/{made['id']}")
    assert acme.patch(f"/delegations/{made['id']}", {**changed, "max_depth": after["max_depth"]}) == after
    [event] = acme.events(type="delegation.changed")
    assert (event["detail"]["changed"], event["detail"]["is_narrowed"]) == ([*changed], is_narrowed)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"scopes": ["invoices.delete"]}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"authorization_details": [{"type": "payment"}]}, "/authorization_details"),
        ({"authorization_details": [{"type": "invoice", "actions": []}]}, "authorization_details"),
        ({"max_lifetime_s": 301}, "/max_lifetime_s"),
        ({"max_depth": 0}, "/max_depth"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"actor_id": NOBODY}, "/actor_id"),
        ({"resource": "https://other.example"}, "/resource"),
    ],
)
def test_a_change_with_one_fault_changes_nothing(
    acme: Admin, grant: dict[str, Any], changed: dict[str, Any], pointer: str
) -> None:
    made = acme.post("/delegations", grant)
    assert acme.patch(f"/delegations/{made['id']}", changed, 400)["errors"][0]["pointer"] == pointer
    assert acme.get(f"/delegations/{made['id']}") == made


def test_an_older_version_and_an_ended_delegation_are_not_changed(acme: Admin, grant: dict[str, Any]) -> None:
    path = f"/delegations/{acme.post('/delegations', grant)['id']}"
    acme.patch(path, {"max_depth": 2}, **{"If-Match": '"1"'})
    assert acme.patch(path, {"max_depth": 3}, 412, **{"If-Match": '"1"'})["code"] == "precondition_failed"
    acme.delete(path)
    assert acme.patch(path, {"max_depth": 3}, 409)["code"] == "delegation_ended"


def test_what_is_not_said_is_the_least(acme: Admin, grant: dict[str, Any]) -> None:
    made = acme.post("/delegations", grant)
    assert (made["max_lifetime_s"], made["max_depth"], made["authorization_details"]) == (120, 1, [])


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"actor_id": NOBODY}, "/actor_id"),
        ({"actor_id": None}, "/actor_id"),
        ({"subject_id": NOBODY}, "/subject_id"),
        ({"subject_id": None}, "/subject_id"),
        ({"subject_group_id": NOBODY}, "/subject_id"),  # both
        ({"resource": "https://other.example"}, "/resource"),
        ({"scopes": ["invoices.delete"]}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["invoices.read"] * 2}, "scope"),
        ({"authorization_details": [{"type": "payment"}]}, "/authorization_details"),
        ({"authorization_details": [{"no": "type"}]}, "authorization_details"),
        ({"authorization_details": [{"type": "invoice", "actions": []}]}, "authorization_details"),
        ({"authorization_details": None}, "/authorization_details"),
        ({"authorization_details": {"type": "invoice"}}, "/authorization_details"),
        ({"max_lifetime_s": 301}, "/max_lifetime_s"),
        ({"max_lifetime_s": 0}, "/max_lifetime_s"),
        ({"max_lifetime_s": True}, "/max_lifetime_s"),
        ({"max_lifetime_s": "60"}, "/max_lifetime_s"),
        ({"max_depth": 5}, "/max_depth"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2040-01-01T00:00:00"}, "/expires_at"),  # of no time zone
        ({"expires_at": "tomorrow"}, "/expires_at"),
        ({"priority": 1}, "/priority"),
    ],
)
def test_a_delegation_with_one_fault_is_refused_for_it(
    acme: Admin, grant: dict[str, Any], changed: dict[str, Any], pointer: str
) -> None:
    problem = acme.post("/delegations", {**grant, **changed}, 400)
    assert problem["errors"][0]["pointer"] == pointer
    assert acme.get("/delegations")["items"] == []


def test_who_acts_is_an_agent_and_for_whom_is_a_person_or_a_group(
    acme: Admin, rival: Admin, provision: Provision, grant: dict[str, Any]
) -> None:
    theirs = provision("rival", "user")
    rows = [
        ({"actor_id": grant["subject_id"]}, "/actor_id"),
        ({"subject_id": grant["actor_id"]}, "/subject_id"),
        ({"subject_id": theirs}, "/subject_id"),
        ({"subject_id": None, "subject_group_id": grant["subject_id"]}, "/subject_group_id"),
    ]
    for changed, pointer in rows:
        problem = acme.post("/delegations", {**grant, **changed}, 400)
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("unknown_principal", pointer)


@pytest.mark.parametrize("party", ["actor_id", "subject_id"])
def test_nothing_is_delegated_to_or_for_who_is_not_active(acme: Admin, grant: dict[str, Any], party: str) -> None:
    acme.post(f"/principals/{grant[party]}/suspend", {}, 200)
    assert acme.post("/delegations", grant, 409)["code"] == "principal_not_active"


def test_ending_it_twice_is_ending_it_once(acme: Admin, rival: Admin, grant: dict[str, Any]) -> None:
    delegation = acme.post("/delegations", grant)["id"]
    rival.delete(f"/delegations/{delegation}", 404)
    for _ in range(2):
        acme.delete(f"/delegations/{delegation}")
    ended = acme.get(f"/delegations/{delegation}")
    assert (ended["ended_reason"], ended["ended_at"] is not None) == ("ended_by_administrator", True)
    assert len(acme.events(type="delegation.ended")) == 1


def open_task(runtime: Runtime, clock: Clock, delegation: dict[str, Any], *, tenant: str = "acme") -> str:
    txn = uuid4()
    with transaction(runtime.engine, PLATFORM) as tx:
        tenant_id = resolve_tenant(tx, tenant).id
    with transaction(runtime.engine, tenant_id) as tx:
        tx.execute(
            tasks.insert().values(
                tenant_id=tenant_id,
                txn=txn,
                subject_id=UUID(delegation["subject_id"]),
                actor_id=UUID(delegation["actor_id"]),
                delegation_id=UUID(delegation["id"]),
                audience=delegation["resource"],
                scopes=delegation["scopes"],
                state="open",
                created_at=clock.now,
                expires_at=clock.now + timedelta(hours=1),
            )
        )
    return str(txn)


def test_a_cancelled_task_is_cut_off_and_cancelling_it_twice_is_cancelling_it_once(
    acme: Admin, rival: Admin, runtime: Runtime, clock: Clock, grant: dict[str, Any]
) -> None:
    txn = open_task(runtime, clock, acme.post("/delegations", grant))
    assert [task["txn"] for task in acme.get("/tasks")["items"]] == [txn]
    rival.post(f"/tasks/{txn}/cancel", {}, 404)
    for _ in range(2):
        assert acme.post(f"/tasks/{txn}/cancel", {"reason": "odd"}, 200)["state"] == "cancelled"
    assert acme.get(f"/tasks/{txn}")["ended_at"] is not None
    [cut] = acme.get("/cutoffs")["items"]
    assert (cut["kind"], cut["key"], cut["reason"]) == ("task", txn, "odd")
    [event] = acme.events(txn=txn)
    assert (event["type"], event["subject_id"], event["txn"]) == ("task.cancelled", grant["subject_id"], txn)
    assert rival.get("/tasks")["items"] == []


def test_tasks_are_found_by_either_party(
    acme: Admin, runtime: Runtime, clock: Clock, provision: Provision, grant: dict[str, Any]
) -> None:
    txn = open_task(runtime, clock, acme.post("/delegations", grant))
    for party in (grant["actor_id"], grant["subject_id"]):
        assert [task["txn"] for task in acme.get(f"/tasks?principal={party}")["items"]] == [txn]
    assert acme.get(f"/tasks?principal={provision('acme', 'user')}")["items"] == []


@pytest.mark.parametrize("path", ["", "/t/acme", "/t/rival", "/t/acme/scim/v2"])
def test_an_issuer_of_ours_cannot_be_registered_as_a_resource_server(acme: Admin, runtime: Runtime, path: str) -> None:
    body = {"audience": f"{runtime.external_url}{path}", "scopes": ["invoices.read"]}
    assert acme.post("/resources", body, 400)["code"] == "own_issuer"
    assert runtime.external_url not in str(acme.get("/resources"))
