"""Refusals of unproved callers: the first of a minute and reason is an event, the others are counted in one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from dev.postgres import OWNER
from identity.model.errors import Unavailable
from identity.model.ids import TenantId
from identity.model.refusal_counts import KEYS_MAX, RefusalCounts, RefusalKey
from identity.refusals import write_counted_refusals
from tests.world import BEGIN, Tenant, World

pytestmark = pytest.mark.promise(6)


def refused(tenant: Tenant, times: int = 1, **form: Any) -> None:
    for _ in range(times):
        assert tenant.http.post(f"/t/{tenant.slug}/oauth/token", data={"scope": "x", **form}).status_code == 401


def told(tenant: Tenant) -> list[tuple[str | None, Any, Any]]:
    """Return of each refusal in the audit log its reason, and what was counted since when."""
    found = [recorded.event for recorded in tenant.events(type="oauth.refused")]
    return [(event.reason, event.detail.get("count"), event.detail.get("since")) for event in found]


def in_the_minute(now: datetime) -> str:
    return now.replace(second=0, microsecond=0).isoformat()


def test_the_first_of_a_minute_is_an_event_and_the_others_are_one_when_it_is_over(world: World) -> None:
    acme, since = world.acme, in_the_minute(world.acme.now)
    refused(acme, 20)
    assert told(acme) == [("credential_missing", None, None)]
    world.clock.forward(60)
    refused(acme)
    first = ("credential_missing", None, None)
    assert told(acme) == [first, ("credential_missing", 19, since), first]


def test_each_tenant_and_reason_is_counted_by_itself(world: World) -> None:
    acme, rival = world.acme, world.rival
    for _ in range(3):
        refused(acme)
        refused(acme, client_secret="b")
        refused(rival)
    world.clock.forward(61)
    write(world)
    assert [row[:2] for row in told(acme)] == [
        ("credential_missing", None), ("client_id_missing", None), ("credential_missing", 2), ("client_id_missing", 2),
    ]  # fmt: skip
    assert [row[:2] for row in told(rival)] == [("credential_missing", None), ("credential_missing", 2)]


def write(world: World, **how: Any) -> None:
    write_counted_refusals(world.house.refusals, world.house.engine, world.house.clock, **how)


def test_what_a_proven_client_is_refused_is_one_event_each(acme: Tenant) -> None:
    for _ in range(5):
        acme.ask(acme.agent(), grant_type="client_credentials", resource="https://nobody.example")
    assert [row[1] for row in told(acme)] == [None] * 5


def test_a_minute_that_is_not_over_is_written_at_the_end_alone(world: World) -> None:
    refused(world.acme, 4)
    write(world)
    assert len(told(world.acme)) == 1
    write(world, are_all=True)
    assert [row[1] for row in told(world.acme)] == [None, 3]
    write(world, are_all=True)
    assert len(told(world.acme)) == 2


@pytest.mark.promise(2)
def test_refusals_at_once_are_all_counted(world: World) -> None:
    with ThreadPoolExecutor(16) as crowd:
        list(crowd.map(lambda _: refused(world.acme, 10), range(16)))
    write(world, are_all=True)
    assert [row[1] for row in told(world.acme)] == [None, 159]


@contextmanager
def events_locked(world: World) -> Iterator[None]:
    """Let nobody write an event."""
    url = world.house.engine.url
    owner = psycopg.connect(host=str(url.query["host"]), user=OWNER, dbname=url.database)
    with owner, owner.transaction(force_rollback=True):
        owner.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        yield


def test_what_cannot_be_written_is_kept_and_written_later(world: World) -> None:
    refused(world.acme, 3)
    with events_locked(world), pytest.raises(Unavailable):
        write(world, are_all=True)
    refused(world.acme)
    write(world, are_all=True)
    assert [row[1] for row in told(world.acme)] == [None, 3]


def test_a_refusal_is_an_event_before_its_answer_leaves_or_it_is_no_refusal(world: World) -> None:
    with events_locked(world):
        assert world.acme.http.post("/t/acme/oauth/token", data={"scope": "x"}).status_code == 503
    refused(world.acme)
    assert told(world.acme) == [("credential_missing", None, None)]


# --- counting ---


def key_of(world: World, reason: str) -> RefusalKey:
    return RefusalKey(TenantId(world.acme.planted.id), "oauth", reason)


def test_beyond_so_many_keys_each_refusal_is_an_event(world: World) -> None:
    counts = RefusalCounts()
    assert all(counts.add(key_of(world, f"r{n}"), BEGIN) for n in range(KEYS_MAX))
    assert [counts.add(key_of(world, "one more"), BEGIN) for _ in range(3)] == [True] * 3
    assert not counts.add(key_of(world, "r1"), BEGIN)
    assert len(counts.kept) == KEYS_MAX
    assert [counted.number for counted in counts.take_due(BEGIN + timedelta(minutes=1))] == [1]
    assert not counts.kept
