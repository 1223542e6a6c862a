"""Pairs of resource servers. Of a deleted one nothing stays but its id in tokens, which are dead with it."""

from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select

from identity.model.resource_pair import ResourcePair
from identity.store.locks import pair_key
from identity.store.rows import RowMapper
from identity.store.tables import resource_pairs
from identity.store.tx import Tx

RESOURCE_PAIRS = RowMapper(resource_pairs, ResourcePair)


def resource_pair_insert(tx: Tx, pair: ResourcePair) -> None:
    """Write a new pair of two whose rows are locked."""
    tx.execute(insert(resource_pairs).values(tenant_id=tx.tenant_id, **RESOURCE_PAIRS.values(pair)))


def resource_pair_between(tx: Tx, source: str, target: str) -> ResourcePair | None:
    """Return the pair of two audiences, in this direction."""
    return RESOURCE_PAIRS.get(tx, resource_pairs.c.source == source, resource_pairs.c.target == target)


def resource_pair_get(tx: Tx, pair_id: UUID) -> ResourcePair | None:
    """Return one pair."""
    return RESOURCE_PAIRS.get(tx, resource_pairs.c.id == pair_id)


def resource_pair_lock(tx: Tx, pair_id: UUID) -> ResourcePair | None:
    """Return one pair, and hold its row until the transaction ends."""
    return RESOURCE_PAIRS.get(tx, resource_pairs.c.id == pair_id, is_locked=True)


def resource_pair_update(tx: Tx, pair: ResourcePair, *, is_narrowed: bool) -> ResourcePair:
    """Write what a locked pair allows from now on; one that allows less than before gets a higher epoch."""
    if is_narrowed:
        tx.ends.add(pair_key(pair.id))
    return RESOURCE_PAIRS.update_locked(
        tx,
        resource_pairs.c.id == pair.id,
        **RESOURCE_PAIRS.values(pair, "scopes", "authorization_details_types"),
        version=resource_pairs.c.version + 1,
        epoch=resource_pairs.c.epoch + int(is_narrowed),
    )


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
        .returning(*RESOURCE_PAIRS.columns)
    )
    return RESOURCE_PAIRS.first(tx.execute(statement))


def resource_pair_list(tx: Tx, *, after: UUID | None, limit: int) -> list[ResourcePair]:
    """Return at most ``limit`` pairs in the order of creation."""
    return RESOURCE_PAIRS.page(tx, key=resource_pairs.c.id, after=after, limit=limit)
