"""The outbox by itself: who may see it, what is sent when, and when a row is given up."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from identity.actions.reconciliation import Place
from identity.model.access import Caller
from identity.model.ids import PLATFORM, TenantId
from identity.store import Tx
from identity.store.notices import Notices, connection_string, wait_for
from identity.store.outbox import ATTEMPTS_MAX, Due, outbox_backlog, outbox_claim
from identity.store.transaction import make_engine, transaction
from tests.workers.plant import World
from workers.cascade import Begin, settle
from workers.relay import send_due


@pytest.fixture
def as_relay(world: World) -> Iterator[Begin]:
    engine = make_engine(world.url, role="identity_relay")
    yield partial(transaction, engine)
    engine.dispose()


@pytest.fixture
def as_app(world: World) -> Iterator[Begin]:
    engine = make_engine(world.url)
    yield partial(transaction, engine)
    engine.dispose()


def clock() -> datetime:
    return datetime.now(UTC)


class Broken(Exception):  # noqa: N818
    pass


def breaks(tx: Tx, principal_id: UUID, *, place: Place, caller: Caller, now: datetime) -> None:
    raise Broken("secret-in-the-message")


def works(tx: Tx, principal_id: UUID, *, place: Place, caller: Caller, now: datetime) -> None:
    pass


def test_a_row_is_sent_again_after_twice_the_pause_until_it_is_done(world: World, as_relay: Begin) -> None:
    world.news(world.principals(1))
    began, sent_after = clock(), []
    for second in range(200):
        with as_relay(PLATFORM) as tx:
            if outbox_claim(tx, limit=10, now=began + timedelta(seconds=second)):
                sent_after.append(second)
    assert 5 <= len(sent_after) <= 7
    pauses = [later - sooner for sooner, later in pairwise(sent_after)]
    assert pauses[0] >= 10
    assert all(later > sooner for sooner, later in pairwise(pauses[1:]))


@pytest.mark.promise(6)
def test_workers_that_are_stopped_for_weeks_make_no_row_dead(world: World, as_relay: Begin, as_app: Begin) -> None:
    [row] = world.news(world.principals(1))
    for days in range(30):
        with as_relay(PLATFORM) as tx:
            assert outbox_claim(tx, limit=10, now=clock() + timedelta(days=days))
    settle(as_app, works, world.tenant_id, row, clock=clock)
    assert world.count("done_at IS NOT NULL AND attempts = 1") == 1


def test_rows_that_a_broken_broker_refused_are_due_at_once(world: World, as_relay: Begin) -> None:
    world.news(world.principals(3))

    def refuse(due: Due) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        send_due(as_relay, refuse, now=clock())
    assert world.count("sent_at IS NULL") == 3
    sent: list[Due] = []
    assert send_due(as_relay, sent.append, now=clock()) == 3
    assert {due.tenant_id for due in sent} == {world.tenant_id}


def test_a_worker_quicker_than_the_relay_finds_the_row_free(world: World, as_relay: Begin, as_app: Begin) -> None:
    world.news(world.principals(3))

    def work_at_once(due: Due) -> None:
        settle(as_app, works, due.tenant_id, due.id, clock=clock)

    assert send_due(as_relay, work_at_once, now=clock()) == 3
    assert world.count("done_at IS NOT NULL") == 3


def test_two_relays_at_once_never_take_the_same_row(world: World, as_relay: Begin) -> None:
    world.news(world.principals(20))
    now = clock()
    with as_relay(PLATFORM) as first, as_relay(PLATFORM) as second:
        taken = [*outbox_claim(first, limit=10, now=now), *outbox_claim(second, limit=20, now=now)]
    assert len(taken) == len({due.id for due in taken}) == 20


def test_the_relay_sees_the_outbox_and_nothing_else(world: World, as_relay: Begin) -> None:
    for table in ("principals", "events", "tenants", "clients", "tokens", "signing_keys"):
        with pytest.raises(ProgrammingError, match="permission denied"), as_relay(world.tenant_id) as tx:
            tx.connection.exec_driver_sql(f"SELECT * FROM {table}")


@pytest.mark.promise(4)
def test_a_worker_cannot_touch_another_tenant_s_row(world: World, as_app: Begin) -> None:
    [row] = world.news(world.principals(1))
    settle(as_app, works, TenantId(UUID(int=7)), row, clock=clock)
    assert world.count("attempts = 0 AND done_at IS NULL") == 1


def test_work_that_fails_says_why_without_its_message_and_is_due_later(world: World, as_app: Begin) -> None:
    [row] = world.news(world.principals(1))
    settle(as_app, breaks, world.tenant_id, row, clock=clock)
    assert world.count("last_error = 'Broken' AND attempts = 1 AND available_at > now()") == 1
    settle(as_app, works, world.tenant_id, row, clock=clock)
    assert world.count("last_error IS NULL AND attempts = 2 AND done_at IS NOT NULL") == 1


def test_poison_is_given_up_after_twelve_attempts_and_stays_to_be_seen(
    world: World, as_app: Begin, as_relay: Begin
) -> None:
    [row] = world.news(world.principals(1))
    for _ in range(ATTEMPTS_MAX + 2):
        settle(as_app, breaks, world.tenant_id, row, clock=clock)
    assert world.count(f"dead_at IS NOT NULL AND attempts = {ATTEMPTS_MAX + 1}") == 1
    with as_relay(PLATFORM) as tx:
        assert outbox_claim(tx, limit=10, now=clock() + timedelta(days=1)) == []
        assert (outbox_backlog(tx, now=clock()).waiting, outbox_backlog(tx, now=clock()).dead) == (0, 1)


def test_a_row_in_the_hands_of_one_worker_is_left_alone_by_the_next(world: World, as_app: Begin) -> None:
    [row] = world.news(world.principals(1))

    def meanwhile(tx: Tx, principal_id: UUID, *, place: Place, caller: Caller, now: datetime) -> None:
        settle(as_app, breaks, world.tenant_id, row, clock=clock)

    settle(as_app, meanwhile, world.tenant_id, row, clock=clock)
    assert world.count("attempts = 1 AND done_at IS NOT NULL") == 1


def test_new_rows_are_announced_and_a_lost_listener_comes_back(world: World) -> None:
    notices = Notices(connection_string(world.owner_url), "outbox")
    notices.listen()
    who = world.principals(1)
    world.news(who)
    assert notices.wait(5)
    assert not notices.wait(0.05)
    with world.sql() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    with pytest.raises(psycopg.OperationalError):
        notices.wait(5)
    assert notices.wait(5)  # found again: something may have been missed
    wait_for(notices, 60, until=lambda: True)
    notices.close()
