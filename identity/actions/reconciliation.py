"""Reconciling: rows that depend on a principal are changed to fit its present state. A second run changes nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import transition
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
from identity.store.settled import Remains, remains_find


@dataclass(frozen=True, slots=True)
class Position:
    """How far one reconciliation got; each of its steps is a transaction of its own.

    ``owner`` is the owner of the agents that are looked at, ``agents_after`` the last agent that was. ``groups_after``
    is the source and id of the last group of the principal that was. ``version`` is the principal's at the first step.
    """

    version: int | None = None
    owner: UUID | None = None
    agents_after: UUID | None = None
    groups_after: tuple[UUID, UUID] | None = None


BEGINNING = Position()


def reconcile_principal(
    tx: Tx, principal_id: UUID, *, position: Position = BEGINNING, caller: Caller, now: datetime
) -> Position | None:
    """Do the next step for one principal; return the position of the step after it, None when all is done.

    Level-triggered: it looks at the present state, not at the change. First come the rows that ended with the
    principal, then the agents that it owns, then the groups that it is in. The groups above a group are looked at here,
    and each group of a user in a run of its own, for they may be many. One step suspends one agent: a step that
    suspended several would lock rows of many people, and two such steps could deadlock.
    """
    principal = principal_find(tx, principal_id)
    if principal is None:
        return None
    position = position if position.version is not None else replace(position, version=principal.version)
    remains = remains_find(tx, principal.id)
    if _ended_rows_remain(tx, principal, remains, caller=caller, now=now):
        return position
    if principal.kind in ACTORS and is_unowned(tx, principal_id):
        _suspend(tx, principal_id, caller=caller, now=now)
    following = _next_step(tx, principal, remains, position, caller=caller, now=now)
    if following is not None:
        return replace(following, version=position.version)
    principal_observe(tx, principal_id, position.version or principal.version)
    return None


def _next_step(
    tx: Tx, principal: Principal, remains: Remains, position: Position, *, caller: Caller, now: datetime
) -> Position | None:
    if principal.kind is Kind.GROUP:
        return _look_at_groups(tx, principal.id, position, caller=caller, now=now)
    if principal.kind is not Kind.USER or principal.state is State.ACTIVE:
        return None
    if remains.owns and position.groups_after is None:
        following = _look_at_agents(tx, principal.id, position.agents_after, caller=caller, now=now)
        if following is not None:
            return following
    if not remains.is_member:
        return None
    above = groups_above(tx, principal.id, after=position.groups_after)
    notices_insert(tx, above.may_answer)
    return None if above.last is None else Position(groups_after=above.last)


def _look_at_groups(tx: Tx, group_id: UUID, position: Position, *, caller: Caller, now: datetime) -> Position | None:
    """Look at the agents of a group and of every group above it, one group after the other, in the order of ids."""
    owners = [id_ for id_ in group_and_above(tx, group_id) if position.owner is None or id_ >= position.owner]
    if not owners:
        return None
    owner, *others = owners
    if not group_answers(tx, owner):
        after = position.agents_after if owner == position.owner else None
        following = _look_at_agents(tx, owner, after, caller=caller, now=now)
        if following is not None:
            return following
    return Position(owner=others[0]) if others else None


def _ended_rows_remain(tx: Tx, principal: Principal, remains: Remains, *, caller: Caller, now: datetime) -> bool:
    """End one batch of rows of a principal that were made before its last cut; True when there may be more."""
    if remains.memberships and memberships_end(tx, principal.id):
        return True
    if not (remains.delegations or remains.tasks):
        return False
    rows = ended_rows_end(
        tx, principal.id, end_count=principal.end_count, epoch=principal.epoch, reason=PARTY_ENDED, now=now
    )
    cause = {"principal": str(principal.id), "kind": principal.kind}
    events = [
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
    if events:
        event_insert(tx, *events, caller=caller, now=now)
    return rows.is_more


def _look_at_agents(tx: Tx, owner_id: UUID, after: UUID | None, *, caller: Caller, now: datetime) -> Position | None:
    """Suspend the next agent of an owner that has no active owner; return None when there is none left."""
    batch = unowned_list(tx, owner_id, after=after)
    for agent_id in batch.unowned[:1]:
        _suspend(tx, agent_id, caller=caller, now=now)
        if len(batch.unowned) > 1:
            return Position(owner=owner_id, agents_after=agent_id)
    return None if batch.last is None else Position(owner=owner_id, agents_after=batch.last)


def _suspend(tx: Tx, agent_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Lock an agent and suspend it, unless it has got an owner or has gone since it was listed."""
    agent = principal_lock(tx, agent_id)
    if agent is not None and is_unowned(tx, agent_id):
        suspended = transition(tx, agent, Transition.SUSPEND_UNOWNED, reason="no_active_owner", now=now)
        event_insert(tx, *suspended.events, caller=caller, now=now)
