"""The outbox by itself: who may see it, what is sent when, and when a row is given up."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from identity.actions.reconciliation import Position
from identity.model.access import Caller
from identity.model.ids import PLATFORM, TenantId
from identity.model.outbox import LONG, ORDINARY, URGENT
from identity.store import OpenTransaction as Open
from identity.store import Tx
from identity.store.notices import Notices, connection_string
from identity.store.outbox import (
    ATTEMPTS_MAX,
    LEASE,
    LOST_AFTER,
    Batch,
    outbox_backlog,
    outbox_begin,
    outbox_claim,
    outbox_is_untaken,
)
from identity.store.transaction import make_engine, transaction
from tests.workers.plant import TwoTenants
from tests.workers.rows import run_rows
from workers import tasks
from workers.relay import BATCH, ROOM, Relay
from workers.tasks import OutboxWorker


@pytest.fixture
def as_relay(two_tenants: TwoTenants) -> Iterator[Open]:
    engine = make_engine(two_tenants.url, role="identity_relay")
    yield partial(transaction, engine)
    engine.dispose()


@pytest.fixture
def as_app(two_tenants: TwoTenants) -> Iterator[Open]:
    engine = make_engine(two_tenants.url)
    yield partial(transaction, engine)
    engine.dispose()


class Sent:
    """A broker that keeps what it was sent; ``room`` is what it has for more."""

    def __init__(self, does: Callable[[Batch], None] = lambda _: None, *, waiting: int = 0) -> None:
        self.batches: list[Batch] = []
        self.does = does
        self.full = waiting

    def waiting(self) -> int:
        return self.full

    def send(self, batch: Batch) -> None:
        self.does(batch)
        self.batches.append(batch)

    def send_sweep(self) -> None: ...

    def reset(self) -> None: ...

    @property
    def rows(self) -> list[UUID]:
        return [id_ for batch in self.batches for id_ in batch.ids]


def relay(two_tenants: TwoTenants, as_relay: Open, broker: Sent) -> Relay:
    made = Relay(as_relay, broker, Notices(connection_string(two_tenants.owner_url), "outbox"))
    made.look()
    return made


def pass_time(two_tenants: TwoTenants, seconds: float) -> None:
    """Let what is in the outbox be so much older."""
    with two_tenants.sql() as connection:
        connection.execute(
            "UPDATE outbox SET created_at = created_at - make_interval(secs => %(s)s),"
            " available_at = available_at - make_interval(secs => %(s)s),"
            " sent_at = sent_at - make_interval(secs => %(s)s)", {"s": seconds})  # fmt: skip


class Broken(Exception):  # noqa: N818
    pass


def breaks(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
    raise Broken("secret-in-the-message")


def works(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
    pass


def test_a_row_is_sent_again_when_no_worker_has_begun_it_for_a_while(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals(1))
    sent = Sent()
    one = relay(two_tenants, as_relay, sent)
    for _ in range(3):
        assert not one.send_due()
        one.look()
    assert len(sent.batches) == 1
    pass_time(two_tenants, 1.25 * LEASE.total_seconds())
    one.look()
    one.send_due()
    assert len(sent.batches) == 2


def test_nothing_is_sent_while_as_many_messages_wait_as_the_broker_has_room_for(
    two_tenants: TwoTenants, as_relay: Open
) -> None:
    two_tenants.news(two_tenants.principals(1))
    sent = Sent(waiting=ROOM)
    one = relay(two_tenants, as_relay, sent)
    assert one.send_due(), "there is more than the broker has room for"
    assert two_tenants.count("sent_at IS NULL") == 1
    sent.full = 0
    assert not one.send_due()
    assert len(sent.batches) == 1


def test_no_more_is_sent_at_once_than_the_broker_has_room_for(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals((ROOM + 2) * BATCH[ORDINARY]))
    sent = Sent()
    assert relay(two_tenants, as_relay, sent).send_due()
    assert [len(batch.ids) for batch in sent.batches] == [BATCH[ORDINARY]] * ROOM


@pytest.mark.parametrize("backlog", [URGENT, ORDINARY])
def test_a_tenant_with_a_backlog_leaves_the_next_turn_to_the_others(
    two_tenants: TwoTenants, as_relay: Open, backlog: int
) -> None:
    two_tenants.news(two_tenants.principals(5 * BATCH[ORDINARY]), priority=backlog)
    neighbour = two_tenants.neighbour()
    [urgent] = neighbour.news(neighbour.principals(1), priority=URGENT)
    sent = Sent(waiting=ROOM - 2)
    relay(two_tenants, as_relay, sent).send_due()
    assert urgent in sent.rows


def test_what_was_sent_is_not_sent_again_while_other_messages_wait(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals(1))
    sent = Sent()
    one = relay(two_tenants, as_relay, sent)
    one.send_due()
    sent.full = 1
    for seconds, times in ((2 * LEASE.total_seconds(), 1), (LOST_AFTER.total_seconds(), 2)):
        pass_time(two_tenants, seconds)
        one.look()
        one.send_due()
        assert len(sent.batches) == times


def test_urgent_rows_of_one_tenant_do_not_keep_out_ordinary_ones_of_another(
    two_tenants: TwoTenants, as_relay: Open
) -> None:
    two_tenants.news(two_tenants.principals(20 * BATCH[URGENT]), priority=URGENT)
    neighbour = two_tenants.neighbour()
    [ordinary] = neighbour.news(neighbour.principals(1))
    sent = Sent()
    one = relay(two_tenants, as_relay, sent)
    for _ in range(3):  # three urgent turns leave one to the others
        one.send_due()
    assert ordinary in sent.rows
    assert len(sent.batches) < 20, "urgent rows are left"


def test_what_follows_from_an_end_is_sent_before_what_is_older(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals(2 * BATCH[ORDINARY]))
    [urgent] = two_tenants.news(two_tenants.principals(1), priority=URGENT)
    sent = Sent(waiting=ROOM - 1)
    relay(two_tenants, as_relay, sent).send_due()
    assert sent.rows == [urgent]


def test_long_work_waits_until_nothing_else_does_and_is_not_kept_out(two_tenants: TwoTenants, as_relay: Open) -> None:
    long = two_tenants.news(two_tenants.principals(2), priority=LONG)
    news = two_tenants.news(two_tenants.principals(1))
    sent = Sent(waiting=1)
    one = relay(two_tenants, as_relay, sent)
    one.send_due()
    assert sent.rows == news
    sent.full = 0
    one.send_due()
    assert len(sent.rows) == 2, "one at a time"
    one.send_due()
    assert set(sent.rows) == {*news, *long}


@pytest.mark.promise(6)
def test_workers_that_are_stopped_for_weeks_make_no_row_dead(
    two_tenants: TwoTenants, as_relay: Open, as_app: Open
) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    sent = Sent()
    for _ in range(30):
        relay(two_tenants, as_relay, sent).send_due()
        pass_time(two_tenants, 86_400)
    assert len(sent.batches) == 30
    run_rows(as_app, two_tenants.tenant_id, [row], reconcile=works)
    assert two_tenants.count("done_at IS NOT NULL AND attempts = 1") == 1


def test_rows_that_a_broken_broker_refused_are_due_at_once(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals(3))

    def refuse(_batch: Batch) -> None:
        raise ConnectionError

    one = relay(two_tenants, as_relay, Sent(refuse))
    with pytest.raises(ConnectionError):
        one.send_due()
    assert two_tenants.count("sent_at IS NULL AND available_at <= now()") == 3
    sent = Sent()
    relay(two_tenants, as_relay, sent).send_due()
    assert len(sent.rows) == 3


def test_a_worker_quicker_than_the_relay_finds_the_row_free(
    two_tenants: TwoTenants, as_relay: Open, as_app: Open
) -> None:
    two_tenants.news(two_tenants.principals(3))
    at_once = Sent(lambda batch: run_rows(as_app, batch.tenant_id, batch.ids, reconcile=works))
    relay(two_tenants, as_relay, at_once).send_due()
    assert two_tenants.count("done_at IS NOT NULL") == 3


def test_two_relays_at_once_never_take_the_same_row(two_tenants: TwoTenants, as_relay: Open) -> None:
    two_tenants.news(two_tenants.principals(20))
    with as_relay(PLATFORM) as first, as_relay(PLATFORM) as second:
        taken = [
            outbox_claim(tx, two_tenants.tenant_id, priority=ORDINARY, limit=15, is_idle=True) for tx in (first, second)
        ]
    assert [len(claimed.ids) for claimed in taken] == [15, 5]
    assert len({id_ for claimed in taken for id_ in claimed.ids}) == 20


@pytest.mark.parametrize("hours", [-1, 1])
def test_rows_are_due_by_the_clock_of_the_database_alone(
    two_tenants: TwoTenants, as_relay: Open, as_app: Open, hours: int
) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    away = partial(run_rows, as_app, clock=lambda: datetime.now(UTC) + timedelta(hours=hours))
    away(two_tenants.tenant_id, [row], reconcile=breaks)
    assert two_tenants.count("available_at BETWEEN now() AND now() + interval '10 s' AND done_at IS NULL") == 1
    away(two_tenants.tenant_id, [row], reconcile=works)
    assert two_tenants.count("done_at BETWEEN now() - interval '1 min' AND now()") == 1


def test_the_relay_sees_the_outbox_and_nothing_else(two_tenants: TwoTenants, as_relay: Open) -> None:
    for table in ("principals", "events", "tenants", "clients", "tokens", "signing_keys"):
        with pytest.raises(ProgrammingError, match="permission denied"), as_relay(two_tenants.tenant_id) as tx:
            tx.connection.exec_driver_sql(f"SELECT * FROM {table}")


@pytest.mark.promise(4)
def test_a_worker_cannot_touch_another_tenant_s_row(two_tenants: TwoTenants, as_app: Open) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    run_rows(as_app, TenantId(UUID(int=7)), [row], reconcile=works)
    assert two_tenants.count("attempts = 0 AND done_at IS NULL") == 1


def test_work_that_fails_says_why_without_its_message_and_is_due_later(two_tenants: TwoTenants, as_app: Open) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    run_rows(as_app, two_tenants.tenant_id, [row], reconcile=breaks)
    assert two_tenants.count("last_error = 'Broken' AND attempts = 1 AND available_at > now()") == 1
    run_rows(as_app, two_tenants.tenant_id, [row], reconcile=works)
    assert two_tenants.count("last_error IS NULL AND attempts = 2 AND done_at IS NOT NULL") == 1


def test_one_row_of_a_batch_that_fails_keeps_no_other_from_being_done(two_tenants: TwoTenants, as_app: Open) -> None:
    rows = two_tenants.news(two_tenants.principals(3))
    poisoned = two_tenants.principal_of(rows[1])

    def breaks_once(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
        if principal_id == poisoned:
            raise Broken

    run_rows(as_app, two_tenants.tenant_id, rows, reconcile=breaks_once)
    assert two_tenants.count("done_at IS NOT NULL") == 2
    assert two_tenants.count("last_error = 'Broken'") == 1


def test_a_batch_that_cannot_be_looked_at_together_is_done_row_by_row(two_tenants: TwoTenants, as_app: Open) -> None:
    rows = two_tenants.news(two_tenants.principals(3))

    def broken_look(tx: Tx, principal_ids: Sequence[UUID]) -> set[UUID]:
        raise Broken

    with patch.object(tasks, "settled_observe", broken_look):
        run_rows(as_app, two_tenants.tenant_id, rows, reconcile=works, worker=OutboxWorker)
    assert two_tenants.count("done_at IS NOT NULL AND attempts = 1") == 3


def test_a_row_that_was_begun_before_is_sent_alone(two_tenants: TwoTenants, as_relay: Open, as_app: Open) -> None:
    rows = two_tenants.news(two_tenants.principals(4))
    with as_app(two_tenants.tenant_id) as tx:
        outbox_begin(tx, rows[:2])  # and its worker dies
    pass_time(two_tenants, 2 * LEASE.total_seconds())
    sent = Sent()
    relay(two_tenants, as_relay, sent).send_due()
    assert sorted(len(batch.ids) for batch in sent.batches) == [1, 1, 2]


def test_poison_is_given_up_after_twelve_attempts_and_stays_to_be_seen(
    two_tenants: TwoTenants, as_app: Open, as_relay: Open
) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    for _ in range(ATTEMPTS_MAX + 2):
        run_rows(as_app, two_tenants.tenant_id, [row], reconcile=breaks)
    assert two_tenants.count(f"dead_at IS NOT NULL AND attempts = {ATTEMPTS_MAX + 1}") == 1
    pass_time(two_tenants, 86_400)
    sent = Sent()
    relay(two_tenants, as_relay, sent).send_due()
    with as_relay(PLATFORM) as tx:
        backlog = outbox_backlog(tx)
    assert (sent.batches, backlog.waiting, backlog.dead) == ([], 0, 1)


def test_a_row_in_the_hands_of_one_worker_is_left_alone_by_the_next(two_tenants: TwoTenants, as_app: Open) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))

    def meanwhile(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
        run_rows(as_app, two_tenants.tenant_id, [row], reconcile=breaks)

    run_rows(as_app, two_tenants.tenant_id, [row], reconcile=meanwhile)
    assert two_tenants.count("attempts = 1 AND done_at IS NOT NULL") == 1


def test_rows_that_wait_in_a_task_are_held_while_it_works_on_others(two_tenants: TwoTenants, as_app: Open) -> None:
    rows = two_tenants.news(two_tenants.principals(2))

    def slow(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: datetime) -> None:
        if principal_id == two_tenants.principal_of(rows[0]):
            pass_time_of_others.append(two_tenants.count("available_at < now() + interval '3 s' AND done_at IS NULL"))

    pass_time_of_others: list[int] = []
    with as_app(two_tenants.tenant_id) as tx:
        outbox_begin(tx, rows)
    pass_time(two_tenants, 3)
    run_rows(as_app, two_tenants.tenant_id, rows, reconcile=slow)
    assert pass_time_of_others == [0]


def test_a_row_that_the_broker_has_and_no_worker_takes_is_seen(
    two_tenants: TwoTenants, as_relay: Open, as_app: Open
) -> None:
    [row] = two_tenants.news(two_tenants.principals(1))
    aged = timedelta(seconds=5)

    def untaken() -> bool:
        with as_relay(PLATFORM) as tx:
            return outbox_is_untaken(tx, age=aged)

    pass_time(two_tenants, 60)
    assert not untaken(), "the broker has not got it"
    relay(two_tenants, as_relay, Sent()).send_due()
    assert not untaken()
    pass_time(two_tenants, 6)
    assert untaken()
    relay(two_tenants, as_relay, Sent()).send_due()
    assert untaken(), "sent again, and still since then"
    run_rows(as_app, two_tenants.tenant_id, [row], reconcile=breaks)
    assert not untaken(), "it waits for another attempt"


def test_the_tenant_of_new_rows_is_announced_and_a_lost_listener_comes_back(two_tenants: TwoTenants) -> None:
    notices = Notices(connection_string(two_tenants.owner_url), "outbox")
    notices.listen()
    who = two_tenants.principals(1)
    two_tenants.news(who)
    assert notices.wait(5) == [str(two_tenants.tenant_id)]
    assert not notices.wait(0.05)
    with two_tenants.sql() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    with pytest.raises(psycopg.OperationalError):
        notices.wait(5)
    assert notices.wait(5) == [""], "found again: something may have been missed"
    notices.close()
