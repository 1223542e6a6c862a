"""The provisioning log: one row for each request of a source that changed something, or was refused."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, insert, select, text

from identity.model.access import Caller
from identity.model.provisioning_log import LogEntry, LogQuery, RecordedLogEntry, name_key_of
from identity.model.restoration import Source
from identity.store import provisioning_events
from identity.store.events import INSERT_FROM_JSON, json_of
from identity.store.rows import RowMapper, column_names, row_reader
from identity.store.spans import in_span
from identity.store.tables import provisioning_requests
from identity.store.tx import Tx

LOG = RowMapper(provisioning_requests, RecordedLogEntry)
INSERT = insert(provisioning_requests)

# The events of a change, the provisioning events, and the request that caused it, in one round trip.
WITH_EVENTS = text(f"""
WITH trail AS ({INSERT_FROM_JSON}),
announced AS ({provisioning_events.INSERT})
INSERT INTO provisioning_requests ({column_names(provisioning_requests)})
VALUES (:{column_names(provisioning_requests).replace(", ", ", :")})
""").bindparams(*(bindparam(column.name, type_=column.type) for column in provisioning_requests.c))

SOURCES_MAX = 10_000
HEARD = text("""
SELECT c.id, c.name, c.dialect, heard.at AS last_heard_at
  FROM connections c LEFT JOIN LATERAL (
       SELECT r.at FROM provisioning_requests r WHERE r.tenant_id = :tenant AND r.connection_id = c.id
        ORDER BY r.id DESC LIMIT 1) AS heard ON true
 WHERE c.tenant_id = :tenant AND c.kind = 'scim' AND c.ended_at IS NULL ORDER BY c.id LIMIT :limit
""")
SOURCE = row_reader(Source)


def log_entry_insert(tx: Tx, entry: LogEntry, *, caller: Caller, now: datetime) -> None:
    """Write one entry, and in the same statement the events that the transaction holds. ``caller`` is a connection."""
    if caller.connection_id is None:
        raise AssertionError("only a connection has a provisioning log")
    recorded = RecordedLogEntry(tx.new_id(), now, caller.connection_id, caller.request_id, entry)
    name_key = None if entry.name is None else name_key_of(entry.name)
    values = LOG.values(recorded) | {"tenant_id": tx.tenant_id, "name_key": name_key}
    if tx.pending_events:
        tx.execute(WITH_EVENTS, values | json_of(tx.pending_events))
        tx.pending_events.clear()
    else:
        tx.execute(INSERT, values)


def log_entry_list(tx: Tx, connection_id: UUID, query: LogQuery) -> Sequence[RecordedLogEntry]:
    """Return one page of a connection's entries."""
    table = provisioning_requests.c
    statement = select(*LOG.columns).where(table.tenant_id == tx.tenant_id, table.connection_id == connection_id)
    statement = in_span(statement, provisioning_requests, query.span, order=query.order, after=query.after)
    if query.principal_id is not None:
        statement = statement.where(table.principal_id == query.principal_id)
    if query.name is not None:
        statement = statement.where(table.name_key == name_key_of(query.name))
    if query.outcome is not None:
        statement = statement.where(table.outcome == query.outcome)
    return LOG.all(tx.execute(statement.limit(query.limit)))


def sources_heard(tx: Tx) -> tuple[Source, ...]:
    """Return the tenant's live SCIM connections, each with when it was last heard."""
    rows = tx.execute(HEARD, {"tenant": tx.tenant_id, "limit": SOURCES_MAX})
    return tuple(map(SOURCE, rows))
