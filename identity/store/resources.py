"""Registered resource servers. The row of a deleted one stays, for what rested on it refers to it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from identity.model.errors import AlreadyExists
from identity.model.resource import ResourceServer
from identity.store.json_rows import details_types_from
from identity.store.locks import resource_key
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
    resources.c.retired_types,
    resources.c.version,
    resources.c.epoch,
    resources.c.end_count,
)
LIVE = resources.c.deleted_at.is_(None)


def _resource(row: Any) -> ResourceServer:
    restrictions = row.authorization_details_scopes
    return ResourceServer(
        id=row.id,
        audience=row.audience,
        principal_id=row.principal_id,
        scopes=tuple(row.scopes),
        authorization_details_types=details_types_from(row.authorization_details_types, restrictions),
        created_at=row.created_at,
        retired_types=details_types_from(row.retired_types, restrictions),
        version=row.version,
        epoch=row.epoch,
        end_count=row.end_count,
    )


def _values(server: ResourceServer) -> dict[str, Any]:
    ever = (*server.authorization_details_types, *server.retired_types)
    return {
        "principal_id": server.principal_id,
        "scopes": list(server.scopes),
        "authorization_details_types": [known.type for known in server.authorization_details_types],
        "authorization_details_scopes": {known.type: list(known.scopes) for known in ever if known.scopes},
        "retired_types": [known.type for known in server.retired_types],
    }


def resource_server_insert(tx: Tx, server: ResourceServer) -> ResourceServer:
    """Write a new resource server, under its audience where one was deleted. Raises ``AlreadyExists``.

    The row of a deleted one is written anew, with another id and the same counts: what rested on it has ended.
    """
    values = {"id": server.id, "created_at": server.created_at, **_values(server)}
    statement = (
        insert(resources)
        .values(tenant_id=tx.tenant_id, audience=server.audience, **values)
        .on_conflict_do_update(
            index_elements=["tenant_id", "audience"],
            set_={**values, "version": 1, "deleted_at": None},
            where=resources.c.deleted_at.is_not(None),
        )
        .returning(*COLUMNS)
    )
    row = tx.execute(statement).first()
    if row is None:
        raise AlreadyExists(f"{server.audience} is registered already", reason="resource_taken")
    return _resource(row)


def resource_server_update(tx: Tx, server: ResourceServer, *, is_narrowed: bool) -> ResourceServer:
    """Write what a locked resource server offers from now on; one that offers less than before gets a higher epoch."""
    if is_narrowed:
        tx.ends.add(resource_key(server.audience))
    statement = (
        update(resources)
        .where(resources.c.tenant_id == tx.tenant_id, resources.c.audience == server.audience)
        .values(version=resources.c.version + 1, epoch=resources.c.epoch + int(is_narrowed), **_values(server))
        .returning(*COLUMNS)
    )
    return _resource(tx.execute(statement).one())


def resource_server_delete(tx: Tx, audience: str, *, now: datetime) -> None:
    """Delete a locked resource server, and all that rests on it: of that nothing is written but a count."""
    tx.ends.add(resource_key(audience))
    statement = (
        update(resources)
        .where(resources.c.tenant_id == tx.tenant_id, resources.c.audience == audience)
        .values(deleted_at=now, epoch=resources.c.epoch + 1, end_count=resources.c.end_count + 1)
    )
    tx.execute(statement)


def resource_server_get(tx: Tx, audience: str) -> ResourceServer | None:
    """Return the resource server that ``audience`` names, exactly."""
    statement = select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id, resources.c.audience == audience, LIVE)
    row = tx.execute(statement).first()
    return None if row is None else _resource(row)


def resource_server_find(tx: Tx, resource_id: UUID) -> ResourceServer | None:
    """Return the resource server of an id."""
    statement = select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id, resources.c.id == resource_id, LIVE)
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


def resource_server_list(tx: Tx, *, audience: str | None, after: str | None, limit: int) -> list[ResourceServer]:
    """Return at most ``limit`` resource servers in the order of their audiences, or the one that is named."""
    statement = (
        select(*COLUMNS).where(resources.c.tenant_id == tx.tenant_id, LIVE).order_by(resources.c.audience).limit(limit)
    )
    if audience is not None:
        statement = statement.where(resources.c.audience == audience)
    if after is not None:
        statement = statement.where(resources.c.audience > after)
    return [_resource(row) for row in tx.execute(statement)]
