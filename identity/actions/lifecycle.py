"""Suspend, reactivate, deprovision and delete: the only place where a principal's state changes."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from identity.model.access import Caller, check_reach
from identity.model.errors import Conflict, NotThere
from identity.model.event import Event
from identity.model.lifecycle import CUTS, ENDS, State, Verb, next_hold, next_state
from identity.model.principal import ACTORS, Kind, Principal
from identity.model.provisioning_event import EventUri, ProvisioningEvent, state_told
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.groups import is_owned
from identity.store.lifecycle import ownership_notice_insert, principal_cut
from identity.store.locks import EVERY_MEMBERSHIP, principal_key
from identity.store.principals import principal_lock, principal_set_state

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
        raise NotThere("no principal with this id")
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
    if state is State.ACTIVE and _lacks_an_owner(tx, principal):
        if verb is Verb.REACTIVATE:
            raise Conflict("the agent lost its last owner; assign an owner first", reason="no_owner")
        state = State.SUSPENDED
    if (state, is_held) == (principal.state, principal.is_held):
        return principal, ()
    if verb in CUTS:
        tx.ends.update((principal_key(principal.id), *(EVERY_MEMBERSHIP if principal.kind is Kind.GROUP else ())))
    changed = principal_set_state(tx, principal, state, is_held=is_held, cut=verb in CUTS, end=verb in ENDS, now=now)
    ended = _cut(tx, principal, verb, reason=reason, now=now) if verb in CUTS else {}
    if state is State.ACTIVE and principal.kind in ACTORS:
        ownership_notice_insert(tx, principal.id)  # its owners may have gone while it was away
    is_told = (state is State.ACTIVE) is not (principal.state is State.ACTIVE) or state is State.DELETED
    told = state_told(TOLD[verb], changed) if is_told else None
    return changed, (_told(principal, changed, verb, ended, reason, told),)


def _cut(tx: Tx, principal: Principal, verb: Verb, *, reason: str, now: datetime) -> dict[str, int]:
    clients = principal_cut(
        tx, principal.id, is_end=verb in ENDS, is_deleted=verb is Verb.DELETE, reason=reason, now=now
    )
    return {"clients": clients}


def _lacks_an_owner(tx: Tx, principal: Principal) -> bool:
    """True for an agent or service account that had an owner, has none, and is not an administrator's to answer for."""
    if principal.kind not in ACTORS or not principal.was_owned or principal.is_protected:
        return False
    return not is_owned(tx, principal.id)


def _told(
    principal: Principal,
    changed: Principal,
    verb: Verb,
    ended: Mapping[str, int],
    reason: str,
    provisioning: ProvisioningEvent | None,
) -> Event:
    past = STILL_HELD if verb is Verb.RESTORE and changed.is_held else PAST[verb]
    if verb is Verb.RESTORE and not changed.is_held and changed.state is not State.ACTIVE:
        past, reason = PAST[Verb.ABANDON], "no_owner"
    return Event(
        type=f"{principal.kind}.{past}",
        subject_id=principal.id,
        reason=reason,
        detail={"was": principal.state, "held": changed.is_held, "ended": dict(ended)},
        provisioning=provisioning,
    )
