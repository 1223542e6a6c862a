"""The provisioning log: one row for each request of a source that changed something, or was refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB

from identity.model.access import Caller
from identity.model.provisioning_log import (
    Change,
    LogEntry,
    LogQuery,
    RecordedLogEntry,
    RequestOutcome,
    name_key_of,
)
from identity.model.restoration import Source
from identity.store import provisioning_events
from identity.store.events import INSERT_FROM_JSON, json_of
from identity.store.spans import in_span
from identity.store.tables import provisioning_requests
from identity.store.tx import Tx

INSERT = insert(provisioning_requests)

# The events of a change, what others are told of it, and the request that caused it, in one round trip.
WITH_EVENTS = text(f"""
WITH trail AS ({INSERT_FROM_JSON}),
told AS ({provisioning_events.INSERT})
INSERT INTO provisioning_requests (tenant_id, id, connection_id, at, request_id, method, path, resource_type,
                                   principal_id, name, name_key, body, changes, outcome, status, scim_type, reason,
                                   detail, duration_ms)
VALUES (:tenant_id, :id, :connection_id, :at, :request_id, :method, :path, :resource_type, :principal_id, :name,
        :name_key, :body, :changes, :outcome, :status, :scim_type, :reason, :detail, :duration_ms)
""").bindparams(
    bindparam("body", type_=JSONB(none_as_null=True)),
    bindparam("changes", type_=JSONB),
    bindparam("tenant_id", type_=Uuid),
    bindparam("principal_id", type_=Uuid),
    bindparam("connection_id", type_=Uuid),
)

SOURCES_MAX = 10_000
HEARD = text("""
SELECT c.id, c.name, c.dialect, heard.at
  FROM connections c LEFT JOIN LATERAL (
       SELECT r.at FROM provisioning_requests r WHERE r.tenant_id = :tenant AND r.connection_id = c.id
        ORDER BY r.id DESC LIMIT 1) AS heard ON true
 WHERE c.tenant_id = :tenant AND c.kind = 'scim' AND c.ended_at IS NULL ORDER BY c.id LIMIT :limit
""")

COLUMNS = [column for column in provisioning_requests.c if column.name not in ("tenant_id", "name_key")]


def log_entry_insert(tx: Tx, entry: LogEntry, *, caller: Caller, now: datetime) -> None:
    """Write one entry, and in the same statement the events that the transaction holds. ``caller`` is a connection."""
    values = {
        "tenant_id": tx.tenant_id,
        "id": tx.new_id(),
        "connection_id": caller.connection_id,
        "at": now,
        "request_id": caller.request_id,
        "method": entry.method,
        "path": entry.path,
        "resource_type": entry.resource_type,
        "principal_id": entry.principal_id,
        "name": entry.name,
        "name_key": None if entry.name is None else name_key_of(entry.name),
        "body": entry.body,
        "changes": [[change.attribute, change.old, change.new] for change in entry.changes],
        "outcome": entry.outcome,
        "status": entry.status,
        "scim_type": entry.scim_type,
        "reason": entry.reason,
        "detail": entry.detail,
        "duration_ms": entry.duration_ms,
    }
    if tx.pending_events:
        tx.execute(WITH_EVENTS, values | json_of(tx.pending_events))
        tx.pending_events.clear()
    else:
        tx.execute(INSERT, values)


def log_entry_list(tx: Tx, connection_id: UUID, query: LogQuery) -> Sequence[RecordedLogEntry]:
    """Return one page of a connection's entries."""
    table = provisioning_requests.c
    statement = select(*COLUMNS).where(table.tenant_id == tx.tenant_id, table.connection_id == connection_id)
    statement = in_span(statement, provisioning_requests, query.span, order=query.order, after=query.after)
    if query.principal_id is not None:
        statement = statement.where(table.principal_id == query.principal_id)
    if query.name is not None:
        statement = statement.where(table.name_key == name_key_of(query.name))
    if query.outcome is not None:
        statement = statement.where(table.outcome == query.outcome)
    return [_log_entry_from(row) for row in tx.execute(statement.limit(query.limit))]


def sources_heard(tx: Tx) -> tuple[Source, ...]:
    """Return the tenant's live SCIM connections, each with when it was last heard."""
    rows = tx.execute(HEARD, {"tenant": tx.tenant_id, "limit": SOURCES_MAX})
    return tuple(Source(row.id, row.name, row.dialect, row.at) for row in rows)


def _log_entry_from(row: Any) -> RecordedLogEntry:
    return RecordedLogEntry(
        id=row.id,
        at=row.at,
        connection_id=row.connection_id,
        request_id=row.request_id,
        entry=LogEntry(
            method=row.method,
            path=row.path,
            resource_type=row.resource_type,
            principal_id=row.principal_id,
            name=row.name,
            body=row.body,
            changes=tuple(Change(attribute, old, new) for attribute, old, new in row.changes),
            outcome=RequestOutcome(row.outcome),
            status=row.status,
            scim_type=row.scim_type,
            reason=row.reason,
            detail=row.detail,
            duration_ms=row.duration_ms,
        ),
    )
