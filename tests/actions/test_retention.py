"""Sweeping: what is outlived goes, a batch at a time; what may still matter stays; everybody is swept."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest

from identity.actions.retention import ROWS_IN_ONE_GO, sweep_expired
from identity.model.ids import PLATFORM, TenantId
from identity.model.tenant import TASK_DURATION_MAX_S, TASK_DURATION_S
from identity.store.retention import (
    ANSWERS_KEPT,
    OUTBOX_KEPT,
    PROVISIONING_EVENTS_KEPT,
    RESULTS_KEPT,
    TASKS_KEPT,
    TOKENS_KEPT,
)
from identity.store.transaction import transaction
from tests.actions.sources import count, digest, rows
from tests.actions.test_lifecycle import clock_of
from tests.fixtures import Tenant
from workers.sweep import every_tenant, sweep_all, sweep_tenant

SECOND = timedelta(seconds=1)


def sweep(tenant: Tenant, after: timedelta = timedelta()) -> None:
    begin = partial(transaction, tenant.runtime.engine)
    sweep_tenant(begin, tenant.seeded.id, clock=lambda: tenant.now + after)


def assertions(tenant: Tenant, number: int, expires_after: timedelta) -> None:
    rows(
        tenant,
        "INSERT INTO used_assertions (tenant_id, client_id, jti_hash, expires_at)"
        " SELECT current_setting('app.tenant')::uuid, :client, sha256(n::text::bytea), :at"
        "   FROM generate_series(1, :number) AS n",
        client=tenant.agent().client_id,
        number=number,
        at=tenant.now + expires_after,
    )


def spend(tenant: Tenant) -> None:
    """Let each task have an actor and have spent something, as issuers write it."""
    rows(tenant, "INSERT INTO task_budgets (tenant_id, txn) SELECT tenant_id, txn FROM tasks")
    rows(tenant, "INSERT INTO task_actors (tenant_id, txn, actor_id, joined_at)"
                 " SELECT tenant_id, txn, actor_id, created_at FROM tasks ON CONFLICT DO NOTHING")  # fmt: skip


def answer(tenant: Tenant, key: bytes) -> None:
    rows(
        tenant,
        "INSERT INTO idempotency_keys (tenant_id, caller, key_hash, request_hash, created_at)"
        " VALUES (current_setting('app.tenant')::uuid, 'a', :key, :key, :at)",
        key=key,
        at=tenant.now,
    )


def test_what_is_in_use_stays(acme: Tenant) -> None:
    token = acme.task_token()
    answer(acme, b"key")
    before = digest(acme)
    sweep(acme)
    assert digest(acme) == before
    assert acme.is_live(token)


def test_rows_that_a_task_rests_on_outlive_the_longest_one() -> None:
    """A token that expired may be renewed until its task ends, and all from which it was derived is looked at."""
    assert timedelta(seconds=TASK_DURATION_MAX_S) < TOKENS_KEPT < TASKS_KEPT


def test_a_token_stays_after_its_end_its_task_for_longer_and_its_events_for_ever(acme: Tenant) -> None:
    acme.task_token()
    lives = timedelta(seconds=120)
    events = count(acme, "events")
    sweep(acme, lives + TOKENS_KEPT)
    assert count(acme, "tokens") == 1
    sweep(acme, lives + TOKENS_KEPT + SECOND)
    assert count(acme, "tokens") == 0
    assert (count(acme, "tasks"), count(acme, "events")) == (1, events)
    lives = timedelta(seconds=TASK_DURATION_S)
    spend(acme)
    sweep(acme, lives + TASKS_KEPT)
    assert count(acme, "tasks") == count(acme, "task_actors") == count(acme, "task_budgets") == 1
    sweep(acme, lives + TASKS_KEPT + SECOND)
    assert (count(acme, "tasks"), count(acme, "task_counts"), count(acme, "events")) == (0, 0, events)
    assert count(acme, "task_actors") == count(acme, "task_budgets") == 0


def test_a_used_assertion_stays_as_long_as_it_could_be_used_again(acme: Tenant) -> None:
    assertions(acme, 1, timedelta(seconds=60))
    sweep(acme, timedelta(seconds=60))
    assert count(acme, "used_assertions") == 1
    sweep(acme, timedelta(seconds=61))
    assert count(acme, "used_assertions") == 0


def test_a_kept_answer_stays_for_a_day(acme: Tenant) -> None:
    answer(acme, b"key")
    sweep(acme, ANSWERS_KEPT)
    assert count(acme, "idempotency_keys") == 1
    sweep(acme, ANSWERS_KEPT + SECOND)
    assert count(acme, "idempotency_keys") == 0


def test_the_result_of_an_asynchronous_request_goes_after_a_day_and_what_is_not_done_never(acme: Tenant) -> None:
    at = acme.now
    for number, done in enumerate((at, None)):
        rows(
            acme,
            "WITH asked AS (INSERT INTO async_requests (tenant_id, id, connection_id, request_id, created_at, done_at)"
            " SELECT tenant_id, :id, id, 'r', :at, :done FROM connections LIMIT 1)"
            " INSERT INTO async_reports (tenant_id, async_request_id, place, report, event_id)"
            " SELECT current_setting('app.tenant')::uuid, :id, n, '{}', :id FROM generate_series(1, 3) AS n",
            id=UUID(int=number), at=at, done=done,
        )  # fmt: skip
    sweep(acme, RESULTS_KEPT)
    assert (count(acme, "async_reports"), count(acme, "async_requests")) == (6, 2)
    for _ in range(2):  # first what refers, then what is referred to
        sweep(acme, RESULTS_KEPT + SECOND)
    assert (count(acme, "async_reports"), count(acme, "async_requests WHERE done_at IS NULL")) == (3, 1)
    assert count(acme, "async_requests") == 1


def test_what_others_are_told_waits_for_them_for_a_week(acme: Tenant) -> None:
    rows(
        acme,
        "INSERT INTO provisioning_events (tenant_id, id, at, txn, sub_id, payloads)"
        " VALUES (current_setting('app.tenant')::uuid, :id, :at, 'swept', '{}', '{}')",
        id=UUID(int=7),
        at=acme.now,
    )
    sweep(acme, PROVISIONING_EVENTS_KEPT)
    assert count(acme, "provisioning_events WHERE txn = 'swept'") == 1
    sweep(acme, PROVISIONING_EVENTS_KEPT + SECOND)
    assert count(acme, "provisioning_events WHERE txn = 'swept'") == 0


@pytest.mark.promise(6)
def test_done_news_go_after_a_week_and_news_that_wait_or_were_given_up_never(acme: Tenant) -> None:
    done, dead = "done_at", "dead_at"
    for number, (ended, age) in enumerate([(done, -60), (done, 60), (dead, 60), ("created_at", 60)]):
        rows(
            acme,
            f"INSERT INTO outbox (tenant_id, id, principal_id, kind, {ended})"
            " VALUES (current_setting('app.tenant')::uuid, :id, :who, 'test', now() - make_interval(secs => :age))",
            id=UUID(int=number), who=acme.seeded.sam, age=OUTBOX_KEPT.total_seconds() + age,
        )  # fmt: skip
    sweep(acme, -OUTBOX_KEPT)  # by the clock of the database, whatever that of who sweeps says
    assert count(acme, "outbox WHERE kind = 'test' AND done_at IS NOT NULL") == 1
    assert count(acme, "outbox WHERE kind = 'test' AND done_at IS NULL") == 2


@pytest.mark.promise(8)
def test_one_transaction_deletes_one_batch_and_says_whether_there_is_more(acme: Tenant) -> None:
    assertions(acme, ROWS_IN_ONE_GO + 1, -SECOND)
    with acme.tx() as tx:
        assert sweep_expired(tx, now=acme.now)
    assert count(acme, "used_assertions") == 1
    with acme.tx() as tx:
        assert not sweep_expired(tx, now=acme.now)
    assert count(acme, "used_assertions") == 0


@pytest.mark.promise(4)
def test_a_tenant_is_swept_alone(acme: Tenant) -> None:
    """The fixture of this room asks whether the other tenant's rows, which are as old, are still there."""
    acme.task_token()
    clock_of(acme).forward(10 * 86_400)
    rows(acme, "UPDATE outbox SET done_at = now() - interval '10 days'")
    sweep(acme)
    assert count(acme, "outbox") == count(acme, "tokens") == 0


def test_everybody_is_swept_the_platform_too_and_one_that_fails_stops_nobody(acme: Tenant, rival: Tenant) -> None:
    begin = partial(transaction, acme.runtime.engine)
    everybody = list(every_tenant(begin))
    assert everybody[0] == PLATFORM
    assert set(everybody) == {PLATFORM, acme.seeded.id, rival.seeded.id}
    assertions(acme, 3, -SECOND)

    def fails_once(tenant_id: TenantId):  # type: ignore[no-untyped-def]
        begun.append(tenant_id)
        if len(begun) == 3:  # the platform, the list of tenants, the first of them
            raise RuntimeError
        return begin(tenant_id)

    begun: list[TenantId] = []
    sweep_all(fails_once, clock=lambda: acme.now)
    assert begun[:2] == [PLATFORM, PLATFORM]
    assert set(begun[2:]) == {acme.seeded.id, rival.seeded.id}
