"""Principals as an administrator meets them: read, suspend, reactivate, deprovision."""

from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import change_state
from identity.model.access import Caller
from identity.model.errors import Conflict, NotThere
from identity.model.lifecycle import Verb
from identity.model.principal import ACTORS, Kind, Principal, Resource
from identity.store import Tx
from identity.store.lifecycle import is_unowned
from identity.store.principals import principal_get, principal_list, resource_get


def list_principals(tx: Tx, *, kind: Kind | None, name: str | None, after: UUID | None, limit: int) -> list[Principal]:
    """Return one page of the living principals, in the order of creation."""
    return principal_list(tx, kind=kind, name=name, after=after, limit=limit)


def get_any_principal(tx: Tx, principal_id: UUID) -> Resource:
    """Return one living principal of whatever kind, with its owners and groups. Raises ``NotThere``."""
    principal = principal_get(tx, principal_id)
    resource = None if principal is None else resource_get(tx, principal.kind, principal_id, with_members=False)
    if resource is None:
        raise NotThere("there is no such principal")
    return resource


def suspend(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Stop a principal at once, and everything that rests on it, whatever its source says from now on.

    Raises ``NotThere``, ``Conflict``.
    """
    return change_state(tx, principal_id, Verb.SUSPEND, reason=reason, caller=caller, now=now)


def deprovision(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """End a principal's access as if its source had said so. Raises ``NotThere``, ``Conflict``."""
    return change_state(tx, principal_id, Verb.DEPROVISION, reason=reason, caller=caller, now=now)


def reactivate(tx: Tx, principal_id: UUID, *, reason: str, caller: Caller, now: datetime) -> Principal:
    """Let a principal begin again, with none of its old tokens, credentials or delegations.

    Raises ``NotThere``, ``Conflict``; the latter also for an agent whose owners are all gone, which the workers
    would only suspend again.
    """
    principal = change_state(tx, principal_id, Verb.REACTIVATE, reason=reason, caller=caller, now=now)
    if principal.kind in ACTORS and is_unowned(tx, principal_id):
        raise Conflict("nobody active answers for it; give it an owner first", reason="no_active_owner")
    return principal
