"""Tasks: one piece of work under a delegation. Its id is the ``txn`` of every token that serves it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from identity.model.delegation import Details

TASKS_OPENED_MAX = 600_000
"""Tasks that one actor may open in one and a half hours: a hundred a second, and a tenth more. A task lives for one
hour at most, so no more than that many are open at a time."""

TASK_SLOTS = 16
"""Among how many rows the count of one actor is shared out, so that issuers do not wait for each other."""

PERIOD_S = 1_800
TASK_PERIODS_COUNTED = 3


def task_period(now: datetime) -> int:
    """Return the half hour in which tasks are counted together."""
    return int(now.timestamp()) // PERIOD_S


class TaskState(StrEnum):
    """Only ``open`` lets tokens live; the others are final."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Task:
    """``actor_id`` is the agent that opened it; ``scopes`` and details are the most it ever allows."""

    txn: UUID
    subject_id: UUID
    actor_id: UUID
    delegation_id: UUID
    audience: str
    scopes: tuple[str, ...]
    authorization_details: Details
    state: TaskState
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
