"""The audit trail: append-only rows, written in the transaction that they describe."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from identity.model.access import Caller
from identity.model.event import Event, Outcome, RecordedEvent
from identity.store.tables import events
from identity.store.tx import Tx


def event_row(tx: Tx, event: Event, *, caller: Caller, now: datetime) -> dict[str, Any]:
    """Return the row that ``event`` becomes."""
    return {
        "tenant_id": tx.tenant_id,
        "id": tx.new_id(),
        "at": now,
        "type": event.type,
        "outcome": event.outcome,
        "caller_kind": caller.kind,
        "caller_id": caller.id,
        "subject_id": event.subject_id,
        "actor_ids": list(event.actor_ids),
        "txn": event.txn,
        "reason": event.reason,
        "request_id": caller.request_id,
        "detail": dict(event.detail),
    }


INSERT = insert(events)


def event_insert(tx: Tx, *recorded: Event, caller: Caller, now: datetime) -> None:
    """Append ``recorded``, in order: now, or with the request that caused them."""
    rows = [event_row(tx, event, caller=caller, now=now) for event in recorded]
    if tx.unwritten is None:
        tx.execute(INSERT, rows)
    else:
        tx.unwritten.extend(rows)


def event_flush(tx: Tx) -> None:
    """Write the events that wait."""
    if tx.unwritten:
        if any(row["tenant_id"] != tx.tenant_id for row in tx.unwritten):
            raise AssertionError("events wait in the transaction of another tenant")
        tx.execute(INSERT, tx.unwritten)
        tx.unwritten.clear()


def event_list(
    tx: Tx,
    *,
    after: UUID | None = None,
    txn: UUID | None = None,
    principal_id: UUID | None = None,
    type: str | None = None,  # noqa: A002 - the name of the query parameter
    limit: int,
) -> Sequence[RecordedEvent]:
    """Return at most ``limit`` events after the one with id ``after``, oldest first."""
    statement = select(events).where(events.c.tenant_id == tx.tenant_id).order_by(events.c.id).limit(limit)
    if after is not None:
        statement = statement.where(events.c.id > after)
    if txn is not None:
        statement = statement.where(events.c.txn == txn)
    if principal_id is not None:
        statement = statement.where(
            (events.c.subject_id == principal_id) | (events.c.actor_ids.contains([principal_id]))
        )
    if type is not None:
        statement = statement.where(events.c.type == type)
    return [
        RecordedEvent(
            id=row.id,
            at=row.at,
            caller_kind=row.caller_kind,
            caller_id=row.caller_id,
            request_id=row.request_id,
            event=Event(
                type=row.type,
                outcome=Outcome(row.outcome),
                subject_id=row.subject_id,
                actor_ids=tuple(row.actor_ids),
                txn=row.txn,
                reason=row.reason,
                detail=row.detail,
            ),
        )
        for row in tx.execute(statement)
    ]
