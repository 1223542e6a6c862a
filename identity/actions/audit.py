"""The audit trail, as far as it is not written by the verb that it describes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.access import Caller
from identity.model.errors import Refusal
from identity.model.event import Event, Outcome, RecordedEvent
from identity.model.refusal_counts import CountedRefusals
from identity.model.selection import EVER, Order, Span
from identity.store import Tx
from identity.store.events import event_insert, event_list


def record_refusal(
    tx: Tx,
    surface: str,
    refusal: Refusal,
    *,
    detail: Mapping[str, Any],
    caller: Caller,
    now: datetime,
) -> None:
    """Write that something was refused, and for which rule."""
    refused = Event(
        type=f"{surface}.refused",
        outcome=Outcome.REFUSED,
        subject_id=refusal.subject_id,
        actor_ids=refusal.actor_ids,
        txn=refusal.txn,
        reason=refusal.reason,
        detail=detail,
    )
    event_insert(tx, refused, caller=caller, now=now)


def record_refusals(tx: Tx, counted: Iterable[CountedRefusals], *, caller: Caller, now: datetime) -> None:
    """Write how many refusals of callers who proved nothing there were, besides the first of a minute and reason."""
    for each in counted:
        refused = Event(
            type=f"{each.key.surface}.refused",
            outcome=Outcome.REFUSED,
            reason=each.key.reason,
            detail={"count": each.number, "since": each.since.isoformat()},
        )
        event_insert(tx, refused, caller=caller, now=now)


def list_events(
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
    """Return one page of the audit log."""
    return event_list(
        tx, after=after, txn=txn, principal_id=principal_id, type=type, span=span, order=order, limit=limit
    )
