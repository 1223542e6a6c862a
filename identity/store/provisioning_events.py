"""Provisioning events (RFC 9967): one row for each Security Event Token. ``events.py`` writes them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.access import Caller
from identity.model.provisioning_event import ProvisioningEvent, RecordedProvisioningEvent, subject_of
from identity.store.rows import RowMapper
from identity.store.tables import provisioning_events
from identity.store.tx import Tx

# Where resources of a tenant's own type are, only its definition says.
INSERT = """
INSERT INTO provisioning_events (tenant_id, id, at, connection_id, txn, sub_id, payloads)
SELECT :tenant_id, event.id, event.at, event.connection_id, event.txn,
       event.sub_id || jsonb_build_object('uri', coalesce(t.endpoint, '') || (event.sub_id->>'uri')), event.payloads
  FROM jsonb_to_recordset(CAST(:provisioning AS jsonb)) AS event
       (id uuid, at timestamptz, connection_id uuid, txn text, kind text, sub_id jsonb, payloads jsonb)
  LEFT JOIN resource_types t ON t.tenant_id = :tenant_id AND t.kind = event.kind
"""

table = provisioning_events.c


def provisioning_event_rows(
    tx: Tx, announced: Iterable[ProvisioningEvent], *, caller: Caller, now: datetime
) -> list[dict[str, Any]]:
    """Return the rows that events become. Events of one call have one ``txn`` (RFC 9967 §2.2)."""
    rows = [_row(tx.new_id(), event, caller, now) for event in announced]
    for row in rows:
        row["txn"] = row["txn"] or str(rows[0]["id"])
    return rows


def _row(id_: UUID, event: ProvisioningEvent, caller: Caller, now: datetime) -> dict[str, Any]:
    return {
        "id": id_,
        "at": now,
        "connection_id": caller.connection_id,
        "txn": event.txn or caller.txn,
        "kind": event.kind,
        "sub_id": subject_of(event),
        "payloads": {event.uri: dict(event.payload)},
    }


PROVISIONING_EVENTS = RowMapper(provisioning_events, RecordedProvisioningEvent)


def provisioning_event_list(tx: Tx, *, after: UUID | None, limit: int) -> Sequence[RecordedProvisioningEvent]:
    """Return at most ``limit`` events after the one with id ``after``, oldest first."""
    return PROVISIONING_EVENTS.page(tx, key=table.id, after=after, limit=limit)


def provisioning_event_get(tx: Tx, id_: UUID) -> RecordedProvisioningEvent | None:
    """Return one event."""
    return PROVISIONING_EVENTS.get(tx, table.id == id_)
