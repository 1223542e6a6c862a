"""Outbox rows as an administrator sees them: what waits, what was given up, and what becomes of that."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update

from identity.model.outbox import OutboxRow, OutboxState
from identity.store.tables import outbox
from identity.store.tx import Tx

COLUMNS = (
    outbox.c.id,
    outbox.c.principal_id,
    outbox.c.kind,
    outbox.c.created_at,
    outbox.c.available_at,
    outbox.c.attempts,
    outbox.c.done_at,
    outbox.c.dead_at,
    outbox.c.last_error,
)

STATES: dict[OutboxState, ColumnElement[bool]] = {
    OutboxState.WAITING: outbox.c.done_at.is_(None) & outbox.c.dead_at.is_(None),
    OutboxState.DEAD: outbox.c.done_at.is_(None) & outbox.c.dead_at.is_not(None),
    OutboxState.DONE: outbox.c.done_at.is_not(None),
}


def _row(row: Any) -> OutboxRow:
    state = OutboxState.DONE if row.done_at else OutboxState.DEAD if row.dead_at else OutboxState.WAITING
    return OutboxRow(
        id=row.id,
        principal_id=row.principal_id,
        kind=row.kind,
        state=state,
        attempts=row.attempts,
        last_error=row.last_error,
        created_at=row.created_at,
        available_at=row.available_at,
        done_at=row.done_at,
        dead_at=row.dead_at,
    )


def outbox_list(tx: Tx, state: OutboxState, *, after: UUID | None, limit: int) -> list[OutboxRow]:
    """Return at most ``limit`` rows in one state, oldest first."""
    statement = (
        select(*COLUMNS).where(outbox.c.tenant_id == tx.tenant_id, STATES[state]).order_by(outbox.c.id).limit(limit)
    )
    if after is not None:
        statement = statement.where(outbox.c.id > after)
    return [_row(row) for row in tx.execute(statement)]


def outbox_lock_any(tx: Tx, outbox_id: UUID) -> OutboxRow | None:
    """Return one row in whatever state, and hold it until the transaction ends."""
    statement = select(*COLUMNS).where(outbox.c.tenant_id == tx.tenant_id, outbox.c.id == outbox_id).with_for_update()
    row = tx.execute(statement).first()
    return None if row is None else _row(row)


def outbox_replay(tx: Tx, outbox_id: UUID) -> OutboxRow:
    """Let a locked row begin anew at once, and wake the relay when this commits."""
    tx.execute(select(func.pg_notify("outbox", str(tx.tenant_id))))
    return _update(tx, outbox_id, {"dead_at": None, "attempts": 0, "sent_at": None, "available_at": func.now()})


def outbox_discard(tx: Tx, outbox_id: UUID) -> OutboxRow:
    """Close a locked row without its work."""
    return _update(tx, outbox_id, {"done_at": func.now()})


def _update(tx: Tx, outbox_id: UUID, values: dict[str, Any]) -> OutboxRow:
    statement = (
        update(outbox)
        .where(outbox.c.tenant_id == tx.tenant_id, outbox.c.id == outbox_id)
        .values(**values)
        .returning(*COLUMNS)
    )
    return _row(tx.execute(statement).one())
