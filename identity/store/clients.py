"""OAuth clients. Of a secret only the hash is stored; a client's row is never deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, case, func, insert, literal_column, select, update

from identity.model.client import AuthMethod, Client
from identity.store.locks import client_key
from identity.store.rows import RowMapper
from identity.store.tables import clients, resources
from identity.store.tx import Tx

RESOURCE = and_(resources.c.tenant_id == clients.c.tenant_id, resources.c.audience == clients.c.audience)
WITHOUT_AUDIENCE = and_(
    clients.c.revoked_at.is_(None),
    clients.c.audience.is_not(None),
    select(resources.c.end_count).where(RESOURCE).scalar_subquery() != clients.c.audience_end_count,
)
"""True of a client that ended with its resource server: the server's end counter says so, not the client's row."""

RESOURCE_ENDED_AT = (
    select(func.coalesce(resources.c.deleted_at, resources.c.created_at)).where(RESOURCE).scalar_subquery()
)


def auth_method_sql(client: str) -> str:
    """Return the authentication method that two columns of the row ``client`` hold. A program of before
    ``posts_secret`` knows two methods, and reads a client that posts its secret as one that sends it by HTTP Basic.
    """
    return f"CASE WHEN {client}.posts_secret THEN 'client_secret_post' ELSE {client}.token_endpoint_auth_method END"


CLIENTS = RowMapper(
    clients,
    Client,
    auth_method=literal_column(auth_method_sql("clients"), Text),
    revoked_at=case((WITHOUT_AUDIENCE, RESOURCE_ENDED_AT), else_=clients.c.revoked_at),
)


def client_insert(tx: Tx, client: Client, *, principal_end_count: int, audience_end_count: int) -> None:
    """Write a new client, with the end counters that its locked principal and resource server have."""
    posts_secret = client.auth_method is AuthMethod.CLIENT_SECRET_POST
    tx.execute(
        insert(clients).values(
            tenant_id=tx.tenant_id,
            **CLIENTS.values(client),
            token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_BASIC if posts_secret else client.auth_method,
            posts_secret=posts_secret,
            principal_end_count=principal_end_count,
            audience_end_count=audience_end_count,
        )
    )


def client_get(tx: Tx, client_id: str) -> Client | None:
    """Return one client, revoked or not."""
    return CLIENTS.get(tx, clients.c.client_id == client_id)


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
    return CLIENTS.update_locked(tx, clients.c.client_id == client_id, version=clients.c.version + 1, **values)


def client_revoke(tx: Tx, client_id: str, *, now: datetime) -> Client:
    """End a locked client for ever."""
    tx.ends.add(client_key(client_id))
    return client_update(tx, client_id, {"revoked_at": now})


def connection_clients_revoke(tx: Tx, connection_id: UUID, *, now: datetime) -> list[str]:
    """End every client of a connection for ever; return their ids."""
    return _revoke(tx, clients.c.connection_id == connection_id, now)


def runner_clients_revoke(tx: Tx, principal_id: UUID, audience: str, *, now: datetime) -> list[str]:
    """End every client that speaks for a principal and a resource server; return their ids."""
    return _revoke(tx, and_(clients.c.principal_id == principal_id, clients.c.audience == audience), now)


def _revoke(tx: Tx, condition: ColumnElement[bool], now: datetime) -> list[str]:
    statement = (
        update(clients)
        .where(clients.c.tenant_id == tx.tenant_id, condition, clients.c.revoked_at.is_(None))
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
    is_wanted = None if principal_id is None else clients.c.principal_id == principal_id
    return CLIENTS.page(tx, is_wanted, key=clients.c.client_id, after=after, limit=limit)
