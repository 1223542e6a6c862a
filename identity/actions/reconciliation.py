"""Reconciling: bring what rests on a principal in line with its present state. Running it again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import apply_state
from identity.model.access import Caller
from identity.model.delegation import PARTY_ENDED
from identity.model.event import Event
from identity.model.lifecycle import State, Transition
from identity.model.principal import ACTORS, Kind, Principal
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.lifecycle import ended_rows_end, memberships_end, notices_insert, principal_observe
from identity.store.ownership import group_and_above, group_answers, groups_above, is_unowned, unowned_list
from identity.store.principals import principal_find, principal_lock
from identity.store.settled import Remains, remains_find, settled_observe


@dataclass(frozen=True, slots=True)
class Place:
    """How far one reconciliation got; each of its steps is a transaction of its own.

    ``owner`` is whose agents are looked at, ``agents_after`` the last that was; ``groups_after`` the source and id of
    the last group that the principal is in; ``version`` that of the principal at the first step.
    """

    version: int | None = None
    owner: UUID | None = None
    agents_after: UUID | None = None
    groups_after: tuple[UUID, UUID] | None = None


BEGINNING = Place()


def observe_quiet(tx: Tx, principal_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of many principals that ``reconcile_principal`` would find in line, and write that they are."""
    return settled_observe(tx, principal_ids)


def reconcile_principal(
    tx: Tx, principal_id: UUID, *, place: Place = BEGINNING, caller: Caller, now: datetime
) -> Place | None:
    """Do the next step for one principal; return where to go on in another transaction, None when all is done.

    Level-triggered: it looks at what is, not at what happened. First come the rows that ended with the principal, then
    the agents that it owns, then the groups that it is in: those of a group are looked at here, those of a user each by
    itself, for they may be many. One step suspends one agent: one that cut several would hold rows of many people, and
    two such could each wait for the other.
    """
    principal = principal_find(tx, principal_id)
    if principal is None:
        return None
    place = place if place.version is not None else replace(place, version=principal.version)
    remains = remains_find(tx, principal.id)
    if _ended_rows_remain(tx, principal, remains, caller=caller, now=now):
        return place
    if principal.kind in ACTORS and is_unowned(tx, principal_id):
        _suspend(tx, principal_id, caller=caller, now=now)
    following = _next_step(tx, principal, remains, place, caller=caller, now=now)
    if following is not None:
        return replace(following, version=place.version)
    principal_observe(tx, principal_id, place.version or principal.version)
    return None


def _next_step(
    tx: Tx, principal: Principal, remains: Remains, place: Place, *, caller: Caller, now: datetime
) -> Place | None:
    if principal.kind is Kind.GROUP:
        return _look_at_groups(tx, principal.id, place, caller=caller, now=now)
    if principal.kind is not Kind.USER or principal.state is State.ACTIVE:
        return None
    if remains.owns and place.groups_after is None:
        following = _look_at_agents(tx, principal.id, place.agents_after, caller=caller, now=now)
        if following is not None:
            return following
    if not remains.is_member:
        return None
    above = groups_above(tx, principal.id, after=place.groups_after)
    notices_insert(tx, above.may_answer)
    return None if above.last is None else Place(groups_after=above.last)


def _look_at_groups(tx: Tx, group_id: UUID, place: Place, *, caller: Caller, now: datetime) -> Place | None:
    """Look at the agents of a group and of every group above it, one group after the other, in the order of ids."""
    owners = [id_ for id_ in group_and_above(tx, group_id) if place.owner is None or id_ >= place.owner]
    if not owners:
        return None
    owner, *others = owners
    if not group_answers(tx, owner):
        after = place.agents_after if owner == place.owner else None
        following = _look_at_agents(tx, owner, after, caller=caller, now=now)
        if following is not None:
            return following
    return Place(owner=others[0]) if others else None


def _ended_rows_remain(tx: Tx, principal: Principal, remains: Remains, *, caller: Caller, now: datetime) -> bool:
    """End one batch of what rests on a principal that was cut since; True when there may be more."""
    if remains.memberships and memberships_end(tx, principal.id):
        return True
    if not (remains.delegations or remains.tasks):
        return False
    rows = ended_rows_end(
        tx, principal.id, end_count=principal.end_count, epoch=principal.epoch, reason=PARTY_ENDED, now=now
    )
    cause = {"principal": str(principal.id), "kind": principal.kind}
    told = [
        Event(
            type="task.cancelled",
            subject_id=task.subject_id,
            actor_ids=(task.actor_id,),
            txn=task.txn,
            reason=PARTY_ENDED,
            detail=cause,
        )
        for task in rows.tasks
    ]
    if told:
        event_insert(tx, *told, caller=caller, now=now)
    return rows.is_more


def _look_at_agents(tx: Tx, owner_id: UUID, after: UUID | None, *, caller: Caller, now: datetime) -> Place | None:
    """Suspend the next agent of an owner that nobody active answers for; None when there is none left."""
    batch = unowned_list(tx, owner_id, after=after)
    for agent_id in batch.unowned[:1]:
        _suspend(tx, agent_id, caller=caller, now=now)
        if len(batch.unowned) > 1:
            return Place(owner=owner_id, agents_after=agent_id)
    return None if batch.last is None else Place(owner=owner_id, agents_after=batch.last)


def _suspend(tx: Tx, agent_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Lock, and look once more: it may have got an owner, or gone away, while nobody held it."""
    agent = principal_lock(tx, agent_id)
    if agent is not None and is_unowned(tx, agent_id):
        apply_state(tx, agent, Transition.SUSPEND_UNOWNED, reason="no_active_owner", caller=caller, now=now)
