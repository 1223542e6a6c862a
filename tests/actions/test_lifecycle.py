"""Suspend, reactivate, deprovision, delete: what ends with a principal, and what never returns."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from identity.actions.delegations import get_delegation, list_delegations
from identity.actions.lifecycle import change_state
from identity.actions.principals import deprovision, reactivate, suspend
from identity.actions.tasks import get_task, list_tasks
from identity.model.errors import NotFound
from identity.model.lifecycle import State, Transition
from identity.model.principal import Kind
from tests.actions.sources import (
    Source,
    administrator,
    count,
    digest,
    due,
    last_told,
    principal,
    rows,
    state,
    told,
    work,
)
from tests.fixtures import ADMINISTRATOR, ERP, TYPE, Clock, Tenant, let_act

ENDS = [Transition.SUSPEND, Transition.SUSPEND_AND_REVOKE, Transition.DEPROVISION, Transition.DELETE]
SUSPENSIONS = {Transition.SUSPEND: "keep", Transition.SUSPEND_AND_REVOKE: "revoke"}


def clock_of(tenant: Tenant) -> Clock:
    clock = tenant.runtime.clock
    assert isinstance(clock, Clock)
    return clock


def task_of(tenant: Tenant) -> UUID:
    [(txn,)] = rows(tenant, "SELECT txn FROM tasks WHERE state = 'open'")
    return UUID(str(txn))


# --- everything ends in one transaction ------------------------------------------------------------------------


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
def test_when_a_person_goes_every_token_for_him_is_dead_with_no_worker_running(acme: Tenant, verb: Transition) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    assert all(acme.is_live(token) for token in tokens)
    acme.befall(acme.seeded.sam, verb)
    assert not any(acme.is_live(token) for token in tokens)
    assert acme.exchange("invoice-bot").status_code == 400
    assert acme.exchange("archive-bot", tokens[-1]).status_code == 400
    assert len(due(acme)) == 1


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
def test_when_an_agent_goes_every_token_that_it_acts_by_is_dead(acme: Tenant, verb: Transition) -> None:
    own, [first, second] = acme.own_token("invoice-bot"), acme.chain("invoice-bot", "ocr-bot")
    acme.befall(acme.agent("invoice-bot").id, verb)
    assert not any(acme.is_live(token) for token in (first, second))
    assert acme.introspect(own) == {"active": False}
    assert acme.ask(acme.agent("invoice-bot"), grant_type="client_credentials").status_code == 401
    assert acme.exchange("ocr-bot", first).status_code == 400
    assert acme.is_live(acme.task_token("ocr-bot"))


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
def test_when_a_group_goes_the_delegation_for_its_members_ends(acme: Tenant, verb: Transition) -> None:
    token = acme.task_token()
    acme.befall(acme.seeded.finance, verb)
    assert not acme.is_live(token)
    assert acme.exchange("invoice-bot").status_code == 400


PAST = dict.fromkeys(SUSPENSIONS, "suspended") | {Transition.DEPROVISION: "deprovisioned", Transition.DELETE: "deleted"}


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
def test_state_epoch_clients_cutoff_event_and_notice_are_written_together(acme: Tenant, verb: Transition) -> None:
    acme.task_token()
    agent, is_end = acme.agent("invoice-bot").id, verb is not Transition.SUSPEND
    acme.befall(agent, verb)
    counters = rows(acme, "SELECT epoch, end_count FROM principals WHERE id = :id", id=agent)
    assert counters == [(1, int(is_end))]
    assert count(acme, "clients WHERE principal_id = :id AND revoked_at IS NULL", id=agent) == int(not is_end)
    assert count(acme, "cutoffs WHERE kind = 'principal' AND key = :id", id=str(agent)) == 1
    assert count(acme, "outbox WHERE principal_id = :id AND done_at IS NULL", id=agent) == 1
    recorded = acme.events(principal_id=agent)[-1].event
    assert (recorded.type, recorded.reason) == (f"agent.{PAST[verb]}", "test")
    kept = {"credentials": SUSPENSIONS[verb]} if verb in SUSPENSIONS else {}
    assert recorded.detail == {"was": "active", "held": verb in SUSPENSIONS, "ended": {"clients": int(is_end)}} | kept


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
@pytest.mark.parametrize("party", ["sam", "invoice-bot", "finance"])
def test_what_rests_on_it_is_shown_as_ended_before_a_worker_has_written_so(
    acme: Tenant, verb: Transition, party: str
) -> None:
    acme.task_token()
    agent, txn, delegation = acme.agent("invoice-bot").id, task_of(acme), acme.seeded.delegations["invoice-bot"]
    acme.befall({"sam": acme.seeded.sam, "finance": acme.seeded.finance, "invoice-bot": agent}[party], verb)
    with acme.tx() as tx:
        found, listed = get_delegation(tx, delegation), list_delegations(tx, **EVERY)
        task, tasks = get_task(tx, txn), list_tasks(tx, principal_id=None, after=None, limit=100)
    is_ended = party != "sam" and verb is not Transition.SUSPEND
    assert (found.ended_at, found.ended_reason) == ((acme.now, "party_ended") if is_ended else (None, None))
    assert found in listed
    assert task.state == ("open" if party == "finance" else "cancelled")
    assert task in tasks


EVERY: dict[str, Any] = {"actor_id": None, "subject_id": None, "after": None, "limit": 100}


@pytest.mark.promise(2)
@pytest.mark.parametrize("verb", ENDS)
@pytest.mark.parametrize("is_back", [False, True])
def test_a_worker_writes_that_they_ended_whatever_the_principal_s_state_is_by_then(
    acme: Tenant, verb: Transition, is_back: bool
) -> None:
    acme.task_token()
    agent, txn, is_end = acme.agent("invoice-bot").id, task_of(acme), verb is not Transition.SUSPEND
    acme.befall(agent, verb)
    if is_back and verb is not Transition.DELETE:
        acme.befall(agent, Transition.REACTIVATE)
    work(acme)
    ended = "delegations WHERE actor_id = :id AND ended_at IS NOT NULL AND ended_reason = 'party_ended'"
    assert count(acme, ended, id=agent) == int(is_end)
    assert count(acme, "tasks WHERE txn = :txn AND state = 'cancelled' AND ended_at IS NOT NULL", txn=txn) == 1
    cancelled = acme.events(txn=txn)[-1].event
    assert (cancelled.type, cancelled.subject_id, cancelled.actor_ids) == ("task.cancelled", acme.seeded.sam, (agent,))
    assert cancelled.detail == {"principal": str(agent), "kind": "agent"}


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", ENDS)
def test_a_transaction_that_fails_ends_nothing_and_tells_nothing(acme: Tenant, verb: Transition) -> None:
    token, before = acme.task_token(), digest(acme)
    with pytest.raises(RuntimeError), acme.tx() as tx:
        change_state(tx, acme.seeded.sam, verb, reason="test", caller=ADMINISTRATOR, now=acme.now)
        raise RuntimeError
    assert digest(acme) == before
    assert acme.is_live(token)


def test_what_belongs_to_nobody_involved_stays(acme: Tenant) -> None:
    dana = acme.task_token("invoice-bot", person="dana")
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    assert acme.is_live(dana)
    assert count(acme, "delegations WHERE ended_at IS NOT NULL") == 0
    assert count(acme, "clients WHERE revoked_at IS NOT NULL") == 0


# --- twice is once ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*SUSPENSIONS, Transition.DEPROVISION, Transition.REACTIVATE])
def test_doing_it_twice_is_doing_it_once(acme: Tenant, verb: Transition) -> None:
    acme.befall(acme.seeded.sam, verb)
    before = digest(acme)
    clock_of(acme).forward(5)
    acme.befall(acme.seeded.sam, verb)
    assert digest(acme) == before


def test_nobody_is_deleted_twice(acme: Tenant) -> None:
    acme.befall(acme.seeded.sam, Transition.DELETE)
    before = digest(acme)
    for verb in Transition:
        with pytest.raises(NotFound):
            acme.befall(acme.seeded.sam, verb)
    assert digest(acme) == before


def test_who_is_deprovisioned_can_be_held_stays_so_and_no_source_restores_him(acme: Tenant) -> None:
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    acme.befall(acme.seeded.sam, Transition.SUSPEND)
    held = "SELECT state, is_held FROM principals WHERE tenant_id = :tenant AND id = :sam"
    assert acme.sql(held, sam=acme.seeded.sam) == [("deprovisioned", True)]
    acme.befall(acme.seeded.sam, Transition.SOURCE_REACTIVATE)
    assert acme.sql(held, sam=acme.seeded.sam) == [("suspended", True)]


# --- nothing comes back ----------------------------------------------------------------------------------------


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", [*SUSPENSIONS, Transition.DEPROVISION])
@pytest.mark.parametrize("party", ["sam", "invoice-bot", "finance"])
def test_reactivation_revives_no_token_and_after_an_end_no_credential_or_delegation(
    acme: Tenant, verb: Transition, party: str
) -> None:
    """With no worker running, so that nothing but the counters says what ended. One suspension only holds."""
    token, agent = acme.task_token(), acme.agent("invoice-bot")
    own = acme.own_token("invoice-bot")
    id_ = {"sam": acme.seeded.sam, "finance": acme.seeded.finance, "invoice-bot": agent.id}[party]
    acme.befall(id_, verb)
    acme.befall(id_, Transition.REACTIVATE)
    assert not acme.is_live(token)
    assert acme.exchange("ocr-bot", token).status_code == 400
    clock_of(acme).forward(2)
    is_kept = verb is Transition.SUSPEND
    if party == "invoice-bot":
        asked = acme.ask(agent, grant_type="client_credentials").status_code
        assert (asked, acme.introspect(own)["active"]) == (200 if is_kept else 401, False)
    if party != "sam":
        assert acme.exchange("invoice-bot").status_code == (200 if is_kept else 401 if party != "finance" else 400)


def test_a_reactivated_person_gets_new_tokens_once_he_has_signed_in_again(acme: Tenant) -> None:
    before = acme.id_token()
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    acme.befall(acme.seeded.sam, Transition.REACTIVATE)
    clock_of(acme).forward(2)
    replayed = acme.exchange("invoice-bot", before, subject_token_type=f"{TYPE}id_token", resource=ERP)
    assert replayed.status_code == 400
    assert acme.is_live(acme.task_token())


def test_reactivation_gives_no_epoch_and_a_second_cut_another(acme: Tenant) -> None:
    sam = acme.seeded.sam
    epochs = []
    for verb in (Transition.SUSPEND, Transition.REACTIVATE, Transition.DEPROVISION, Transition.REACTIVATE):
        acme.befall(sam, verb)
        found = principal(acme, sam)
        assert found is not None
        epochs.append(found.epoch)
    assert epochs == [1, 1, 2, 2]


def test_a_cutoff_never_moves_back(acme: Tenant) -> None:
    """Whatever the clocks of two web servers say."""
    for seconds, verb in ((10, Transition.SUSPEND), (0, Transition.DEPROVISION)):
        with acme.tx() as tx:
            now = acme.now + timedelta(seconds=seconds)
            change_state(tx, acme.seeded.sam, verb, reason="test", caller=ADMINISTRATOR, now=now)
    [(not_before,)] = rows(acme, "SELECT not_before FROM cutoffs WHERE kind = 'principal'")
    assert not_before == acme.now + timedelta(seconds=10)


# --- what a source says of active, and what an administrator did -----------------------------------------------


def test_active_false_is_deprovisioning_and_true_afterwards_reactivation(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    source.amend(Kind.USER, user, active=False)
    assert state(acme, user) is State.DEPROVISIONED
    source.amend(Kind.USER, user, active=True)
    assert state(acme, user) is State.ACTIVE
    assert told(acme, user) == [
        "user.created",
        "user.amended",
        "user.deprovisioned",
        "user.amended",
        "user.reactivated",
    ]
    assert [each.event.reason for each in acme.events(principal_id=user)][2::2] == ["active_false", "active_true"]


@pytest.mark.promise(1)
def test_active_false_ends_everything_in_the_same_transaction(source: Source, acme: Tenant) -> None:
    owner = source.user("pat")
    agent = source.agent("bot", owner)
    with acme.tx() as tx:
        let_act(tx, agent, acme.seeded.finance)
    source.amend(Kind.AGENT, agent, active=False)
    with acme.tx() as tx:
        assert [each.ended_reason for each in list_delegations(tx, **EVERY | {"actor_id": agent})] == ["party_ended"]
    assert last_told(acme, agent).event.type == "agent.deprovisioned"


BY_ADMINISTRATOR: dict[str, Callable[..., object]] = {"suspend": suspend, "deprovision": deprovision}


@pytest.mark.parametrize("verb", BY_ADMINISTRATOR)
def test_a_source_that_repeats_itself_does_not_undo_an_administrator(source: Source, acme: Tenant, verb: str) -> None:
    user = source.user("pat")
    with acme.tx() as tx:
        BY_ADMINISTRATOR[verb](tx, user, reason="incident", caller=ADMINISTRATOR, now=acme.now)
    held = state(acme, user)
    for _ in range(2):
        source.amend(Kind.USER, user, active=True)
        source.amend(Kind.USER, user, active=True, displayName="Pat")
    assert state(acme, user) is held is not State.ACTIVE


def test_a_source_that_says_false_of_a_suspended_person_deprovisions_him(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    acme.befall(user, Transition.SUSPEND)
    source.amend(Kind.USER, user, active=False)
    assert state(acme, user) is State.DEPROVISIONED


def test_a_source_that_repeats_false_has_the_last_word_over_an_administrator_s_reactivation(
    source: Source, acme: Tenant
) -> None:
    """Whoever errs, errs on the side of no access."""
    user = source.user("pat")
    source.amend(Kind.USER, user, active=False)
    with acme.tx() as tx:
        reactivate(tx, user, reason="mistake", caller=ADMINISTRATOR, now=acme.now)
    assert state(acme, user) is State.ACTIVE
    assert source.read(Kind.USER, user).principal.document["active"] is True
    source.amend(Kind.USER, user, active=False)
    assert state(acme, user) is State.DEPROVISIONED


def test_a_group_s_document_never_says_active(source: Source, acme: Tenant) -> None:
    group = administrator(acme).group("team")
    document = dict(rows(acme, "SELECT document FROM principals WHERE id = :id", id=group)[0][0])
    acme.befall(group, Transition.SUSPEND)
    acme.befall(group, Transition.REACTIVATE)
    assert rows(acme, "SELECT document FROM principals WHERE id = :id", id=group)[0][0] == document


def test_every_task_that_ends_is_told_of_however_many_there_are(acme: Tenant) -> None:
    acme.task_token()
    rows(
        acme,
        "INSERT INTO tasks SELECT (jsonb_populate_record(t, jsonb_build_object('txn', gen_random_uuid()))).*"
        " FROM tasks t, generate_series(1, 1099)",
    )
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    work(acme)
    assert count(acme, "events WHERE type = 'task.cancelled'") == 1_100
    assert count(acme, "tasks WHERE state = 'open'") == 0
