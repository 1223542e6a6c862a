"""The audit log: read it, and record refusals; every other event is recorded by its action."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from identity.model.access import Caller
from identity.model.errors import Refusal
from identity.model.event import Event, Outcome
from identity.model.refusal_counts import CountedRefusals
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
    """Write the event of a refusal and its reason."""
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
    """Write the counts of refusals of unauthenticated callers, beside the first of a minute and reason."""
    for each in counted:
        refused = Event(
            type=f"{each.key.surface}.refused",
            outcome=Outcome.REFUSED,
            reason=each.key.reason,
            detail={"count": each.number, "since": each.since.isoformat()},
        )
        event_insert(tx, refused, caller=caller, now=now)


list_events = event_list
