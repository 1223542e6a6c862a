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
    SUSPENSIONS,
    Credentials,
    Restored,
    State,
    Transition,
    next_hold,
    next_state,
    participle_of,
)
from identity.model.principal import ACTORS, Kind, Principal, Profile
from identity.model.provisioning_event import EventUri, ProvisioningEvent, state_event_for
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.lifecycle import keeps_credentials, ownership_notice_insert, principal_cut, restored_find
from identity.store.locks import EVERY_MEMBERSHIP, principal_key
from identity.store.memberships import is_owned
from identity.store.principals import principal_lock, principal_update


@dataclass(frozen=True, slots=True)
class Changed:
    """A principal after a transition, the events of the change, and the credentials that it restored."""

    principal: Principal
    events: tuple[Event, ...] = ()
    restored: Restored = NOTHING_RESTORED


def change_state(
    tx: Tx, principal_id: UUID, verb: Transition, *, reason: str, caller: Caller, now: datetime
) -> Changed:
    """Lock a principal, change its state, end what ends in the same instant, and write the event.

    Doing it twice is doing it once. Raises ``NotFound``, ``NotAllowed``, ``Conflict``.
    """
    principal = principal_lock(tx, principal_id)
    if principal is None:
        raise NotFound("no principal with this id")
    check_reach(caller, principal)
    changed = transition(tx, principal, verb, reason=reason, now=now)
    if changed.events:
        event_insert(tx, *changed.events, caller=caller, now=now)
    return changed


def transition(
    tx: Tx, principal: Principal, verb: Transition, *, reason: str, now: datetime, profile: Profile | None = None
) -> Changed:
    """Change the state of a locked principal that the caller may change, and end what ends in the same instant.

    The UPDATE that writes a new state writes ``profile`` as well. The caller writes the events, in this transaction and
    together with its own. Without a change nothing is written, and there are no events. Raises ``Conflict``.
    """
    state, is_held = _next(tx, principal, verb)
    if (state, is_held) == (principal.state, principal.is_held) and not _ends_more(tx, principal, verb):
        return Changed(principal)
    is_cut = verb in CUTS or (principal.state is State.ACTIVE and state is not State.ACTIVE)
    changed = principal_update(
        tx, principal, profile, state=state, is_held=is_held, cut=is_cut, end=verb in ENDS, now=now
    )
    detail: dict[str, Any] = {"was": principal.state, "held": is_held, "ended": {}}
    if is_cut:
        detail["ended"] = {"clients": _cut(tx, principal, verb, reason=reason, now=now)}
    if state is State.ACTIVE and principal.kind in ACTORS:
        ownership_notice_insert(tx, principal.id)  # its owners may have gone meanwhile
    restored = NOTHING_RESTORED
    if verb in SUSPENSIONS.values() or verb is Transition.SUSPEND_UNOWNED:
        detail["credentials"] = Credentials.REVOKE if verb in ENDS else Credentials.KEEP
    elif verb is Transition.REACTIVATE:
        restored = restored_find(tx, principal.id, now=now)
        detail["restored"] = asdict(restored)
    return Changed(changed, (_event(principal, changed, verb, reason, detail),), restored)


def _next(tx: Tx, principal: Principal, verb: Transition) -> tuple[State, bool]:
    state, is_held = next_state(principal.state, verb, is_held=principal.is_held), next_hold(principal.is_held, verb)
    if state is State.ACTIVE and _lacks_an_owner(tx, principal):
        if verb is Transition.REACTIVATE:
            raise Conflict("the agent lost its last owner; assign an owner first", reason="no_owner")
        state = State.SUSPENDED
    return state, is_held


def _lacks_an_owner(tx: Tx, principal: Principal) -> bool:
    """True for an agent or service account that had an owner, has none, and is not protected by an administrator."""
    if principal.kind not in ACTORS or not principal.was_owned or principal.is_protected:
        return False
    return not is_owned(tx, principal.id)


def _ends_more(tx: Tx, principal: Principal, verb: Transition) -> bool:
    """True when a suspension of a suspended principal ends credentials that the one before kept."""
    return verb is Transition.SUSPEND_AND_REVOKE and keeps_credentials(tx, principal.id, end_count=principal.end_count)


def _cut(tx: Tx, principal: Principal, verb: Transition, *, reason: str, now: datetime) -> int:
    """Write everything that ends in the same instant; return how many clients were revoked."""
    tx.ends.update((principal_key(principal.id), *(EVERY_MEMBERSHIP if principal.kind is Kind.GROUP else ())))
    is_deleted = verb is Transition.DELETE
    return principal_cut(tx, principal.id, is_end=verb in ENDS, is_deleted=is_deleted, reason=reason, now=now)


def _event(before: Principal, after: Principal, verb: Transition, reason: str, detail: dict[str, Any]) -> Event:
    if verb is Transition.SOURCE_REACTIVATE and after.state is not State.ACTIVE and not after.is_held:
        reason = "no_owner"
    return Event(
        type=f"{before.kind}.{participle_of(verb, after.state, is_held=after.is_held)}",
        subject_id=before.id,
        reason=reason,
        detail=detail,
        provisioning=_provisioning_event(before, after),
    )


def _provisioning_event(before: Principal, after: Principal) -> ProvisioningEvent | None:
    """Return the event for receivers: to them a principal is active, or not, or deleted."""
    if after.state is State.DELETED:
        return state_event_for(EventUri.DELETE, after)
    if (before.state is State.ACTIVE) is (after.state is State.ACTIVE):
        return None
    return state_event_for(EventUri.ACTIVATE if after.state is State.ACTIVE else EventUri.DEACTIVATE, after)
