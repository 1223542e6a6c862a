"""Principals: read, suspend, reactivate, deprovision and protect them, by an administrator."""

from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import Changed, change_state
from identity.actions.preconditions import require
from identity.model.access import Caller
from identity.model.errors import Conflict, InvalidRequest
from identity.model.event import Event
from identity.model.lifecycle import SUSPENSIONS, Credentials, State, Transition
from identity.model.principal import ACTORS, Principal, Resource
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.lifecycle import ownership_notice_insert
from identity.store.ownership import is_unowned
from identity.store.principal_list import principal_list
from identity.store.principals import principal_get, principal_lock, principal_protect, resource_get

UNKNOWN = "no principal with this id"


list_principals = principal_list


def get_principal(tx: Tx, principal_id: UUID) -> Resource:
    """Return one living principal of any kind, with its owners and groups. Raises ``NotFound``."""
    principal = require(principal_get(tx, principal_id), UNKNOWN)
    return require(resource_get(tx, principal.kind, principal_id, with_members=False), UNKNOWN)


def check_actor(tx: Tx, principal_id: UUID, *, pointer: str = "/principal_id") -> Principal:
    """Lock and return an active agent or service account. Raises ``InvalidRequest``, ``Conflict``."""
    principal = principal_lock(tx, principal_id)
    if principal is None or principal.kind not in ACTORS:
        raise InvalidRequest(
            "there is no agent or service account of that id", pointer=pointer, reason="unknown_principal"
        )
    if principal.state is not State.ACTIVE:
        raise Conflict(f"the {principal.kind} is {principal.state}", reason="principal_not_active")
    return principal


def suspend(
    tx: Tx,
    principal_id: UUID,
    *,
    credentials: Credentials = Credentials.KEEP,
    reason: str,
    caller: Caller,
    now: datetime,
) -> Principal:
    """Suspend a principal at once, and everything that rests on it; no source reactivates it.

    Its clients and delegations come back with ``reactivate``, or end for good; the latter also where an earlier
    suspension kept them. Raises ``NotFound``, ``NotAllowed``, ``Conflict``.
    """
    return change_state(tx, principal_id, SUSPENSIONS[credentials], reason=reason, caller=caller, now=now).principal


def deprovision(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Deprovision a principal as its source would. Raises ``NotFound``, ``Conflict``."""
    return change_state(tx, principal_id, Transition.DEPROVISION, reason=reason, caller=caller, now=now).principal


def reactivate(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Changed:
    """Reactivate a principal, without its old tokens and tasks, and return it with the restored.

    Its clients and delegations are restored after a suspension that kept them. Raises ``NotFound``, ``Conflict``; the
    latter also for an agent without an active owner, which the workers would suspend again.
    """
    changed = change_state(tx, principal_id, Transition.REACTIVATE, reason=reason, caller=caller, now=now)
    if changed.principal.kind in ACTORS and is_unowned(tx, principal_id):
        raise Conflict("the agent has no active owner; assign one first", reason="no_active_owner")
    return changed


def protect(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Let no source change a principal from now on, nor suspend it by taking its owners. Raises ``NotFound``."""
    return _set_protection(tx, principal_id, is_protected=True, reason=reason, caller=caller, now=now)


def unprotect(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Give a principal back to its source. Raises ``NotFound``."""
    return _set_protection(tx, principal_id, is_protected=False, reason=reason, caller=caller, now=now)


def _set_protection(
    tx: Tx, principal_id: UUID, *, is_protected: bool, reason: str, caller: Caller, now: datetime
) -> Principal:
    principal = require(principal_lock(tx, principal_id), UNKNOWN)
    if principal.is_protected is is_protected:
        return principal
    changed = principal_protect(tx, principal, is_protected=is_protected)
    if not is_protected:
        ownership_notice_insert(tx, principal_id)  # its owners may have left meanwhile
    past = "protected" if is_protected else "unprotected"
    event_insert(
        tx, Event(type=f"{principal.kind}.{past}", subject_id=principal_id, reason=reason), caller=caller, now=now
    )
    return changed
