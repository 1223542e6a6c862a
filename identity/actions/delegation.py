"""Delegations: grant, read, end."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from identity.model.access import Caller
from identity.model.delegation import DELEGATIONS_MAX, Delegation, Details, check_limits
from identity.model.errors import Conflict, Malformed, NotThere, OverLimit
from identity.model.event import Event
from identity.model.lifecycle import State
from identity.model.principal import ACTORS, Kind, Principal
from identity.model.resource import check_offered
from identity.model.scope import check_scopes
from identity.store import Tx
from identity.store.delegations import (
    delegation_end,
    delegation_get,
    delegation_insert,
    delegation_list,
    delegations_count,
    delegations_in_force,
)
from identity.store.events import event_insert
from identity.store.principals import principal_lock
from identity.store.resources import resource_server_get

ENDED_BY_ADMINISTRATOR = "ended_by_administrator"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an administrator wants to permit. ``max_lifetime_s`` in seconds."""

    actor_id: UUID
    subject_id: UUID | None
    subject_group_id: UUID | None
    resource: str
    scopes: tuple[str, ...]
    authorization_details: Details
    max_lifetime_s: int
    max_depth: int
    expires_at: datetime | None


def grant_delegation(tx: Tx, grant: Grant, *, tenant_lifetime_max_s: int, caller: Caller, now: datetime) -> Delegation:
    """Let an agent act for a person, or for the members of a group, at one resource server.

    Raises ``Malformed`` for what is not there or cannot be granted, ``Conflict`` for a party that is not active,
    ``OverLimit``.
    """
    _check_grant(tx, grant, tenant_lifetime_max_s, now)
    actor, subject = _check_parties(tx, grant)
    if (
        delegations_count(tx, actor_id=actor.id, subject_id=grant.subject_id, resource=grant.resource)
        >= DELEGATIONS_MAX
    ):
        whom = "groups" if grant.subject_id is None else "one person"
        raise OverLimit(
            f"an actor may have at most {DELEGATIONS_MAX} delegations for {whom} at one resource; end some first",
            reason="too_many_delegations",
        )
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
        created_at=now,
        expires_at=grant.expires_at,
        ended_at=None,
        ended_reason=None,
    )
    delegation_insert(tx, delegation, actor_end_count=actor.end_count, subject_end_count=subject.end_count)
    _tell(tx, "delegation.granted", delegation, reason=None, caller=caller, now=now)
    return delegation


def get_delegation(tx: Tx, delegation_id: UUID) -> Delegation:
    """Return one delegation, ended or not. Raises ``NotThere``."""
    found = delegation_get(tx, delegation_id)
    if found is None:
        raise NotThere("no delegation with this id")
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

    Raises ``NotThere``.
    """
    ended = delegation_end(tx, delegation_id, reason=reason, now=now)
    if ended is None:
        get_delegation(tx, delegation_id)
        return
    _tell(tx, "delegation.ended", ended, reason=reason, caller=caller, now=now)


def _check_grant(tx: Tx, grant: Grant, tenant_lifetime_max_s: int, now: datetime) -> None:
    check_scopes(grant.scopes)
    check_limits(
        max_lifetime_s=grant.max_lifetime_s,
        max_depth=grant.max_depth,
        tenant_lifetime_max_s=tenant_lifetime_max_s,
    )
    if not (grant.scopes or grant.authorization_details):
        raise Malformed("a delegation must have scopes or authorization_details", pointer="/scopes")
    if grant.expires_at is not None and grant.expires_at <= now:
        raise Malformed("expires_at must be in the future", pointer="/expires_at")
    server = resource_server_get(tx, grant.resource)
    if server is None:
        raise Malformed(
            "no resource server is registered with this audience; register it first",
            pointer="/resource",
            reason="unknown_resource",
        )
    check_offered(server, scopes=grant.scopes, details=grant.authorization_details)


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
            raise Malformed("exactly one of subject_id and subject_group_id must be given", pointer="/subject_id")


def _check_party(party: Principal | None, kinds: frozenset[Kind], wanted: str, pointer: str) -> Principal:
    if party is None or party.kind not in kinds:
        raise Malformed(f"no {wanted} has this id", pointer=pointer, reason="unknown_principal")
    if party.state is not State.ACTIVE:
        raise Conflict(f"the {party.kind} is {party.state}", reason="principal_not_active")
    return party


def _tell(tx: Tx, type_: str, delegation: Delegation, *, reason: str | None, caller: Caller, now: datetime) -> None:
    told = Event(
        type=type_,
        subject_id=delegation.subject_id or delegation.subject_group_id,
        actor_ids=(delegation.actor_id,),
        reason=reason,
        detail={
            "delegation_id": str(delegation.id),
            "resource": delegation.resource,
            "scopes": list(delegation.scopes),
        },
    )
    event_insert(tx, told, caller=caller, now=now)
