"""Delegations: grant, read, change, end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.access import Caller
from identity.model.authority import covers_authority
from identity.model.delegation import DELEGATIONS_MAX, Delegation, Details, check_limits, is_in_force
from identity.model.errors import Conflict, InvalidRequest, LimitExceeded, NotFound, PreconditionFailed
from identity.model.event import Event
from identity.model.lifecycle import State
from identity.model.principal import ACTORS, Kind, Principal
from identity.model.resource import ResourceServer, check_offered
from identity.model.scope import check_scopes
from identity.model.tenant import TASK_DURATION_MAX_S, TASK_DURATION_S
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

ENDED_BY_ADMINISTRATOR = "ended_by_administrator"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an administrator wants to permit. ``max_lifetime_s`` and ``max_task_s`` in seconds."""

    actor_id: UUID
    subject_id: UUID | None
    subject_group_id: UUID | None
    resource: str
    scopes: tuple[str, ...]
    authorization_details: Details
    max_lifetime_s: int
    max_depth: int
    expires_at: datetime | None
    max_task_s: int = TASK_DURATION_S

    @property
    def limits(self) -> dict[str, int]:
        """The limits, by the names of their members."""
        return {
            "max_lifetime_s": self.max_lifetime_s,
            "max_depth": self.max_depth,
            "max_task_s": self.max_task_s,
        }


def grant_delegation(
    tx: Tx,
    grant: Grant,
    *,
    tenant_lifetime_max_s: int,
    tenant_max_task_s: int = TASK_DURATION_MAX_S,
    caller: Caller,
    now: datetime,
) -> Delegation:
    """Let an agent act for a person, or for the members of a group, at one resource server.

    Raises ``InvalidRequest`` for what is not there or cannot be granted; ``Conflict`` for a party that is not active,
    and for the same delegation by the same grantor; ``LimitExceeded``.
    """
    delegation = Delegation(
        id=tx.new_id(),
        actor_id=grant.actor_id,
        subject_id=grant.subject_id,
        subject_group_id=grant.subject_group_id,
        resource=grant.resource,
        scopes=grant.scopes,
        authorization_details=grant.authorization_details,
        max_lifetime_s=grant.max_lifetime_s,
        max_depth=grant.max_depth,
        max_task_s=grant.max_task_s,
        created_at=now,
        expires_at=grant.expires_at,
        ended_at=None,
        ended_reason=None,
        granted_by=str(caller.id or caller.kind),
    )
    check_limits(grant.limits, tenant_lifetime_max_s=tenant_lifetime_max_s, tenant_max_task_s=tenant_max_task_s)
    server = _check_terms(tx, delegation, now)
    actor, subject = _check_parties(tx, grant)
    _check_room(tx, delegation, now)
    delegation_insert(
        tx,
        delegation,
        actor_end_count=actor.end_count,
        subject_end_count=subject.end_count,
        resource_end_count=server.end_count,
    )
    _tell(tx, "delegation.granted", delegation, caller=caller, now=now)
    return delegation


def change_delegation(
    tx: Tx,
    delegation_id: UUID,
    changes: Mapping[str, Any],
    *,
    tenant_lifetime_max_s: int,
    tenant_max_task_s: int = TASK_DURATION_MAX_S,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> Delegation:
    """Give a delegation other scopes, authorization details, limits or ``expires_at``.

    A limit that stays is not held against the tenant's, which may have come down since. Where it permits less than
    before, the tokens that rest on it end; where it permits more, new tokens may have it.
    Raises ``NotFound``, ``Conflict`` for one that has ended, ``PreconditionFailed``, ``InvalidRequest``.
    """
    before = delegation_lock(tx, delegation_id)
    if before is None:
        raise NotFound("there is no such delegation")
    if before.ended_at is not None:
        raise Conflict("the delegation has ended, and that is final", reason="delegation_ended")
    if expected_version is not None and expected_version != before.version:
        raise PreconditionFailed("the delegation has changed since the version in If-Match")
    after = replace(before, **changes)
    if after == before:
        return before
    check_limits(changes, tenant_lifetime_max_s=tenant_lifetime_max_s, tenant_max_task_s=tenant_max_task_s)
    server = _check_terms(tx, after, now)
    is_narrowed = _narrows(before, after, server)
    changed = delegation_update(tx, after, is_narrowed=is_narrowed)
    told = {"changed": sorted(changes), "is_narrowed": is_narrowed}
    _tell(tx, "delegation.changed", changed, told, caller=caller, now=now)
    return changed


def _narrows(before: Delegation, after: Delegation, server: ResourceServer) -> bool:
    """True when a token that was had under the one might not be had under the other."""
    return (
        after.max_lifetime_s < before.max_lifetime_s
        or after.max_depth < before.max_depth
        or after.max_task_s < before.max_task_s
        or (after.expires_at is not None and (before.expires_at is None or after.expires_at < before.expires_at))
        or not covers_authority(after, before, server.restrictions)
    )


def get_delegation(tx: Tx, delegation_id: UUID) -> Delegation:
    """Return one delegation, ended or not. Raises ``NotFound``."""
    found = delegation_get(tx, delegation_id)
    if found is None:
        raise NotFound("no delegation with this id")
    return found


def list_delegations(
    tx: Tx, *, actor_id: UUID | None, subject_id: UUID | None, after: UUID | None, limit: int
) -> list[Delegation]:
    """Return one page of delegations, ended ones among them; ``subject_id`` is a user or a group."""
    return delegation_list(tx, actor_id=actor_id, subject_id=subject_id, after=after, limit=limit)


def list_delegations_in_force(
    tx: Tx,
    *,
    actor_id: UUID | None,
    subject_id: UUID | None,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
    now: datetime,
) -> list[Delegation]:
    """Return one page of the delegations that have neither ended nor expired, the next to expire first."""
    return delegations_in_force(tx, actor_id=actor_id, subject_id=subject_id, after=after, limit=limit, now=now)


def end_delegation(
    tx: Tx, delegation_id: UUID, *, reason: str = ENDED_BY_ADMINISTRATOR, caller: Caller, now: datetime
) -> None:
    """End a delegation, and with it every token that rests on it. Ending it twice is ending it once.

    Raises ``NotFound``.
    """
    ended = delegation_end(tx, delegation_id, reason=reason, now=now)
    if ended is None:
        get_delegation(tx, delegation_id)
        return
    _tell(tx, "delegation.ended", ended, caller=caller, now=now, reason=reason)


def _check_terms(tx: Tx, delegation: Delegation, now: datetime) -> ResourceServer:
    """Refuse what no token could ever get; return the resource server."""
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
    """Refuse the same delegation a second time, and one more than an exchange looks at. The parties are locked."""
    for other in delegations_beside(tx, delegation):
        if other.terms == delegation.terms and is_in_force(other, now):
            raise Conflict(f"this is delegated already: {other.id}", reason="already_delegated")
    actor_id, subject_id, resource = delegation.actor_id, delegation.subject_id, delegation.resource
    if delegations_count(tx, actor_id=actor_id, subject_id=subject_id, resource=resource) >= DELEGATIONS_MAX:
        whom = "groups" if subject_id is None else "one person"
        raise LimitExceeded(
            f"an actor has at most {DELEGATIONS_MAX} delegations for {whom} at one resource; end some",
            reason="too_many_delegations",
        )


def _check_parties(tx: Tx, grant: Grant) -> tuple[Principal, Principal]:
    """Lock and return actor and subject, the lower id first; neither can then be cut off before the commit."""
    subject_id, kind, pointer = _subject_of(grant)
    parties = {id_: principal_lock(tx, id_) for id_ in sorted({grant.actor_id, subject_id})}
    return (
        _check_party(parties[grant.actor_id], ACTORS, "agent or service account", "/actor_id"),
        _check_party(parties[subject_id], frozenset({kind}), kind, pointer),
    )


def _subject_of(grant: Grant) -> tuple[UUID, Kind, str]:
    match grant.subject_id, grant.subject_group_id:
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


def _tell(
    tx: Tx,
    type_: str,
    delegation: Delegation,
    more: Mapping[str, Any] | None = None,
    *,
    caller: Caller,
    now: datetime,
    reason: str | None = None,
) -> None:
    told = Event(
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
    event_insert(tx, told, caller=caller, now=now)
