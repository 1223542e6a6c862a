"""Rows of the outbox on which nothing rests are done together: which they are, and what that costs."""

from collections.abc import Callable
from functools import partial

import pytest

from identity.model.lifecycle import Transition
from identity.model.principal import Kind
from identity.store.lifecycle import principal_observe
from identity.store.transaction import transaction
from tests.actions.sources import Source, count, due, forget_news, rows, work
from tests.fixtures import Tenant
from tests.statement_counter import round_trips
from tests.workers.rows import run_rows
from workers.tasks import OutboxWorker


def agent_of_somebody(source: Source) -> None:
    source.agent("bot", source.user("pat"))


def agent_of_somebody_who_left(source: Source) -> None:
    source.agent("bot", source.user("pat", active=False))


def agent_of_a_group(source: Source) -> None:
    source.agent("bot", source.group("team", source.user("pat")))


def somebody_who_owned_left(source: Source) -> None:
    pat = source.user("pat")
    source.agent("bot", pat)
    forget_news(source.tenant)
    source.tenant.befall(pat, Transition.DEPROVISION)


def somebody_in_a_group_left(source: Source) -> None:
    pat = source.user("pat")
    source.group("team", pat)
    forget_news(source.tenant)
    source.tenant.befall(pat, Transition.DEPROVISION)


def somebody_in_a_group_was_deleted(source: Source) -> None:
    pat = source.user("pat")
    source.group("team", pat)
    forget_news(source.tenant)
    source.delete(Kind.USER, pat)


def somebody_without_anything_left(source: Source) -> None:
    source.tenant.befall(source.user("pat"), Transition.DEPROVISION)


def agent_with_a_delegation_left(source: Source) -> None:
    source.tenant.befall(source.tenant.agent().id, Transition.DEPROVISION)


def person_with_a_task_was_suspended(source: Source) -> None:
    source.tenant.task_token()
    rows(source.tenant, "DELETE FROM principal_owners WHERE owner_id = :sam", sam=source.tenant.seeded.sam)
    rows(source.tenant, "DELETE FROM group_members WHERE member_id = :sam", sam=source.tenant.seeded.sam)
    forget_news(source.tenant)
    source.tenant.befall(source.tenant.seeded.sam, Transition.SUSPEND)


def group_was_deleted(source: Source) -> None:
    team = source.group("team")
    forget_news(source.tenant)
    source.delete(Kind.GROUP, team)


QUIET: list[Callable[[Source], None]] = [agent_of_somebody, somebody_without_anything_left]
NOT_QUIET: list[Callable[[Source], None]] = [
    agent_of_somebody_who_left, agent_of_a_group, somebody_who_owned_left, somebody_in_a_group_left,
    somebody_in_a_group_was_deleted, agent_with_a_delegation_left, person_with_a_task_was_suspended, group_was_deleted,
]  # fmt: skip


def _settled_at_once(tenant: Tenant) -> set[bool]:
    """Whether each row of the outbox was done without a look at its principal alone."""
    alone: list[object] = []

    def reconcile(*_: object, **__: object) -> None:
        alone.append(True)

    waiting = due(tenant)
    open_transaction, clock = partial(transaction, tenant.runtime.engine), tenant.runtime.clock
    run_rows(open_transaction, tenant.seeded.id, waiting, reconcile=reconcile, clock=clock, worker=OutboxWorker)
    return {not alone} if len(alone) in (0, len(waiting)) else {True, False}


@pytest.mark.parametrize("case", QUIET)
def test_what_has_nothing_to_change_is_done_at_once(
    source: Source, acme: Tenant, case: Callable[[Source], None]
) -> None:
    forget_news(acme)
    case(source)
    assert due(acme)
    assert _settled_at_once(acme) == {True}


@pytest.mark.parametrize("case", NOT_QUIET)
def test_what_may_have_something_to_change_is_looked_at_alone(
    source: Source, acme: Tenant, case: Callable[[Source], None]
) -> None:
    forget_news(acme)
    case(source)
    assert due(acme)
    assert _settled_at_once(acme) == {False}


@pytest.mark.promise(10)
def test_a_batch_of_quiet_rows_takes_as_many_statements_as_one(source: Source, acme: Tenant) -> None:
    taken = []
    for number in (2, 40):
        forget_news(acme)
        owner = source.user(f"owner of {number}")
        for bot in range(number):
            source.agent(f"bot {bot} of {number}", owner)
        with round_trips(acme.runtime.engine) as trips:
            work(acme)
        taken.append(len(trips))
    assert taken[0] == taken[1]


def test_a_leaver_who_owned_one_agent_takes_two_transactions_and_few_statements(source: Source, acme: Tenant) -> None:
    somebody_who_owned_left(source)
    with round_trips(acme.runtime.engine) as trips:
        work(acme)
    assert len(trips) <= 32, "of the leaver and of the agent that was suspended"


def test_a_version_that_was_committed_meanwhile_is_not_taken_for_observed(source: Source, acme: Tenant) -> None:
    pat = source.user("pat")
    work(acme)
    behind = "principals WHERE id = :id AND observed_version < version"
    with acme.tx() as tx:
        [(version,)] = rows(acme, "SELECT version FROM principals WHERE id = :id", id=pat)
        acme.befall(pat, Transition.DEPROVISION)
        principal_observe(tx, pat, version)
    assert count(acme, behind, id=pat) == 1
    work(acme)
    assert count(acme, behind, id=pat) == 0
