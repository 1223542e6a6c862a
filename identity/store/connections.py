"""Connections and their bearer tokens, stored hashed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from identity.model.connection import Connection, ConnectionKind
from identity.model.credential import ConnectionToken
from identity.model.errors import AlreadyExists
from identity.store.locks import connection_key
from identity.store.rows import RowMapper
from identity.store.tables import connection_tokens, connections, tenants
from identity.store.tx import Tx

CONNECTIONS = RowMapper(connections, Connection)
CONNECTION_TOKENS = RowMapper(connection_tokens, ConnectionToken)


def connection_insert(tx: Tx, values: Mapping[str, Any], *, now: datetime) -> Connection:
    """Write a new connection. Raises ``AlreadyExists`` when another live one trusts the same issuer."""
    statement = insert(connections).values(tenant_id=tx.tenant_id, id=tx.new_id(), created_at=now, **values)
    try:
        return CONNECTIONS.read(tx.execute(statement.returning(*CONNECTIONS.columns)).one())
    except IntegrityError:
        raise AlreadyExists("a connection for this issuer exists already", reason="issuer_taken") from None


def connection_end(tx: Tx, connection_id: UUID, *, now: datetime) -> None:
    """End a locked connection for ever."""
    tx.ends.add(connection_key(connection_id))
    connection_update(tx, connection_id, {"ended_at": now})


def connection_update(tx: Tx, connection_id: UUID, values: Mapping[str, Any]) -> Connection | None:
    """Change a live connection."""
    is_live = connections.c.ended_at.is_(None)
    version = connections.c.version + 1
    return CONNECTIONS.update(tx, connections.c.id == connection_id, is_live, version=version, **values)


def connection_narrow(tx: Tx, connection_id: UUID, values: Mapping[str, Any]) -> Connection | None:
    """Change a live connection so that it takes fewer tokens; those that rest on it end."""
    tx.ends.add(connection_key(connection_id))
    return connection_update(tx, connection_id, {**values, "epoch": connections.c.epoch + 1})


def connection_get(tx: Tx, connection_id: UUID) -> Connection | None:
    """Return one connection, ended or not."""
    return CONNECTIONS.get(tx, connections.c.id == connection_id)


def connection_lock(tx: Tx, connection_id: UUID) -> Connection | None:
    """Return one connection, ended or not, and hold its row until the transaction ends."""
    return CONNECTIONS.get(tx, connections.c.id == connection_id, is_locked=True)


def connection_list(tx: Tx, *, name: str | None = None, after: UUID | None, limit: int) -> list[Connection]:
    """Return at most ``limit`` connections in the order of creation, ended ones among them."""
    is_wanted = None if name is None else connections.c.name == name
    return CONNECTIONS.page(tx, is_wanted, key=connections.c.id, after=after, limit=limit)


def connection_find_by_issuer(tx: Tx, issuer: str) -> UUID | None:
    """Return the id of the live connection that trusts an issuer."""
    statement = select(connections.c.id).where(
        connections.c.tenant_id == tx.tenant_id,
        connections.c.kind == ConnectionKind.OIDC,
        connections.c.issuer == issuer,
        connections.c.ended_at.is_(None),
    )
    found: UUID | None = tx.execute(statement).scalar()
    return found


# Every request of a source runs it, so it is put together once.
FIND_BY_TOKEN = (
    select(*CONNECTIONS.columns, tenants.c.catalogue_version)
    .join(
        connection_tokens,
        (connection_tokens.c.tenant_id == connections.c.tenant_id)
        & (connection_tokens.c.connection_id == connections.c.id),
    )
    .join(tenants, (tenants.c.tenant_id == connections.c.tenant_id) & (tenants.c.state == "active"))
    .where(
        connections.c.tenant_id == bindparam("tenant"),
        connections.c.kind == ConnectionKind.SCIM,
        connections.c.ended_at.is_(None),
        connection_tokens.c.hash == bindparam("hash"),
        connection_tokens.c.revoked_at.is_(None),
        or_(connection_tokens.c.expires_at.is_(None), connection_tokens.c.expires_at > bindparam("now")),
    )
)


def connection_find_by_token(tx: Tx, token_hash: bytes, *, now: datetime) -> tuple[Connection, int] | None:
    """Return the live SCIM connection of an active tenant whose live bearer token has this hash, and the version of
    the tenant's catalogue.
    """
    row = tx.execute(FIND_BY_TOKEN, {"tenant": tx.tenant_id, "hash": token_hash, "now": now}).first()
    return None if row is None else (CONNECTIONS.read(row), row.catalogue_version)


def connection_token_insert(tx: Tx, connection_id: UUID, token_hash: bytes, *, now: datetime) -> UUID:
    """Remember a new bearer token by its hash."""
    token_id = tx.new_id()
    tx.execute(
        insert(connection_tokens).values(
            tenant_id=tx.tenant_id, id=token_id, connection_id=connection_id, hash=token_hash, created_at=now
        )
    )
    return token_id


def connection_tokens_expire(tx: Tx, connection_id: UUID, *, at: datetime) -> int:
    """Let every live token of a connection end at ``at``, if not earlier; return how many."""
    statement = (
        update(connection_tokens)
        .where(
            connection_tokens.c.tenant_id == tx.tenant_id,
            connection_tokens.c.connection_id == connection_id,
            connection_tokens.c.revoked_at.is_(None),
        )
        .values(expires_at=func.least(func.coalesce(connection_tokens.c.expires_at, at), at))
    )
    return tx.execute(statement).rowcount


def connection_tokens_list(tx: Tx, connection_id: UUID) -> list[ConnectionToken]:
    """Return what may be shown of a connection's tokens, newest first."""
    statement = (
        select(*CONNECTION_TOKENS.columns)
        .where(connection_tokens.c.tenant_id == tx.tenant_id, connection_tokens.c.connection_id == connection_id)
        .order_by(connection_tokens.c.id.desc())
        .limit(100)
    )
    return CONNECTION_TOKENS.all(tx.execute(statement))
