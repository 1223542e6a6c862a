"""Whom an administrator protects, no connection changes: accounts for the emergency outlive a mistaken source."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from identity.actions.events import list_events
from identity.actions.lifecycle import Changed
from identity.actions.principals import protect, reactivate, suspend, unprotect
from identity.actions.reconciliation import BEGINNING, reconcile_principal
from identity.edge.runtime import Runtime
from identity.model.access import Caller, CallerKind
from identity.model.principal import Principal
from identity.store.transaction import transaction
from tests.scim.sources import ADMINISTRATOR, AGENT, ENTERPRISE, GROUP, PATCH, USER, Source

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
WORKER = Caller(CallerKind.WORKER, "cascade", "request-of-worker")
Transition = Callable[..., Principal | Changed]
Administrate = Callable[[Source, Transition, str], Principal]


@pytest.fixture
def administrate(runtime: Runtime) -> Administrate:
    def bring(source: Source, verb: Transition, principal_id: str) -> Principal:
        with transaction(runtime.engine, source.tenant_id) as tx:
            done = verb(tx, UUID(principal_id), reason="emergency", caller=ADMINISTRATOR, now=runtime.clock())
        return done.principal if isinstance(done, Changed) else done

    return bring


def operation(op: str, path: str | None, value: Any = None) -> dict[str, Any]:
    return {"op": op, "value": value} | ({} if path is None else {"path": path})


def body(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


USER_CHANGES: dict[str, tuple[str, Any]] = {
    "deactivate": ("PATCH", body(operation("replace", "active", False))),
    "deactivate without a path": ("PATCH", body(operation("replace", None, {"active": False}))),
    "deactivate by a path with a URN": ("PATCH", body(operation("replace", f"{USER}:active", False))),
    "deactivate in capitals": ("PATCH", body(operation("Replace", "ACTIVE", False))),
    "rename": ("PATCH", body(operation("replace", "userName", "other"))),
    "set a manager": ("PATCH", body(operation("add", f"{ENTERPRISE}:manager", {"value": "1"}))),
    "change nothing": ("PATCH", body(operation("replace", "userName", "breakglass"))),
    "replace": ("PUT", {"schemas": [USER], "userName": "breakglass", "active": False}),
    "delete": ("DELETE", None),
}
GROUP_CHANGES: dict[str, tuple[str, Any]] = {
    "rename": ("PATCH", body(operation("replace", "displayName", "other"))),
    "remove everybody": ("PATCH", body({"op": "remove", "path": "members"})),
    "replace the members": ("PATCH", body(operation("replace", "members", []))),
    "replace": ("PUT", {"schemas": [GROUP], "displayName": "Emergency", "members": []}),
    "delete": ("DELETE", None),
}
CHANGES = [
    *(("/Users", name, *change) for name, change in USER_CHANGES.items()),
    *(("/Groups", name, *change) for name, change in GROUP_CHANGES.items()),
]


@pytest.fixture
def protected(rfc: Source, administrate: Administrate) -> dict[str, str]:
    user = rfc.user("breakglass", externalId="e-1")
    group = rfc.group("Emergency", user)
    for principal_id in (user, group):
        assert administrate(rfc, protect, principal_id).is_protected
    return {"/Users": user, "/Groups": group}


def alone(source: Source, method: str, path: str, sent: Any) -> tuple[int, Any]:
    refused = source.ask(method, path, sent)
    return refused.status_code, refused.json


def in_bulk(source: Source, method: str, path: str, sent: Any) -> tuple[int, Any]:
    one = {"method": method, "path": path} | ({} if sent is None else {"data": sent})
    [done] = source.post("/Bulk", {"schemas": [BULK], "Operations": [one]}, status=200)["Operations"]
    return int(done["status"]), done["response"]


@pytest.mark.requirement("S15")
@pytest.mark.parametrize("way", [alone, in_bulk])
@pytest.mark.parametrize(("endpoint", "name", "method", "sent"), CHANGES, ids=[f"{c[0]} {c[1]}" for c in CHANGES])
def test_a_source_changes_nothing_of_what_it_made_and_an_administrator_protects(
    rfc: Source, rival: Source, runtime: Runtime, protected: dict[str, str], way: Callable[..., tuple[int, Any]],
    endpoint: str, name: str, method: str, sent: Any,
) -> None:  # fmt: skip
    del name
    path = f"{endpoint}/{protected[endpoint]}"
    before, members = rfc.get(path), rfc.members(protected["/Groups"])
    status, refused = way(rfc, method, path, sent)
    assert (status, refused["status"]) == (403, "403")
    assert "protected" in refused["detail"]
    assert (rfc.get(path), rfc.members(protected["/Groups"])) == (before, members)
    with transaction(runtime.engine, rfc.tenant_id) as tx:
        last = list_events(tx, after=None, limit=1_000)[-1].event
    assert (last.type, last.outcome, last.reason) == ("scim.refused", "refused", "protected")
    assert rival.ask(method, path, sent).status_code == 404


def test_what_is_protected_is_still_read_and_named(rfc: Source, protected: dict[str, str]) -> None:
    user = protected["/Users"]
    assert rfc.get(f"/Users/{user}")["active"] is True
    group = rfc.group("Everybody", user)
    assert rfc.members(group) == {user}
    rfc.patch(f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{user}"]'}, status=204)
    assert rfc.members(group) == set()


def test_a_member_of_a_protected_group_is_deprovisioned_and_deleted_by_its_source(
    rfc: Source, administrate: Administrate
) -> None:
    dana = rfc.user("dana")
    group = rfc.group("Emergency", dana)
    administrate(rfc, protect, group)
    assert rfc.patch(f"/Users/{dana}", operation("replace", "active", False))["active"] is False
    rfc.delete(f"/Users/{dana}")
    assert rfc.members(group) == set()


def test_a_protected_agent_outlives_its_owners_until_it_is_given_back(
    rfc: Source, runtime: Runtime, administrate: Administrate
) -> None:
    dana = rfc.user("dana")
    bots = [
        rfc.post("/Agents", {"schemas": [AGENT], "name": name, "owners": [{"value": dana}]})["id"]
        for name in ("emergency-bot", "other-bot")
    ]
    administrate(rfc, protect, bots[0])
    rfc.delete(f"/Users/{dana}")
    settle(runtime, rfc, dana)
    assert [rfc.get(f"/Agents/{bot}")["active"] for bot in bots] == [True, False]
    no_owner = body(operation("replace", "owners", []))
    assert rfc.ask("PATCH", f"/Agents/{bots[0]}", no_owner).status_code == 403
    administrate(rfc, suspend, bots[0])
    assert administrate(rfc, reactivate, bots[0]).state == "active"
    administrate(rfc, unprotect, bots[0])
    settle(runtime, rfc, bots[0])
    assert rfc.get(f"/Agents/{bots[0]}")["active"] is False


def settle(runtime: Runtime, source: Source, principal_id: str) -> None:
    """Do what the workers do after a change."""
    position = BEGINNING
    while position is not None:
        with transaction(runtime.engine, source.tenant_id) as tx:
            position = reconcile_principal(
                tx, UUID(principal_id), position=position, caller=WORKER, now=runtime.clock()
            )


def test_what_is_given_back_is_the_sources_again(
    rfc: Source, protected: dict[str, str], administrate: Administrate
) -> None:
    for endpoint, principal_id in protected.items():
        version = rfc.get(f"{endpoint}/{principal_id}")["meta"]["version"]
        administrate(rfc, unprotect, principal_id)
        administrate(rfc, unprotect, principal_id)
        assert rfc.get(f"{endpoint}/{principal_id}")["meta"]["version"] == version
        rfc.delete(f"{endpoint}/{principal_id}")
