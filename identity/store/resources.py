"""Registered resource servers. The row of a deleted one stays, for what rested on it refers to it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from identity.model.errors import AlreadyExists
from identity.model.resource import ResourceServer
from identity.store.locks import resource_key
from identity.store.rows import RowMapper
from identity.store.tables import resources
from identity.store.tx import Tx

LIVE = resources.c.deleted_at.is_(None)


def details_types_sql(resource: str, column: str) -> str:
    """Return the types of authorization details in one column of the row ``resource``, with the scopes that each
    restricts: ``DetailsType`` as JSON.
    """
    scopes = f"coalesce({resource}.authorization_details_scopes -> known, '[]')"
    return f"""(SELECT json_agg(json_build_object('type', known, 'scopes', {scopes}))
                  FROM unnest({resource}.{column}) AS known)"""


TYPES = ("authorization_details_types", "retired_types")
RESOURCES = RowMapper(
    resources,
    ResourceServer,
    authorization_details_types=literal_column(details_types_sql("resources", "authorization_details_types"), JSON),
    retired_types=literal_column(details_types_sql("resources", "retired_types"), JSON),
)


def _values(server: ResourceServer) -> dict[str, Any]:
    """Return what changes of a resource server once it is registered."""
    ever = (*server.authorization_details_types, *server.retired_types)
    return {
        **RESOURCES.values(server, "principal_id", "scopes"),
        **{name: [known.type for known in getattr(server, name)] for name in TYPES},
        "authorization_details_scopes": {known.type: list(known.scopes) for known in ever if known.scopes},
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
        .returning(*RESOURCES.columns)
    )
    written = RESOURCES.first(tx.execute(statement))
    if written is None:
        raise AlreadyExists(f"{server.audience} is registered already", reason="resource_taken")
    return written


def resource_server_update(tx: Tx, server: ResourceServer, *, is_narrowed: bool) -> ResourceServer:
    """Write what a locked resource server offers from now on; one that offers less than before gets a higher epoch."""
    if is_narrowed:
        tx.ends.add(resource_key(server.audience))
    return RESOURCES.update_locked(
        tx,
        resources.c.audience == server.audience,
        version=resources.c.version + 1,
        epoch=resources.c.epoch + int(is_narrowed),
        **_values(server),
    )


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
    return RESOURCES.get(tx, resources.c.audience == audience, LIVE)


def resource_server_find(tx: Tx, resource_id: UUID) -> ResourceServer | None:
    """Return the resource server of an id."""
    return RESOURCES.get(tx, resources.c.id == resource_id, LIVE)


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
    is_wanted = None if audience is None else resources.c.audience == audience
    return RESOURCES.page(tx, LIVE, is_wanted, key=resources.c.audience, after=after, limit=limit)
