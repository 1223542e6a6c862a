"""The audit trail: append-only rows, written in the transaction that they describe."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text

from identity.model.access import Caller
from identity.model.event import Event, RecordedEvent
from identity.model.provisioning_event import ProvisioningEvent
from identity.model.selection import EVER, Order, Span
from identity.store import provisioning_events
from identity.store.rows import RowMapper, column_names, record_of
from identity.store.spans import in_span
from identity.store.tables import events
from identity.store.tx import PendingEvents, Tx

EVENTS = RowMapper(events, RecordedEvent, without="provisioning")


def event_row(tx: Tx, event: Event, *, caller: Caller, now: datetime) -> dict[str, Any]:
    """Return the row that ``event`` becomes."""
    recorded = RecordedEvent(tx.new_id(), now, caller.kind, caller.id, caller.request_id, event)
    row = EVENTS.values(recorded) | {"tenant_id": tx.tenant_id}
    if caller.client_id is not None:
        row["detail"]["client_id"] = caller.client_id
    return row


INSERT = insert(events)

# A provisioning event goes with the event of the trail that it is about: neither is ever there without the other.
INSERT_FROM_JSON = f"""
INSERT INTO events ({column_names(events)})
SELECT {column_names(events).replace("tenant_id", ":tenant_id")}
  FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS event ({record_of(events, "tenant_id")})
"""
INSERT_BOTH = text(f"WITH trail AS ({INSERT_FROM_JSON}) {provisioning_events.INSERT}")


def event_insert(tx: Tx, *recorded: Event, caller: Caller, now: datetime) -> None:
    """Append ``recorded``, in order, with their provisioning events: now, or with the request that caused them."""
    waiting = PendingEvents() if tx.pending_events is None else tx.pending_events
    announced = [event.provisioning for event in recorded if event.provisioning is not None]
    waiting.events.extend(event_row(tx, event, caller=caller, now=now) for event in recorded)
    waiting.provisioning.extend(provisioning_events.provisioning_event_rows(tx, announced, caller=caller, now=now))
    if tx.pending_events is None:
        _write(tx, waiting)


def provisioning_event_insert(tx: Tx, *announced: ProvisioningEvent, caller: Caller, now: datetime) -> list[UUID]:
    """Write provisioning events that no audit event is about: now, or with the request that caused them.

    Return the ids, in order.
    """
    waiting = PendingEvents() if tx.pending_events is None else tx.pending_events
    rows = provisioning_events.provisioning_event_rows(tx, announced, caller=caller, now=now)
    waiting.provisioning.extend(rows)
    if tx.pending_events is None:
        _write(tx, waiting)
    return [row["id"] for row in rows]


def event_flush(tx: Tx) -> None:
    """Write the events that wait."""
    if tx.pending_events:
        if any(row["tenant_id"] != tx.tenant_id for row in tx.pending_events.events):
            raise AssertionError("events wait in the transaction of another tenant")
        _write(tx, tx.pending_events)
        tx.pending_events.clear()


def _write(tx: Tx, waiting: PendingEvents) -> None:
    if waiting.provisioning:
        tx.execute(INSERT_BOTH, {"tenant_id": tx.tenant_id, **json_of(waiting)})
    elif waiting.events:
        tx.execute(INSERT, waiting.events)


def json_of(waiting: PendingEvents) -> dict[str, str]:
    """Return the events that wait as the parameters that ``jsonb_to_recordset`` reads."""
    return {
        "events": json.dumps(waiting.events, default=str),
        "provisioning": json.dumps(waiting.provisioning, default=str),
    }


def event_last(tx: Tx, type: str | None = None) -> RecordedEvent | None:  # noqa: A002 - as below
    """Return the newest event, or the newest of one type."""
    statement = select(*EVENTS.columns).where(events.c.tenant_id == tx.tenant_id).order_by(events.c.id.desc()).limit(1)
    if type is not None:
        statement = statement.where(events.c.type == type)
    return EVENTS.first(tx.execute(statement))


def event_list(
    tx: Tx,
    *,
    after: UUID | None = None,
    txn: UUID | None = None,
    principal_id: UUID | None = None,
    type: str | None = None,  # noqa: A002 - the name of the query parameter
    span: Span = EVER,
    order: Order = Order.ASCENDING,
    limit: int,
) -> Sequence[RecordedEvent]:
    """Return at most ``limit`` events behind the one with id ``after``, in the order of their ids."""
    statement = select(*EVENTS.columns).where(events.c.tenant_id == tx.tenant_id)
    statement = in_span(statement, events, span, order=order, after=after).limit(limit)
    if txn is not None:
        statement = statement.where(events.c.txn == txn)
    if principal_id is not None:
        statement = statement.where(
            (events.c.subject_id == principal_id) | (events.c.actor_ids.contains([principal_id]))
        )
    if type is not None:
        statement = statement.where(events.c.type == type)
    return EVENTS.all(tx.execute(statement))
