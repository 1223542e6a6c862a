"""Refusals of unproved callers: the first of a minute and reason is an event, the others are counted in one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from dev.postgres import OWNER
from identity.edge.refusal_counts import RefusalCounts, write_counted_refusals
from identity.model.errors import Unavailable
from identity.model.ids import TenantId
from identity.model.refusal_counts import KEYS_MAX, RefusalKey
from tests.fixtures import BEGIN, Tenant, TwoTenants

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


def test_the_first_of_a_minute_is_an_event_and_the_others_are_one_when_it_is_over(two_tenants: TwoTenants) -> None:
    acme, since = two_tenants.acme, in_the_minute(two_tenants.acme.now)
    refused(acme, 20)
    assert told(acme) == [("credential_missing", None, None)]
    two_tenants.clock.forward(60)
    refused(acme)
    first = ("credential_missing", None, None)
    assert told(acme) == [first, ("credential_missing", 19, since), first]


def test_each_tenant_and_reason_is_counted_by_itself(two_tenants: TwoTenants) -> None:
    acme, rival = two_tenants.acme, two_tenants.rival
    for _ in range(3):
        refused(acme)
        refused(acme, client_secret="b")
        refused(rival)
    two_tenants.clock.forward(61)
    write(two_tenants)
    assert [row[:2] for row in told(acme)] == [
        ("credential_missing", None), ("client_id_missing", None), ("credential_missing", 2), ("client_id_missing", 2),
    ]  # fmt: skip
    assert [row[:2] for row in told(rival)] == [("credential_missing", None), ("credential_missing", 2)]


def write(two_tenants: TwoTenants, **how: Any) -> None:
    write_counted_refusals(two_tenants.runtime.refusals, two_tenants.runtime.engine, two_tenants.runtime.clock, **how)


def test_what_a_proven_client_is_refused_is_one_event_each(acme: Tenant) -> None:
    for _ in range(5):
        acme.ask(acme.agent(), grant_type="client_credentials", resource="https://nobody.example")
    assert [row[1] for row in told(acme)] == [None] * 5


def test_a_minute_that_is_not_over_is_written_at_the_end_alone(two_tenants: TwoTenants) -> None:
    refused(two_tenants.acme, 4)
    write(two_tenants)
    assert len(told(two_tenants.acme)) == 1
    write(two_tenants, are_all=True)
    assert [row[1] for row in told(two_tenants.acme)] == [None, 3]
    write(two_tenants, are_all=True)
    assert len(told(two_tenants.acme)) == 2


@pytest.mark.promise(2)
def test_refusals_at_once_are_all_counted(two_tenants: TwoTenants) -> None:
    with ThreadPoolExecutor(16) as crowd:
        list(crowd.map(lambda _: refused(two_tenants.acme, 10), range(16)))
    write(two_tenants, are_all=True)
    assert [row[1] for row in told(two_tenants.acme)] == [None, 159]


@contextmanager
def events_locked(two_tenants: TwoTenants) -> Iterator[None]:
    """Let nobody write an event."""
    url = two_tenants.runtime.engine.url
    owner = psycopg.connect(host=str(url.query["host"]), user=OWNER, dbname=url.database)
    with owner, owner.transaction(force_rollback=True):
        owner.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        yield


def test_what_cannot_be_written_is_kept_and_written_later(two_tenants: TwoTenants) -> None:
    refused(two_tenants.acme, 3)
    with events_locked(two_tenants), pytest.raises(Unavailable):
        write(two_tenants, are_all=True)
    refused(two_tenants.acme)
    write(two_tenants, are_all=True)
    assert [row[1] for row in told(two_tenants.acme)] == [None, 3]


def test_a_refusal_is_an_event_before_its_answer_leaves_or_it_is_no_refusal(two_tenants: TwoTenants) -> None:
    with events_locked(two_tenants):
        assert two_tenants.acme.http.post("/t/acme/oauth/token", data={"scope": "x"}).status_code == 503
    refused(two_tenants.acme)
    assert told(two_tenants.acme) == [("credential_missing", None, None)]


# --- counting ---


def key_of(two_tenants: TwoTenants, reason: str) -> RefusalKey:
    return RefusalKey(TenantId(two_tenants.acme.seeded.id), "oauth", reason)


def test_beyond_so_many_keys_each_refusal_is_an_event(two_tenants: TwoTenants) -> None:
    counts = RefusalCounts()
    assert all(counts.add(key_of(two_tenants, f"r{n}"), BEGIN)[0] for n in range(KEYS_MAX))
    assert [counts.add(key_of(two_tenants, "one more"), BEGIN) for _ in range(3)] == [(True, ())] * 3
    assert counts.add(key_of(two_tenants, "r1"), BEGIN) == (False, ())
    assert len(counts.kept) == KEYS_MAX
    assert [counted.number for counted in counts.take_due(BEGIN + timedelta(minutes=1))] == [1]
    assert not counts.kept
