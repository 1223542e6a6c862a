"""OAuth clients. Of a secret only the hash is stored; a client's row is never deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, insert, select, update

from identity.model.client import AuthMethod, Client, GrantType
from identity.store.locks import client_key
from identity.store.tables import clients, resources
from identity.store.tx import Tx

RESOURCE = and_(resources.c.tenant_id == clients.c.tenant_id, resources.c.audience == clients.c.audience)
WITHOUT_AUDIENCE = and_(
    clients.c.revoked_at.is_(None),
    clients.c.audience.is_not(None),
    select(resources.c.end_count).where(RESOURCE).scalar_subquery() != clients.c.audience_end_count,
)
"""It ended with its resource server, of which nobody writes so: the count of its ends does."""

RESOURCE_ENDED_AT = (
    select(func.coalesce(resources.c.deleted_at, resources.c.created_at)).where(RESOURCE).scalar_subquery()
)
COLUMNS = (
    clients.c.client_id,
    clients.c.client_name,
    clients.c.principal_id,
    clients.c.audience,
    clients.c.connection_id,
    clients.c.token_endpoint_auth_method,
    clients.c.posts_secret,
    clients.c.secret_hash,
    clients.c.jwks,
    clients.c.scopes,
    clients.c.grant_types,
    clients.c.version,
    clients.c.created_at,
    case((WITHOUT_AUDIENCE, RESOURCE_ENDED_AT), else_=clients.c.revoked_at).label("revoked_at"),
)


def client_from(row: Any) -> Client:
    """Return the client in a row that holds ``COLUMNS``."""
    return Client(
        client_id=row.client_id,
        client_name=row.client_name,
        principal_id=row.principal_id,
        audience=row.audience,
        connection_id=row.connection_id,
        auth_method=auth_method_from(row.token_endpoint_auth_method, posts_secret=row.posts_secret),
        secret_hash=None if row.secret_hash is None else bytes(row.secret_hash),
        jwks=row.jwks,
        scopes=tuple(row.scopes),
        grant_types=tuple(GrantType(name) for name in row.grant_types),
        version=row.version,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
    )


def auth_method_from(stored: str, *, posts_secret: bool) -> AuthMethod:
    """Return the method that two columns spell. A program of before ``posts_secret`` knows two methods, and reads a
    client that posts its secret as one that sends it by HTTP Basic.
    """
    return AuthMethod.CLIENT_SECRET_POST if posts_secret else AuthMethod(stored)


def client_insert(tx: Tx, client: Client, *, principal_end_count: int, audience_end_count: int) -> None:
    """Write a new client, with the end counters that its locked principal and resource server have."""
    posts_secret = client.auth_method is AuthMethod.CLIENT_SECRET_POST
    tx.execute(
        insert(clients).values(
            tenant_id=tx.tenant_id,
            client_id=client.client_id,
            client_name=client.client_name,
            principal_id=client.principal_id,
            audience=client.audience,
            connection_id=client.connection_id,
            token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_BASIC if posts_secret else client.auth_method,
            posts_secret=posts_secret,
            secret_hash=client.secret_hash,
            jwks=None if client.jwks is None else dict(client.jwks),
            scopes=list(client.scopes),
            grant_types=list(client.grant_types),
            principal_end_count=principal_end_count,
            audience_end_count=audience_end_count,
            created_at=client.created_at,
        )
    )


def client_get(tx: Tx, client_id: str) -> Client | None:
    """Return one client, revoked or not."""
    statement = select(*COLUMNS).where(clients.c.tenant_id == tx.tenant_id, clients.c.client_id == client_id)
    row = tx.execute(statement).first()
    return None if row is None else client_from(row)


def client_lock(tx: Tx, client_id: str) -> Client | None:
    """Return one client, revoked or not, and hold its row until the transaction ends."""
    statement = (
        select(clients.c.client_id)
        .where(clients.c.tenant_id == tx.tenant_id, clients.c.client_id == client_id)
        .with_for_update(key_share=True)
    )
    return None if tx.execute(statement).first() is None else client_get(tx, client_id)


def client_update(tx: Tx, client_id: str, values: Mapping[str, Any]) -> Client:
    """Change a locked client; its version grows, so that nothing parsed from the old row is used again."""
    statement = (
        update(clients)
        .where(clients.c.tenant_id == tx.tenant_id, clients.c.client_id == client_id)
        .values(version=clients.c.version + 1, **values)
        .returning(*COLUMNS)
    )
    return client_from(tx.execute(statement).one())


def client_revoke(tx: Tx, client_id: str, *, now: datetime) -> Client:
    """End a locked client for ever."""
    tx.ends.add(client_key(client_id))
    return client_update(tx, client_id, {"revoked_at": now})


def connection_clients_revoke(tx: Tx, connection_id: UUID, *, now: datetime) -> list[str]:
    """End every client of a connection for ever; return their ids."""
    statement = (
        update(clients)
        .where(
            clients.c.tenant_id == tx.tenant_id,
            clients.c.connection_id == connection_id,
            clients.c.revoked_at.is_(None),
        )
        .values(version=clients.c.version + 1, revoked_at=now)
        .returning(clients.c.client_id)
    )
    revoked = list(tx.execute(statement).scalars())
    tx.ends.update(map(client_key, revoked))
    return revoked


def runner_clients_revoke(tx: Tx, principal_id: UUID, audience: str, *, now: datetime) -> list[str]:
    """End every client that speaks for a principal and a resource server; return their ids."""
    statement = (
        update(clients)
        .where(
            clients.c.tenant_id == tx.tenant_id,
            clients.c.principal_id == principal_id,
            clients.c.audience == audience,
            clients.c.revoked_at.is_(None),
        )
        .values(version=clients.c.version + 1, revoked_at=now)
        .returning(clients.c.client_id)
    )
    revoked = list(tx.execute(statement).scalars())
    tx.ends.update(map(client_key, revoked))
    return revoked


def live_clients_count(tx: Tx, principal_id: UUID, *, limit: int) -> int:
    """Return how many clients of a principal are not revoked, ``limit`` at most."""
    live = (
        select(clients.c.client_id)
        .where(
            clients.c.tenant_id == tx.tenant_id,
            clients.c.principal_id == principal_id,
            clients.c.revoked_at.is_(None),
        )
        .limit(limit)
        .subquery()
    )
    return int(tx.execute(select(func.count()).select_from(live)).scalar_one())


def client_list(tx: Tx, *, principal_id: UUID | None, after: str | None, limit: int) -> list[Client]:
    """Return at most ``limit`` clients in the order of creation, those of one principal when it is named."""
    statement = select(*COLUMNS).where(clients.c.tenant_id == tx.tenant_id).order_by(clients.c.client_id).limit(limit)
    if principal_id is not None:
        statement = statement.where(clients.c.principal_id == principal_id)
    if after is not None:
        statement = statement.where(clients.c.client_id > after)
    return [client_from(row) for row in tx.execute(statement)]
