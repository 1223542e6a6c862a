"""Suspend, reactivate, deprovision and delete: the only place where a principal's state changes."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.access import Caller, check_reach
from identity.model.errors import Conflict, NotFound
from identity.model.event import Event
from identity.model.lifecycle import (
    CUTS,
    ENDS,
    NOTHING_RESTORED,
    Credentials,
    Restored,
    State,
    Transition,
    next_hold,
    next_state,
)
from identity.model.principal import ACTORS, Kind, Principal, Profile
from identity.model.provisioning_event import EventUri, state_event_for
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.lifecycle import keeps_credentials, ownership_notice_insert, principal_cut, restored_find
from identity.store.locks import EVERY_MEMBERSHIP, principal_key
from identity.store.memberships import is_owned
from identity.store.principals import principal_lock, principal_update

TOLD = {
    Transition.SUSPEND: EventUri.DEACTIVATE,
    Transition.SUSPEND_AND_REVOKE: EventUri.DEACTIVATE,
    Transition.SUSPEND_UNOWNED: EventUri.DEACTIVATE,
    Transition.DEPROVISION: EventUri.DEACTIVATE,
    Transition.SOURCE_REACTIVATE: EventUri.ACTIVATE,
    Transition.REACTIVATE: EventUri.ACTIVATE,
    Transition.DELETE: EventUri.DELETE,
}
"""What others are told: to them a principal can be used, or not, or is no more."""

PAST = {
    Transition.SUSPEND: "suspended",
    Transition.SUSPEND_AND_REVOKE: "suspended",
    Transition.SUSPEND_UNOWNED: "suspended",
    Transition.DEPROVISION: "deprovisioned",
    Transition.SOURCE_REACTIVATE: "reactivated",
    Transition.REACTIVATE: "reactivated",
    Transition.DELETE: "deleted",
}
STILL_HELD = "held"
"""What is told where a source has a principal back, and an administrator has not."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A principal after a verb, the events of the change, and what lives again by it."""

    principal: Principal
    events: tuple[Event, ...] = ()
    restored: Restored = NOTHING_RESTORED


def change_state(
    tx: Tx, principal_id: UUID, verb: Transition, *, reason: str, caller: Caller, now: datetime
) -> Changed:
    """Bring ``verb`` upon a principal, with everything that must end in the same instant.

    Doing it twice is doing it once. Raises ``NotFound``, ``NotAllowed``, ``Conflict``.
    """
    principal = principal_lock(tx, principal_id)
    if principal is None:
        raise NotFound("no principal with this id")
    check_reach(caller, principal)
    return apply_state(tx, principal, verb, reason=reason, caller=caller, now=now)


def apply_state(
    tx: Tx, principal: Principal, verb: Transition, *, reason: str, caller: Caller, now: datetime
) -> Changed:
    """The same, for a principal that is locked already and that the caller may change."""
    changed = bring(tx, principal, verb, reason=reason, now=now)
    if changed.events:
        event_insert(tx, *changed.events, caller=caller, now=now)
    return changed


def bring(
    tx: Tx,
    principal: Principal,
    verb: Transition,
    *,
    reason: str,
    now: datetime,
    profile: Profile | None = None,
) -> Changed:
    """The same, but leave the events to the caller, who writes them in this transaction together with his own.

    The UPDATE that writes a new state writes ``profile`` as well. Without a new state nothing is written.
    """
    state, is_held = _next(tx, principal, verb)
    if (state, is_held) == (principal.state, principal.is_held) and not _ends_more(tx, principal, verb):
        return Changed(principal)
    changed = principal_update(
        tx, principal, profile, state=state, is_held=is_held, cut=verb in CUTS, end=verb in ENDS, now=now
    )
    detail = {"was": principal.state, "held": is_held, "ended": _cut(tx, principal, verb, reason=reason, now=now)}
    if state is State.ACTIVE and principal.kind in ACTORS:
        ownership_notice_insert(tx, principal.id)  # its owners may have gone while it was away
    restored = restored_find(tx, principal.id, now=now) if verb is Transition.REACTIVATE else NOTHING_RESTORED
    event = _told(principal, changed, verb, reason, detail | _credentials_told(verb, restored))
    return Changed(changed, (event,), restored)


def _next(tx: Tx, principal: Principal, verb: Transition) -> tuple[State, bool]:
    state, is_held = next_state(principal.state, verb, is_held=principal.is_held), next_hold(principal.is_held, verb)
    if state is State.ACTIVE and _lacks_an_owner(tx, principal):
        if verb is Transition.REACTIVATE:
            raise Conflict("the agent lost its last owner; assign an owner first", reason="no_owner")
        state = State.SUSPENDED
    return state, is_held


def _lacks_an_owner(tx: Tx, principal: Principal) -> bool:
    """True for an agent or service account that had an owner, has none, and is not an administrator's to answer for."""
    if principal.kind not in ACTORS or not principal.was_owned or principal.is_protected:
        return False
    return not is_owned(tx, principal.id)


def _ends_more(tx: Tx, principal: Principal, verb: Transition) -> bool:
    """True when a suspension of a suspended principal ends what the one before kept."""
    return verb is Transition.SUSPEND_AND_REVOKE and keeps_credentials(tx, principal.id, end_count=principal.end_count)


def _cut(tx: Tx, principal: Principal, verb: Transition, *, reason: str, now: datetime) -> dict[str, int]:
    """Write what ends in the same instant, where the verb cuts; return how many of what ended."""
    if verb not in CUTS:
        return {}
    tx.ends.update((principal_key(principal.id), *(EVERY_MEMBERSHIP if principal.kind is Kind.GROUP else ())))
    clients = principal_cut(
        tx, principal.id, is_end=verb in ENDS, is_deleted=verb is Transition.DELETE, reason=reason, now=now
    )
    return {"clients": clients}


def _credentials_told(verb: Transition, restored: Restored) -> dict[str, Any]:
    """Return what an event says of clients and delegations: whether a suspension keeps them, and which live again."""
    if PAST[verb] == PAST[Transition.SUSPEND]:
        return {"credentials": Credentials.REVOKE if verb in ENDS else Credentials.KEEP}
    return {"restored": asdict(restored)} if verb is Transition.REACTIVATE else {}


def _told(principal: Principal, changed: Principal, verb: Transition, reason: str, detail: dict[str, Any]) -> Event:
    past = STILL_HELD if verb is Transition.SOURCE_REACTIVATE and changed.is_held else PAST[verb]
    if verb is Transition.SOURCE_REACTIVATE and not changed.is_held and changed.state is not State.ACTIVE:
        past, reason = PAST[Transition.SUSPEND_UNOWNED], "no_owner"
    is_told = (changed.state is State.ACTIVE) is not (principal.state is State.ACTIVE) or verb is Transition.DELETE
    return Event(
        type=f"{principal.kind}.{past}",
        subject_id=principal.id,
        reason=reason,
        detail=detail,
        provisioning=state_event_for(TOLD[verb], changed) if is_told else None,
    )
