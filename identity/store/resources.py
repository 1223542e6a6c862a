"""Registered resource servers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from identity.model.errors import Taken
from identity.model.resource import DetailsType, ResourceServer
from identity.store.json_rows import details_types_from
from identity.store.tables import resources
from identity.store.tx import Tx

COLUMNS = (
    resources.c.id,
    resources.c.audience,
    resources.c.principal_id,
    resources.c.scopes,
    resources.c.authorization_details_types,
    resources.c.authorization_details_scopes,
    resources.c.created_at,
)


def _resource(row: Any) -> ResourceServer:
    types = details_types_from(row.authorization_details_types, row.authorization_details_scopes)
    return ResourceServer(
        id=row.id,
        audience=row.audience,
        principal_id=row.principal_id,
        scopes=tuple(row.scopes),
        authorization_details_types=types,
        created_at=row.created_at,
    )


def resource_server_insert(
    tx: Tx,
    *,
    audience: str,
    principal_id: UUID | None,
    scopes: Sequence[str],
    details_types: Sequence[DetailsType],
    now: datetime,
) -> ResourceServer:
    """Write a new resource server. Raises ``Taken``."""
    statement = insert(resources).values(
        tenant_id=tx.tenant_id,
        id=tx.new_id(),
        audience=audience,
        principal_id=principal_id,
        scopes=list(scopes),
        authorization_details_types=[known.type for known in details_types],
        authorization_details_scopes={known.type: list(known.scopes) for known in details_types if known.scopes},
        created_at=now,
    )
    try:
        return _resource(tx.execute(statement.returning(*COLUMNS)).one())
    except IntegrityError:
        raise Taken(f"{audience} is registered already", reason="resource_taken") from None


def resource_server_get(tx: Tx, audience: str) -> ResourceServer | None:
    """Return the resource server that ``audience`` names, exactly."""
    statement = select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id, resources.c.audience == audience)
    row = tx.execute(statement).first()
    return None if row is None else _resource(row)


def resource_server_find(tx: Tx, resource_id: UUID) -> ResourceServer | None:
    """Return the resource server of an id."""
    statement = select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id, resources.c.id == resource_id)
    row = tx.execute(statement).first()
    return None if row is None else _resource(row)


def resource_servers_lock(tx: Tx, audiences: Iterable[str]) -> None:
    """Hold resource servers until the transaction ends, in one order for all."""
    statement = (
        select(resources.c.audience)
        .where(resources.c.tenant_id == tx.tenant_id, resources.c.audience.in_(sorted(audiences)))
        .order_by(resources.c.audience)
        .with_for_update(key_share=True)
    )
    tx.execute(statement)


def resource_server_list(tx: Tx, *, after: str | None, limit: int) -> list[ResourceServer]:
    """Return at most ``limit`` resource servers in the order of their audiences."""
    statement = (
        select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id).order_by(resources.c.audience).limit(limit)
    )
    if after is not None:
        statement = statement.where(resources.c.audience > after)
    return [_resource(row) for row in tx.execute(statement)]
