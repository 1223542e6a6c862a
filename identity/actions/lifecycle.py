"""Suspend, reactivate, deprovision and delete: the only place where a principal's state changes."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from identity.model.access import Caller, check_reach
from identity.model.errors import NotThere
from identity.model.event import Event
from identity.model.lifecycle import CUTS, State, Verb, next_hold, next_state
from identity.model.principal import ACTORS, Principal
from identity.model.provisioning_event import EventUri, ProvisioningEvent, state_told
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.lifecycle import Ended, memberships_end, owners_news_insert, principal_cut
from identity.store.principals import principal_lock, principal_set_state

NOTHING_ENDED = Ended({}, ())

TOLD = {
    Verb.SUSPEND: EventUri.DEACTIVATE,
    Verb.ABANDON: EventUri.DEACTIVATE,
    Verb.DEPROVISION: EventUri.DEACTIVATE,
    Verb.RESTORE: EventUri.ACTIVATE,
    Verb.REACTIVATE: EventUri.ACTIVATE,
    Verb.DELETE: EventUri.DELETE,
}
"""What others are told: to them a principal can be used, or not, or is no more."""

PAST = {
    Verb.SUSPEND: "suspended",
    Verb.ABANDON: "suspended",
    Verb.DEPROVISION: "deprovisioned",
    Verb.RESTORE: "reactivated",
    Verb.REACTIVATE: "reactivated",
    Verb.DELETE: "deleted",
}
STILL_HELD = "held"
"""What is told where a source has a principal back, and an administrator has not."""


def change_state(tx: Tx, principal_id: UUID, verb: Verb, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Bring ``verb`` upon a principal, with everything that must end in the same instant.

    Doing it twice is doing it once. Raises ``NotThere``, ``NotAllowed``, ``Conflict``.
    """
    principal = principal_lock(tx, principal_id)
    if principal is None:
        raise NotThere("there is no such principal")
    check_reach(caller, principal)
    return apply_state(tx, principal, verb, reason=reason, caller=caller, now=now)


def apply_state(tx: Tx, principal: Principal, verb: Verb, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """The same, for a principal that is locked already and that the caller may change."""
    changed, events = bring(tx, principal, verb, reason=reason, now=now)
    if events:
        event_insert(tx, *events, caller=caller, now=now)
    return changed


def bring(
    tx: Tx, principal: Principal, verb: Verb, *, reason: str, now: datetime
) -> tuple[Principal, tuple[Event, ...]]:
    """The same, but leave the events to the caller, who writes them in this transaction together with his own."""
    state, is_held = next_state(principal.state, verb, is_held=principal.is_held), next_hold(principal.is_held, verb)
    if (state, is_held) == (principal.state, principal.is_held):
        return principal, ()
    changed = principal_set_state(tx, principal, state, is_held=is_held, cut=verb in CUTS, now=now)
    ended = principal_cut(tx, principal.id, reason=reason, now=now) if verb in CUTS else NOTHING_ENDED
    if state is State.DELETED:
        memberships_end(tx, principal.id, now=now)
    if state is State.ACTIVE and principal.kind in ACTORS:
        owners_news_insert(tx, principal.id, now=now)  # its owners may have gone while it was away
    is_news = (state is State.ACTIVE) is not (principal.state is State.ACTIVE) or state is State.DELETED
    told = state_told(TOLD[verb], changed) if is_news else None
    return changed, tuple(_told(principal, changed, verb, ended, reason, told))


def _told(
    principal: Principal,
    changed: Principal,
    verb: Verb,
    ended: Ended,
    reason: str,
    provisioning: ProvisioningEvent | None,
) -> Iterator[Event]:
    past = STILL_HELD if verb is Verb.RESTORE and changed.is_held else PAST[verb]
    yield Event(
        type=f"{principal.kind}.{past}",
        subject_id=principal.id,
        reason=reason,
        detail={"was": principal.state, "held": changed.is_held, "ended": ended.counts},
        provisioning=provisioning,
    )
    cause = {"principal": str(principal.id), "kind": principal.kind, "verb": verb}
    for task in ended.tasks:
        yield Event(
            type="task.cancelled",
            subject_id=task.subject_id,
            actor_ids=(task.actor_id,),
            txn=task.txn,
            reason=reason,
            detail=cause,
        )
