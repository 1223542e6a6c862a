"""Outbox entries: work for the workers, as an administrator sees it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

URGENT, ORDINARY, LONG = 0, 1, 2
"""Priorities. Rows that follow from an end come first; long work comes when nothing else waits for a worker."""

RECONCILE = "reconcile"
"""The kind of a row that has a principal reconciled. The kind of any other row is the name of its Celery task."""


class OutboxState(StrEnum):
    """A ``dead`` row was tried as often as allowed, and waits for an administrator."""

    WAITING = "waiting"
    DEAD = "dead"
    DONE = "done"


class Progress(StrEnum):
    """How far a run got: to the end, not so far, or nowhere, because another worker runs the same row."""

    DONE = "done"
    MORE = "more"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row: "reconcile this principal", or "do the asynchronous request that has the same id"."""

    id: UUID
    principal_id: UUID | None
    kind: str
    state: OutboxState
    attempts: int
    last_error: str | None
    created_at: datetime
    available_at: datetime
    done_at: datetime | None
    dead_at: datetime | None
