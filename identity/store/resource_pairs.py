"""Pairs of resource servers. Of a deleted one nothing stays but its id in tokens, which are dead with it."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update

from identity.model.resource_pair import ResourcePair
from identity.store.locks import pair_key
from identity.store.tables import resource_pairs
from identity.store.tx import Tx

COLUMNS = (
    resource_pairs.c.id,
    resource_pairs.c.source,
    resource_pairs.c.target,
    resource_pairs.c.scopes,
    resource_pairs.c.authorization_details_types,
    resource_pairs.c.created_at,
    resource_pairs.c.version,
    resource_pairs.c.epoch,
)


def _pair(row: Any) -> ResourcePair:
    return ResourcePair(
        id=row.id,
        source=row.source,
        target=row.target,
        scopes={scope: tuple(allowed) for scope, allowed in row.scopes.items()},
        authorization_details_types=row.authorization_details_types,
        created_at=row.created_at,
        version=row.version,
        epoch=row.epoch,
    )


def resource_pair_insert(tx: Tx, pair: ResourcePair) -> None:
    """Write a new pair of two whose rows are locked."""
    statement = insert(resource_pairs).values(
        tenant_id=tx.tenant_id,
        id=pair.id,
        source=pair.source,
        target=pair.target,
        scopes={scope: list(allowed) for scope, allowed in pair.scopes.items()},
        authorization_details_types=dict(pair.authorization_details_types),
        created_at=pair.created_at,
    )
    tx.execute(statement)


def resource_pair_between(tx: Tx, source: str, target: str) -> ResourcePair | None:
    """Return the pair of two audiences, in this direction."""
    row = tx.execute(
        select(*COLUMNS).where(
            resource_pairs.c.tenant_id == tx.tenant_id,
            resource_pairs.c.source == source,
            resource_pairs.c.target == target,
        )
    ).first()
    return None if row is None else _pair(row)


def resource_pair_get(tx: Tx, pair_id: UUID) -> ResourcePair | None:
    """Return one pair."""
    statement = select(*COLUMNS).where(resource_pairs.c.tenant_id == tx.tenant_id, resource_pairs.c.id == pair_id)
    row = tx.execute(statement).first()
    return None if row is None else _pair(row)


def resource_pair_lock(tx: Tx, pair_id: UUID) -> ResourcePair | None:
    """Return one pair, and hold its row until the transaction ends."""
    statement = (
        select(*COLUMNS)
        .where(resource_pairs.c.tenant_id == tx.tenant_id, resource_pairs.c.id == pair_id)
        .with_for_update(key_share=True)
    )
    row = tx.execute(statement).first()
    return None if row is None else _pair(row)


def resource_pair_update(tx: Tx, pair: ResourcePair, *, is_narrowed: bool) -> ResourcePair:
    """Write what a locked pair allows from now on; one that allows less than before gets a higher epoch."""
    if is_narrowed:
        tx.ends.add(pair_key(pair.id))
    statement = (
        update(resource_pairs)
        .where(resource_pairs.c.tenant_id == tx.tenant_id, resource_pairs.c.id == pair.id)
        .values(
            scopes={scope: list(allowed) for scope, allowed in pair.scopes.items()},
            authorization_details_types=dict(pair.authorization_details_types),
            version=resource_pairs.c.version + 1,
            epoch=resource_pairs.c.epoch + int(is_narrowed),
        )
        .returning(*COLUMNS)
    )
    return _pair(tx.execute(statement).one())


def resource_pairs_delete(tx: Tx, audience: str) -> int:
    """Delete every pair from and to a resource server; return how many."""
    statement = (
        delete(resource_pairs)
        .where(
            resource_pairs.c.tenant_id == tx.tenant_id,
            or_(resource_pairs.c.source == audience, resource_pairs.c.target == audience),
        )
        .returning(resource_pairs.c.id)
    )
    deleted = list(tx.execute(statement).scalars())
    tx.ends.update(map(pair_key, deleted))
    return len(deleted)


def resource_pairs_count(tx: Tx, *, source: str | None = None, target: str | None = None) -> int:
    """Return how many pairs lead from one audience, or to one."""
    is_one = resource_pairs.c.target == target if source is None else resource_pairs.c.source == source
    statement = select(func.count()).where(resource_pairs.c.tenant_id == tx.tenant_id, is_one)
    return int(tx.execute(statement).scalar_one())


def resource_pair_delete(tx: Tx, pair_id: UUID) -> ResourcePair | None:
    """Delete a pair; None when there is none."""
    tx.ends.add(pair_key(pair_id))
    statement = (
        delete(resource_pairs)
        .where(resource_pairs.c.tenant_id == tx.tenant_id, resource_pairs.c.id == pair_id)
        .returning(*COLUMNS)
    )
    row = tx.execute(statement).first()
    return None if row is None else _pair(row)


def resource_pair_list(tx: Tx, *, after: UUID | None, limit: int) -> list[ResourcePair]:
    """Return at most ``limit`` pairs in the order of creation."""
    statement = (
        select(*COLUMNS).where(resource_pairs.c.tenant_id == tx.tenant_id).order_by(resource_pairs.c.id).limit(limit)
    )
    if after is not None:
        statement = statement.where(resource_pairs.c.id > after)
    return [_pair(row) for row in tx.execute(statement)]
