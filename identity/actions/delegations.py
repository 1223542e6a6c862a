"""Delegations: grant, read, change, end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.preconditions import check_version, require
from identity.model.access import Caller
from identity.model.authority import covers_authority
from identity.model.authorization_details import check_details
from identity.model.delegation import DELEGATIONS_MAX, Delegation, check_limits, is_in_force
from identity.model.errors import Conflict, InvalidRequest, LimitExceeded
from identity.model.event import Event
from identity.model.lifecycle import State
from identity.model.principal import ACTORS, Kind, Principal
from identity.model.resource import ResourceServer, check_offered
from identity.model.scope import check_scopes
from identity.model.tenant import TASK_DURATION_S, TASK_LIFETIME_S
from identity.store import Tx
from identity.store.delegations import (
    delegation_end,
    delegation_get,
    delegation_insert,
    delegation_list,
    delegation_lock,
    delegation_update,
    delegations_beside,
    delegations_count,
    delegations_in_force,
)
from identity.store.events import event_insert
from identity.store.principals import principal_lock
from identity.store.resources import resource_server_get
from identity.store.tenants import tenant_get

ENDED_BY_ADMINISTRATOR = "ended_by_administrator"


@dataclass(frozen=True)
class NewDelegation:
    """The permission that an administrator requests. Limits in seconds; None: the default, or the tenant's if lower."""

    actor_id: UUID
    subject_id: UUID | None
    subject_group_id: UUID | None
    resource: str
    scopes: tuple[str, ...]
    authorization_details: Sequence[Mapping[str, Any]]
    max_lifetime_s: int | None = None
    max_depth: int = 1
    expires_at: datetime | None = None
    max_task_s: int | None = None


def grant_delegation(tx: Tx, requested: NewDelegation, *, caller: Caller, now: datetime) -> Delegation:
    """Let an agent act for a person, or for the members of a group, at one resource server.

    Raises ``InvalidRequest`` for a party or resource that does not exist, or a permission that cannot be granted;
    ``Conflict`` for a party that is not active, and for the same delegation by the same grantor; ``LimitExceeded``.
    """
    tenant = tenant_get(tx)
    limits = {
        "max_lifetime_s": _or(requested.max_lifetime_s, min(TASK_LIFETIME_S, tenant.task_lifetime_max_s)),
        "max_depth": requested.max_depth,
        "max_task_s": _or(requested.max_task_s, min(TASK_DURATION_S, tenant.max_task_s)),
    }
    details = check_details(list(requested.authorization_details))
    delegation = Delegation(
        **{**vars(requested), **limits, "authorization_details": details},
        id=tx.new_id(),
        created_at=now,
        ended_at=None,
        ended_reason=None,
        granted_by=str(caller.id or caller.kind),
    )
    check_limits(limits, tenant)
    server = _check_terms(tx, delegation, now)
    actor, subject = _check_parties(tx, delegation)
    _check_room(tx, delegation, now)
    delegation_insert(
        tx,
        delegation,
        actor_end_count=actor.end_count,
        subject_end_count=subject.end_count,
        resource_end_count=server.end_count,
    )
    _record(tx, "delegation.granted", delegation, caller=caller, now=now)
    return delegation


def _or(requested: int | None, default: int) -> int:
    return default if requested is None else requested


def change_delegation(
    tx: Tx,
    delegation_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> Delegation:
    """Change the scopes, authorization details, limits or ``expires_at`` of a delegation.

    A limit that stays is not compared with the tenant's, which may be lower since. Where it permits less than before,
    the tokens that rest on it end; where it permits more, new tokens may have it.
    Raises ``NotFound``, ``Conflict`` for one that has ended, ``PreconditionFailed``, ``InvalidRequest``.
    """
    tenant = tenant_get(tx)
    if "authorization_details" in changes:
        changes = {**changes, "authorization_details": check_details(list(changes["authorization_details"]))}
    before = require(delegation_lock(tx, delegation_id), "there is no such delegation")
    if before.ended_at is not None:
        raise Conflict("the delegation has ended, and that is final", reason="delegation_ended")
    check_version("delegation", before.version, expected_version)
    after = replace(before, **changes)
    if after == before:
        return before
    check_limits(changes, tenant)
    server = _check_terms(tx, after, now)
    is_narrowed = _narrows(before, after, server)
    changed = delegation_update(tx, after, is_narrowed=is_narrowed)
    detail = {"changed": sorted(changes), "is_narrowed": is_narrowed}
    _record(tx, "delegation.changed", changed, detail, caller=caller, now=now)
    return changed


def _narrows(before: Delegation, after: Delegation, server: ResourceServer) -> bool:
    """Return True when ``after`` might not permit a token that ``before`` permitted."""
    return (
        after.max_lifetime_s < before.max_lifetime_s
        or after.max_depth < before.max_depth
        or after.max_task_s < before.max_task_s
        or (after.expires_at is not None and (before.expires_at is None or after.expires_at < before.expires_at))
        or not covers_authority(after, before, server.restrictions)
    )


def get_delegation(tx: Tx, delegation_id: UUID) -> Delegation:
    """Return one delegation, ended or not. Raises ``NotFound``."""
    return require(delegation_get(tx, delegation_id), "no delegation with this id")


list_delegations = delegation_list
list_delegations_in_force = delegations_in_force


def end_delegation(
    tx: Tx, delegation_id: UUID, *, reason: str = ENDED_BY_ADMINISTRATOR, caller: Caller, now: datetime
) -> None:
    """End a delegation, and with it every token that rests on it. Repeating it changes nothing.

    Raises ``NotFound``.
    """
    ended = delegation_end(tx, delegation_id, reason=reason, now=now)
    if ended is None:
        get_delegation(tx, delegation_id)
        return
    _record(tx, "delegation.ended", ended, caller=caller, now=now, reason=reason)


def _check_terms(tx: Tx, delegation: Delegation, now: datetime) -> ResourceServer:
    """Return the resource server. Refuse scopes, details and times that no token could ever have."""
    check_scopes(delegation.scopes)
    if not (delegation.scopes or delegation.authorization_details):
        raise InvalidRequest("a delegation must have scopes or authorization_details", pointer="/scopes")
    if delegation.expires_at is not None and delegation.expires_at <= now:
        raise InvalidRequest("expires_at must be in the future", pointer="/expires_at")
    server = resource_server_get(tx, delegation.resource)
    if server is None:
        raise InvalidRequest(
            "no resource server is registered with this audience; register it first",
            pointer="/resource",
            reason="unknown_resource",
        )
    check_offered(server, scopes=delegation.scopes, details=delegation.authorization_details)
    return server


def _check_room(tx: Tx, delegation: Delegation, now: datetime) -> None:
    """Refuse the same delegation twice, and more of them than an exchange reads. The parties are locked."""
    for other in delegations_beside(tx, delegation):
        if other.terms == delegation.terms and is_in_force(other, now):
            raise Conflict(f"this is delegated already: {other.id}", reason="already_delegated")
    actor_id, subject_id, resource = delegation.actor_id, delegation.subject_id, delegation.resource
    if delegations_count(tx, actor_id=actor_id, subject_id=subject_id, resource=resource) >= DELEGATIONS_MAX:
        subjects = "groups" if subject_id is None else "one person"
        raise LimitExceeded(
            f"an actor has at most {DELEGATIONS_MAX} delegations for {subjects} at one resource; end some",
            reason="too_many_delegations",
        )


def _check_parties(tx: Tx, delegation: Delegation) -> tuple[Principal, Principal]:
    """Lock and return actor and subject, the lower id first; neither can then be cut off before the commit."""
    subject_id, kind, pointer = _subject_of(delegation)
    parties = {id_: principal_lock(tx, id_) for id_ in sorted({delegation.actor_id, subject_id})}
    return (
        _check_party(parties[delegation.actor_id], ACTORS, "agent or service account", "/actor_id"),
        _check_party(parties[subject_id], frozenset({kind}), kind, pointer),
    )


def _subject_of(delegation: Delegation) -> tuple[UUID, Kind, str]:
    match delegation.subject_id, delegation.subject_group_id:
        case UUID() as user_id, None:
            return user_id, Kind.USER, "/subject_id"
        case None, UUID() as group_id:
            return group_id, Kind.GROUP, "/subject_group_id"
        case _:
            raise InvalidRequest("exactly one of subject_id and subject_group_id must be given", pointer="/subject_id")


def _check_party(party: Principal | None, kinds: frozenset[Kind], wanted: str, pointer: str) -> Principal:
    if party is None or party.kind not in kinds:
        raise InvalidRequest(f"no {wanted} has this id", pointer=pointer, reason="unknown_principal")
    if party.state is not State.ACTIVE:
        raise Conflict(f"the {party.kind} is {party.state}", reason="principal_not_active")
    return party


def _record(
    tx: Tx,
    type_: str,
    delegation: Delegation,
    more: Mapping[str, Any] | None = None,
    *,
    caller: Caller,
    now: datetime,
    reason: str | None = None,
) -> None:
    event = Event(
        type=type_,
        subject_id=delegation.subject_id or delegation.subject_group_id,
        actor_ids=(delegation.actor_id,),
        reason=reason,
        detail={
            "delegation_id": str(delegation.id),
            "resource": delegation.resource,
            "scopes": list(delegation.scopes),
            **(more or {}),
        },
    )
    event_insert(tx, event, caller=caller, now=now)
