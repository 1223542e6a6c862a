"""Whom an administrator suspended, no source brings back: it may say what it wants, and is told what holds."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from identity.actions.lifecycle import Changed
from identity.actions.principals import deprovision, reactivate, suspend
from identity.edge.runtime import Runtime
from identity.model.principal import Principal
from identity.store.transaction import transaction
from tests.scim.sources import ADMINISTRATOR, AGENT, PATCH, USER, Source

Transition = Callable[..., Principal | Changed]
Administrate = Callable[[Source, Transition, str], Principal]


@pytest.fixture
def administrate(runtime: Runtime) -> Administrate:
    def bring(source: Source, verb: Transition, principal_id: str) -> Principal:
        with transaction(runtime.engine, source.tenant_id) as tx:
            done = verb(tx, UUID(principal_id), reason="investigated", caller=ADMINISTRATOR, now=runtime.clock())
        return done.principal if isinstance(done, Changed) else done

    return bring


def says(active: bool) -> dict[str, Any]:
    return {"op": "replace", "path": "active", "value": active}


def by_patch(source: Source, user: str, active: bool) -> Any:
    return source.patch(f"/Users/{user}", says(active))


def by_patch_without_a_path(source: Source, user: str, active: bool) -> Any:
    return source.patch(f"/Users/{user}", {"op": "add", "value": {"ACTIVE": active}})


def by_put(source: Source, user: str, active: bool) -> Any:
    return source.put(f"/Users/{user}", {"schemas": [USER], "userName": "dana", "active": active})


def by_bulk(source: Source, user: str, active: bool) -> Any:
    data = {"schemas": [PATCH], "Operations": [says(active)]}
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "PATCH", "path": f"/Users/{user}", "data": data}],
    }
    source.post("/Bulk", bulk, status=200)
    return source.get(f"/Users/{user}")


WAYS = [by_patch, by_patch_without_a_path, by_put, by_bulk]


@pytest.mark.promise(1)
@pytest.mark.parametrize("way", WAYS)
def test_a_source_that_says_false_and_then_true_lifts_no_administrators_suspension(
    rfc: Source, rival: Source, administrate: Administrate, way: Callable[[Source, str, bool], Any]
) -> None:
    dana, theirs = rfc.user("dana"), rival.user("dana")
    administrate(rfc, suspend, dana)
    for active in (True, False, True, True, False, True):
        assert way(rfc, dana, active)["active"] is False
    assert [user["id"] for user in rfc.get("/Users?filter=active%20eq%20true")["Resources"]] == []
    assert administrate(rfc, reactivate, dana).is_held is False
    assert rfc.get(f"/Users/{dana}")["active"] is True
    assert (way(rfc, dana, False)["active"], way(rfc, dana, True)["active"]) == (False, True)
    assert rival.get(f"/Users/{theirs}")["active"] is True


def test_what_the_source_says_of_whom_is_held_is_remembered(rfc: Source, administrate: Administrate) -> None:
    dana = rfc.user("dana")
    assert administrate(rfc, suspend, dana).state == "suspended"
    rfc.patch(f"/Users/{dana}", says(False))
    assert administrate(rfc, reactivate, dana).state == "active"  # it is an administrator who says so now
    administrate(rfc, suspend, dana)
    rfc.patch(f"/Users/{dana}", says(False), {"op": "replace", "path": "displayName", "value": "Dana"})
    assert rfc.get(f"/Users/{dana}")["displayName"] == "Dana"


def test_a_deprovisioning_by_an_administrator_is_as_if_the_source_had_said_it(
    rfc: Source, administrate: Administrate
) -> None:
    dana = rfc.user("dana")
    administrate(rfc, deprovision, dana)
    assert rfc.patch(f"/Users/{dana}", says(True))["active"] is False  # it merely repeats itself
    rfc.patch(f"/Users/{dana}", says(False))
    assert rfc.patch(f"/Users/{dana}", says(True))["active"] is True


def test_an_agent_that_is_held_gets_new_owners_and_stays_where_it_is(rfc: Source, administrate: Administrate) -> None:
    dana, sam = rfc.user("dana"), rfc.user("sam")
    body = {"schemas": [AGENT], "name": "bot", "owners": [{"value": dana}]}
    bot = rfc.post("/Agents", body)["id"]
    administrate(rfc, suspend, bot)
    rfc.patch(f"/Agents/{bot}", {"op": "replace", "path": "owners", "value": [{"value": sam}]})
    rfc.patch(f"/Agents/{bot}", says(False))
    assert rfc.patch(f"/Agents/{bot}", says(True))["active"] is False


@pytest.mark.promise(1)
@pytest.mark.parametrize("way", WAYS)
def test_whom_the_source_deactivated_can_be_held_so_that_it_does_not_bring_him_back(
    rfc: Source, administrate: Administrate, way: Callable[[Source, str, bool], Any]
) -> None:
    dana = rfc.user("dana")
    way(rfc, dana, False)
    administrate(rfc, suspend, dana)
    assert way(rfc, dana, True)["active"] is False
    administrate(rfc, reactivate, dana)
    assert rfc.get(f"/Users/{dana}")["active"] is True
