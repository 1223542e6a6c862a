"""Delegations. An ended one stays, and is never begun again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, not_, or_, select, true, tuple_

from identity.model.delegation import DELEGATIONS_MAX, PARTY_ENDED, RESOURCE_DELETED, Delegation
from identity.store.locks import delegation_key
from identity.store.rows import RowMapper
from identity.store.tables import delegations, principals, resources
from identity.store.tx import Tx

# Not coalesce: what row-level security may not show to a function is not looked up by an index.
SUBJECT = (delegations.c.subject_id, delegations.c.subject_group_id)
OF_PARTY = principals.c.tenant_id == delegations.c.tenant_id
END_COUNT = select(principals.c.end_count).where(OF_PARTY)
HAS_PARTIES = and_(
    END_COUNT.where(principals.c.id == delegations.c.actor_id).scalar_subquery() == delegations.c.actor_end_count,
    END_COUNT.where(principals.c.id.in_(SUBJECT)).scalar_subquery() == delegations.c.subject_end_count,
)
PARTIES_ENDED_AT = (
    select(func.max(principals.c.ended_at))
    .where(OF_PARTY, principals.c.id.in_([delegations.c.actor_id, *SUBJECT]))
    .scalar_subquery()
)
OF_ACTOR = delegations.c.max_depth > 0
"""True of every delegation. The index of actors has it in its condition, so that a look-up of one actor's delegations
for one person cannot take it, and read those for all others."""

WITHOUT_PARTY = and_(delegations.c.ended_at.is_(None), not_(HAS_PARTIES))
"""True of one that ended with a party, where no worker has written so yet."""

RESOURCE = and_(resources.c.tenant_id == delegations.c.tenant_id, resources.c.audience == delegations.c.resource)
HAS_RESOURCE = select(resources.c.end_count).where(RESOURCE).scalar_subquery() == delegations.c.resource_end_count
WITHOUT_RESOURCE = and_(delegations.c.ended_at.is_(None), not_(HAS_RESOURCE))
"""True of one that ended with its resource server: the server's end counter says so, and the row does not."""

RESOURCE_ENDED_AT = (
    select(func.coalesce(resources.c.deleted_at, resources.c.created_at)).where(RESOURCE).scalar_subquery()
)

DELEGATIONS = RowMapper(
    delegations,
    Delegation,
    ended_at=case(
        (WITHOUT_PARTY, PARTIES_ENDED_AT), (WITHOUT_RESOURCE, RESOURCE_ENDED_AT), else_=delegations.c.ended_at
    ),
    ended_reason=case(
        (WITHOUT_PARTY, literal(PARTY_ENDED)),
        (WITHOUT_RESOURCE, literal(RESOURCE_DELETED)),
        else_=delegations.c.ended_reason,
    ),
)
TERMS = ("scopes", "authorization_details", "max_lifetime_s", "max_depth", "max_task_s", "expires_at")
"""The columns that change once a delegation was granted."""


def delegation_insert(
    tx: Tx, delegation: Delegation, *, actor_end_count: int, subject_end_count: int, resource_end_count: int
) -> None:
    """Write a new delegation, with the end counters that its locked parties and its resource server have."""
    tx.execute(
        insert(delegations).values(
            tenant_id=tx.tenant_id,
            **DELEGATIONS.values(delegation),
            actor_end_count=actor_end_count,
            subject_end_count=subject_end_count,
            resource_end_count=resource_end_count,
        )
    )


def delegations_beside(tx: Tx, delegation: Delegation) -> list[Delegation]:
    """Return those that have not ended of the same actor, subject and resource server, by the same grantor."""
    is_of_subject = (
        delegations.c.subject_id == delegation.subject_id
        if delegation.subject_group_id is None
        else delegations.c.subject_group_id == delegation.subject_group_id
    )
    statement = (
        select(*DELEGATIONS.columns)
        .where(
            delegations.c.tenant_id == tx.tenant_id,
            delegations.c.actor_id == delegation.actor_id,
            delegations.c.resource == delegation.resource,
            delegations.c.granted_by == delegation.granted_by,
            delegations.c.ended_at.is_(None),
            is_of_subject,
            OF_ACTOR,
            HAS_PARTIES,
            HAS_RESOURCE,
        )
        .limit(DELEGATIONS_MAX)
    )
    return DELEGATIONS.all(tx.execute(statement))


def delegations_count(tx: Tx, *, actor_id: UUID, subject_id: UUID | None, resource: str) -> int:
    """Return how many delegations of an actor at a resource have not ended: those for one person, or for any group."""
    is_like_it = (
        delegations.c.subject_group_id.is_not(None) if subject_id is None else delegations.c.subject_id == subject_id
    )
    statement = select(func.count()).where(
        delegations.c.tenant_id == tx.tenant_id,
        delegations.c.actor_id == actor_id,
        delegations.c.resource == resource,
        delegations.c.ended_at.is_(None),
        HAS_RESOURCE,
        is_like_it,
    )
    return int(tx.execute(statement).scalar_one())


def delegation_get(tx: Tx, delegation_id: UUID) -> Delegation | None:
    """Return one delegation, ended or not."""
    return DELEGATIONS.get(tx, delegations.c.id == delegation_id)


def delegation_lock(tx: Tx, delegation_id: UUID) -> Delegation | None:
    """Return one delegation, ended or not, and hold its row until the transaction ends."""
    statement = (
        select(delegations.c.id)
        .where(delegations.c.tenant_id == tx.tenant_id, delegations.c.id == delegation_id)
        .with_for_update(key_share=True)
    )
    return None if tx.execute(statement).first() is None else delegation_get(tx, delegation_id)


def delegation_update(tx: Tx, delegation: Delegation, *, is_narrowed: bool) -> Delegation:
    """Write what a locked delegation permits from now on; one that permits less than before gets a higher epoch."""
    if is_narrowed:
        tx.ends.add(delegation_key(delegation.id))
    return DELEGATIONS.update_locked(
        tx,
        delegations.c.id == delegation.id,
        **DELEGATIONS.values(delegation, *TERMS),
        version=delegations.c.version + 1,
        epoch=delegations.c.epoch + int(is_narrowed),
    )


def delegation_end(tx: Tx, delegation_id: UUID, *, reason: str, now: datetime) -> Delegation | None:
    """End a delegation; None when there is none that has not ended."""
    tx.ends.add(delegation_key(delegation_id))
    has_not_ended = (delegations.c.ended_at.is_(None), HAS_PARTIES, HAS_RESOURCE)
    return DELEGATIONS.update(tx, delegations.c.id == delegation_id, *has_not_ended, ended_at=now, ended_reason=reason)


def delegation_list(
    tx: Tx, *, actor_id: UUID | None, subject_id: UUID | None, after: UUID | None, limit: int
) -> list[Delegation]:
    """Return at most ``limit`` delegations in the order of creation; ``subject_id`` is a user or a group."""
    return DELEGATIONS.page(tx, _of_parties(actor_id, subject_id), key=delegations.c.id, after=after, limit=limit)


def delegations_in_force(
    tx: Tx,
    *,
    actor_id: UUID | None,
    subject_id: UUID | None,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
    now: datetime,
) -> list[Delegation]:
    """Return at most ``limit`` delegations that have neither ended nor expired, the next to expire first.

    ``after`` is the expiry and the id of the last one before; those that never expire come last.
    """
    table, found = delegations.c, list[Delegation]()
    is_wanted = _of_parties(actor_id, subject_id)
    statement = select(*DELEGATIONS.columns).where(
        table.tenant_id == tx.tenant_id, table.ended_at.is_(None), HAS_PARTIES, HAS_RESOURCE, is_wanted
    )
    if after is None or after[0] is not None:
        expiring = statement.where(table.expires_at > now).order_by(table.expires_at, table.id).limit(limit)
        if after is not None:
            place = tuple_(literal(after[0], table.expires_at.type), literal(after[1], table.id.type))
            expiring = expiring.where(tuple_(table.expires_at, table.id) > place)
        found = DELEGATIONS.all(tx.execute(expiring))
    if len(found) == limit:
        return found
    lasting = statement.where(table.expires_at.is_(None)).order_by(table.id).limit(limit - len(found))
    if after is not None and after[0] is None:
        lasting = lasting.where(table.id > after[1])
    return found + DELEGATIONS.all(tx.execute(lasting))


def _of_parties(actor_id: UUID | None, subject_id: UUID | None) -> ColumnElement[bool]:
    conditions = [] if actor_id is None else [delegations.c.actor_id == actor_id]
    if subject_id is not None:
        conditions.append(or_(delegations.c.subject_id == subject_id, delegations.c.subject_group_id == subject_id))
    return and_(true(), *conditions)
