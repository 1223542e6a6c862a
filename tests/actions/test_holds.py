"""An administrator's suspension keeps clients and delegations, or ends them; ``reactivate`` says which live again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from identity.actions.clients import revoke_client
from identity.actions.delegations import change_delegation, end_delegation, get_delegation
from identity.actions.lifecycle import Changed, change_state
from identity.actions.principals import protect, reactivate, suspend
from identity.actions.resources import delete_resource
from identity.model.access import Caller
from identity.model.errors import Conflict, NotAllowed, NotFound
from identity.model.lifecycle import NOTHING_RESTORED, Credentials, Restored, State, Transition
from identity.model.principal import Kind
from tests.actions.sources import Source, count, digest, last_told, principal, rows, state, told, work
from tests.fixtures import ADMINISTRATOR, CRM, Clock, Tenant, let_act, register

PARTIES = ["sam", "invoice-bot", "finance"]
BEFORE: dict[str, tuple[Transition, ...]] = {
    "active": (),
    "suspended": (Transition.SUSPEND,),
    "suspended twice": (Transition.SUSPEND, Transition.SUSPEND),
    "deprovisioned": (Transition.DEPROVISION,),
    "suspended, then deprovisioned": (Transition.SUSPEND, Transition.DEPROVISION),
    "deprovisioned, then suspended": (Transition.DEPROVISION, Transition.SUSPEND),
    "suspended, brought back by its source": (Transition.SUSPEND, Transition.DEPROVISION, Transition.SOURCE_REACTIVATE),
    "without an owner": (Transition.SUSPEND_UNOWNED,),
}


def id_of(tenant: Tenant, party: str) -> UUID:
    named = {"sam": tenant.seeded.sam, "finance": tenant.seeded.finance}
    return named[party] if party in named else tenant.agent(party).id


def let_act_for_sam(tenant: Tenant, **changed: Any) -> UUID:
    with tenant.tx() as tx:
        return let_act(tx, tenant.agent().id, None, **{"subject_id": tenant.seeded.sam} | changed)


def hold(tenant: Tenant, id_: UUID, credentials: Credentials, caller: Caller = ADMINISTRATOR) -> None:
    with tenant.tx() as tx:
        suspend(tx, id_, credentials=credentials, reason="test", caller=caller, now=tenant.now)


def let_go(tenant: Tenant, id_: UUID) -> Restored:
    with tenant.tx() as tx:
        changed: Changed = reactivate(tx, id_, reason="test", caller=ADMINISTRATOR, now=tenant.now)
    assert changed.principal.state is State.ACTIVE
    return changed.restored


def forward(tenant: Tenant, seconds: float) -> None:
    clock = tenant.runtime.clock
    assert isinstance(clock, Clock)
    clock.forward(seconds)


# --- what a suspension that revokes ends, whatever was before --------------------------------------------------


@pytest.mark.promise(1)
@pytest.mark.promise(9)
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("party", PARTIES)
def test_after_a_suspension_that_revokes_no_reactivation_brings_anything_back(
    acme: Tenant, before: str, party: str
) -> None:
    """With no worker running, so that nothing but the counters says what ended."""
    id_ = id_of(acme, party)
    own = let_act_for_sam(acme)
    for verb in BEFORE[before]:
        acme.befall(id_, verb)
    hold(acme, id_, Credentials.REVOKE)
    found = principal(acme, id_)
    assert found is not None and found.is_held and found.state is not State.ACTIVE
    assert let_go(acme, id_) == NOTHING_RESTORED
    forward(acme, 2)
    if party == "sam":  # the delegation for him alone ended with him, the one for his group did not
        with acme.tx() as tx:
            end_delegation(tx, acme.seeded.delegations["invoice-bot"], caller=ADMINISTRATOR, now=acme.now)
    refused = {"invoice-bot": 401, "sam": 400, "finance": 200}  # for Sam alone it may act, whatever his group is
    assert acme.exchange("invoice-bot").status_code == refused[party]
    work(acme)
    assert count(acme, "delegations WHERE id = :id AND ended_at IS NOT NULL", id=own) == int(party != "finance")


@pytest.mark.promise(9)
@pytest.mark.parametrize("party", PARTIES)
def test_a_suspension_that_revokes_takes_effect_on_one_that_kept_and_says_so(acme: Tenant, party: str) -> None:
    id_, clients = id_of(acme, party), int(party == "invoice-bot")
    let_act_for_sam(acme)
    hold(acme, id_, Credentials.KEEP)
    hold(acme, id_, Credentials.REVOKE)
    kept, revoked = (recorded.event.detail for recorded in acme.events(principal_id=id_)[-2:])
    assert kept == {"was": "active", "held": True, "ended": {"clients": 0}, "credentials": "keep"}
    assert revoked == {"was": "suspended", "held": True, "ended": {"clients": clients}, "credentials": "revoke"}
    counters = rows(acme, "SELECT epoch, end_count FROM principals WHERE id = :id", id=id_)
    assert counters == [(2, 1)]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("has_worked", [False, True])
def test_revoking_twice_is_revoking_once(acme: Tenant, before: str, has_worked: bool) -> None:
    agent = acme.agent().id
    for verb in BEFORE[before]:
        acme.befall(agent, verb)
    hold(acme, agent, Credentials.REVOKE)
    if has_worked:
        work(acme)
    once = digest(acme)
    forward(acme, 5)
    hold(acme, agent, Credentials.REVOKE)
    assert digest(acme) == once


def test_a_suspension_that_keeps_changes_nothing_after_one_that_revoked(acme: Tenant) -> None:
    agent = acme.agent().id
    hold(acme, agent, Credentials.REVOKE)
    once = digest(acme)
    hold(acme, agent, Credentials.KEEP)
    assert digest(acme) == once
    assert let_go(acme, agent) == NOTHING_RESTORED


def test_a_client_alone_and_a_delegation_alone_are_kept_and_can_be_revoked_later(acme: Tenant) -> None:
    agent = acme.agent("mail-bot")
    with acme.tx() as tx:
        end_delegation(tx, acme.seeded.delegations["mail-bot"], caller=ADMINISTRATOR, now=acme.now)
        revoke_client(tx, acme.agent("ocr-bot").client_id, caller=ADMINISTRATOR, now=acme.now)
    for id_, client_ids, delegations in ((agent.id, (agent.client_id,), 0), (acme.agent("ocr-bot").id, (), 1)):
        hold(acme, id_, Credentials.KEEP)
        assert let_go(acme, id_) == Restored(client_ids, delegations)
        hold(acme, id_, Credentials.KEEP)
        hold(acme, id_, Credentials.REVOKE)
        assert let_go(acme, id_) == NOTHING_RESTORED


def test_a_delegation_that_expired_while_it_was_kept_ends_too_and_no_change_of_it_brings_it_back(acme: Tenant) -> None:
    sam = acme.seeded.sam
    delegation = let_act_for_sam(acme, expires_at=acme.now + timedelta(seconds=60))
    hold(acme, sam, Credentials.KEEP)
    forward(acme, 120)
    hold(acme, sam, Credentials.REVOKE)
    assert let_go(acme, sam) == NOTHING_RESTORED
    assert rows(acme, "SELECT end_count FROM principals WHERE id = :id", id=sam) == [(1,)]
    with acme.tx() as tx, pytest.raises(Conflict, match="has ended"):
        change_delegation(tx, delegation, {"expires_at": None}, expected_version=None,
                          caller=ADMINISTRATOR, now=acme.now)  # fmt: skip


# --- what lives again is told ----------------------------------------------------------------------------------


def _delegation_ended(acme: Tenant, delegation: UUID) -> None:
    with acme.tx() as tx:
        end_delegation(tx, delegation, caller=ADMINISTRATOR, now=acme.now)


def _resource_deleted(acme: Tenant, _: UUID) -> None:
    [(resource,)] = rows(acme, "SELECT id FROM resources WHERE audience = :crm", crm=CRM)
    with acme.tx() as tx:
        delete_resource(tx, resource, caller=ADMINISTRATOR, now=acme.now)


def _actor(verb: Transition) -> Callable[[Tenant, UUID], None]:
    return lambda acme, _: acme.befall(acme.agent().id, verb)


GONE: dict[str, Callable[[Tenant, UUID], None]] = {
    "it was ended": _delegation_ended,
    "it expired": lambda acme, _: forward(acme, 61),
    "its resource server was deleted": _resource_deleted,
    "its agent is suspended": _actor(Transition.SUSPEND),
    "its agent is suspended for good": _actor(Transition.SUSPEND_AND_REVOKE),
    "its agent is deprovisioned": _actor(Transition.DEPROVISION),
    "its agent was deleted": _actor(Transition.DELETE),
}


@pytest.mark.parametrize("gone", GONE)
def test_a_delegation_is_not_told_that_does_not_live_again(acme: Tenant, gone: str) -> None:
    sam = acme.seeded.sam
    delegation = let_act_for_sam(acme, resource=CRM, expires_at=acme.now + timedelta(seconds=60))
    hold(acme, sam, Credentials.KEEP)
    assert let_go(acme, sam) == Restored((), 1)
    hold(acme, sam, Credentials.KEEP)
    GONE[gone](acme, delegation)
    assert let_go(acme, sam) == NOTHING_RESTORED


def test_a_reactivated_agent_is_told_with_its_clients_and_with_delegations_for_people_and_groups(acme: Tenant) -> None:
    agent = acme.agent()
    let_act_for_sam(acme)
    with acme.tx() as tx:
        second, third = (register(tx, principal_id=agent.id).client_id for _ in range(2))
        revoke_client(tx, third, caller=ADMINISTRATOR, now=acme.now)
    hold(acme, agent.id, Credentials.KEEP)
    restored = let_go(acme, agent.id)
    assert restored == Restored(tuple(sorted((agent.client_id, second))), delegations=2)
    told_of_it = last_told(acme, agent.id).event
    assert told_of_it.type == "agent.reactivated"
    assert told_of_it.detail == {
        "was": "suspended", "held": False, "ended": {},
        "restored": {"clients": list(restored.clients), "delegations": 2, "has_more_delegations": False},
    }  # fmt: skip


def test_a_reactivated_group_is_told_with_the_delegations_for_its_members(acme: Tenant) -> None:
    finance = acme.seeded.finance
    hold(acme, finance, Credentials.KEEP)
    assert let_go(acme, finance) == Restored((), len(acme.seeded.delegations))


def test_a_delegation_of_two_that_were_suspended_lives_again_with_the_second(acme: Tenant) -> None:
    sam, agent = acme.seeded.sam, acme.agent("mail-bot")
    with acme.tx() as tx:
        let_act(tx, agent.id, None, subject_id=sam)
    for id_ in (sam, agent.id):
        hold(acme, id_, Credentials.KEEP)
    assert let_go(acme, sam) == NOTHING_RESTORED
    assert let_go(acme, agent.id) == Restored((agent.client_id,), 2)


def test_who_was_active_all_along_is_told_with_nothing_that_lives_again(acme: Tenant) -> None:
    agent = acme.agent().id
    before = digest(acme)
    assert let_go(acme, agent) == NOTHING_RESTORED
    assert digest(acme) == before


def test_new_clients_and_delegations_of_a_reactivated_agent_are_kept_by_the_next_suspension(acme: Tenant) -> None:
    """What ended before it is still there, and no worker has written so."""
    agent = acme.agent().id
    hold(acme, agent, Credentials.REVOKE)
    let_go(acme, agent)
    with acme.tx() as tx:
        client = register(tx, principal_id=agent).client_id
    let_act_for_sam(acme)
    hold(acme, agent, Credentials.KEEP)
    assert let_go(acme, agent) == Restored((client,), 1)


@pytest.mark.promise(9)
@pytest.mark.parametrize("looked_at_max", [1_000, 2])
def test_a_new_delegation_beside_many_that_ended_before_is_ended_by_a_later_suspension(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch, looked_at_max: int
) -> None:
    """Also where only others are looked at, of which no worker has written that they ended."""
    monkeypatch.setattr("identity.store.lifecycle.DELEGATIONS_COUNTED_MAX", looked_at_max)
    finance = acme.seeded.finance
    hold(acme, finance, Credentials.REVOKE)
    let_go(acme, finance)
    with acme.tx() as tx:
        delegation = let_act(tx, acme.agent().id, finance)
    hold(acme, finance, Credentials.KEEP)
    hold(acme, finance, Credentials.REVOKE)
    with acme.tx() as tx:
        assert get_delegation(tx, delegation).ended_reason == "party_ended"


@pytest.mark.promise(10)
def test_of_many_delegations_a_bounded_number_is_looked_at_and_revoking_them_needs_no_look(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("identity.store.lifecycle.DELEGATIONS_COUNTED_MAX", 2)
    finance = acme.seeded.finance
    hold(acme, finance, Credentials.KEEP)
    assert let_go(acme, finance) == Restored((), 2, has_more_delegations=True)
    for _ in range(2):
        hold(acme, finance, Credentials.REVOKE)  # of more than are looked at, some may be kept
    assert let_go(acme, finance) == Restored((), 0, has_more_delegations=True)
    work(acme)
    hold(acme, finance, Credentials.KEEP)
    assert let_go(acme, finance) == NOTHING_RESTORED


# --- who may, and whom -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("credentials", Credentials)
@pytest.mark.parametrize(("by", "reason"), [("another", "foreign_provenance"), ("its own", "protected")])
def test_a_connection_that_may_not_change_a_principal_suspends_it_in_neither_way(
    source: Source, other: Source, acme: Tenant, credentials: Credentials, by: str, reason: str
) -> None:
    user = source.user("pat")
    with acme.tx() as tx:
        protect(tx, user, reason="test", caller=ADMINISTRATOR, now=acme.now)
    before = digest(acme)
    with pytest.raises(NotAllowed) as refused:
        hold(acme, user, credentials, caller=(other if by == "another" else source).caller)
    assert refused.value.reason == reason
    assert digest(acme) == before


@pytest.mark.parametrize("credentials", Credentials)
def test_a_deleted_principal_is_suspended_in_neither_way(
    source: Source, acme: Tenant, credentials: Credentials
) -> None:
    user = source.user("pat")
    source.delete(Kind.USER, user)
    before = digest(acme)
    with pytest.raises(NotFound):
        hold(acme, user, credentials)
    assert digest(acme) == before


def test_a_source_s_word_brings_nobody_back_whom_a_suspension_holds(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    hold(acme, user, Credentials.REVOKE)
    for active in (False, True):
        source.amend(Kind.USER, user, active=active)
    assert state(acme, user) is State.SUSPENDED
    assert told(acme, user)[-1] == "user.held"


def test_a_suspension_that_fails_ends_nothing(acme: Tenant) -> None:
    token, before = acme.task_token(), digest(acme)
    with pytest.raises(RuntimeError), acme.tx() as tx:
        change_state(
            tx, acme.agent().id, Transition.SUSPEND_AND_REVOKE, reason="test", caller=ADMINISTRATOR, now=acme.now
        )
        raise RuntimeError
    assert digest(acme) == before
    assert acme.is_live(token)
