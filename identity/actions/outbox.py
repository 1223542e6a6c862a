"""Dead letters: outbox rows that the workers gave up on. An administrator replays or discards them."""

from datetime import datetime
from uuid import UUID

from identity.model.access import Caller
from identity.model.async_request import OUTBOX_KIND
from identity.model.errors import Conflict, NotFound
from identity.model.event import Event
from identity.model.outbox import OutboxRow, OutboxState
from identity.store import Tx
from identity.store.async_requests import async_request_finish
from identity.store.events import event_insert
from identity.store.outbox import outbox_discard, outbox_list, outbox_lock_any, outbox_replay

list_outbox = outbox_list


def replay_outbox(tx: Tx, outbox_id: UUID, *, caller: Caller, now: datetime) -> OutboxRow:
    """Let the workers try a dead row again; a row that waits stays as it is. Raises ``NotFound``, ``Conflict``."""
    row = _locked(tx, outbox_id)
    if row.state is OutboxState.WAITING:
        return row
    if row.state is OutboxState.DONE:
        raise Conflict("the outbox row is done or was discarded already", reason="outbox_done")
    replayed = outbox_replay(tx, outbox_id)
    _record(tx, "outbox.replayed", row, caller=caller, now=now)
    return replayed


def discard_outbox(tx: Tx, outbox_id: UUID, *, caller: Caller, now: datetime) -> OutboxRow:
    """Close a dead row, without its work. Raises ``NotFound``; ``Conflict`` while workers still try it.

    The result of an asynchronous request can be read from then on: the operations that were done before.
    """
    row = _locked(tx, outbox_id)
    if row.state is OutboxState.WAITING:
        raise Conflict("the outbox row is not dead-lettered: workers still process it", reason="outbox_waiting")
    if row.state is OutboxState.DONE:
        return row
    discarded = outbox_discard(tx, outbox_id)
    if row.kind == OUTBOX_KIND:
        async_request_finish(tx, outbox_id, now=now)
    _record(tx, "outbox.discarded", row, caller=caller, now=now)
    return discarded


def _locked(tx: Tx, outbox_id: UUID) -> OutboxRow:
    row = outbox_lock_any(tx, outbox_id)
    if row is None:
        raise NotFound("no outbox row with this id")
    return row


def _record(tx: Tx, type_: str, row: OutboxRow, *, caller: Caller, now: datetime) -> None:
    detail = {"outbox_id": str(row.id), "kind": row.kind, "attempts": row.attempts}
    event_insert(tx, Event(type=type_, subject_id=row.principal_id, detail=detail), caller=caller, now=now)
