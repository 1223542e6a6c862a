"""Tasks: one piece of work under a delegation. Its id is the ``txn`` of every token that serves it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from identity.model.delegation import Details


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
