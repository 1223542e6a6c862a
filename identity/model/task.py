"""Tasks: one piece of work under a delegation. Its id is the ``txn`` of every token that serves it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from identity.model.authority import Authority
from identity.model.delegation import Details

TASKS_OPENED_MAX = 600_000
"""Tasks that one actor may open in one and a half hours: a hundred a second, and a tenth more."""

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
class TaskAuthority(Authority):
    """The most that a token of a task allows at ``resource``."""

    resource: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What a task may spend; None: as much as it likes.

    ``tokens`` in all, and ``tokens_per_minute``, renewed ones among them; ``fan_out``: to how many others each actor
    may hand it on; ``depth``: how many actors a chain may have.
    """

    tokens: int | None = None
    tokens_per_minute: int | None = None
    fan_out: int | None = None
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """``actor_id`` is the agent that opened it, and ``subject_id`` for whom: the agent itself where nobody else is.

    Delegation, audience, scopes and details are those of the exchange that opened it, or of the first entry of
    ``authority``; None and empty where it was opened without any. Where there is an ``authority``, its tokens are for
    the resource servers named there, and allow no more.
    """

    txn: UUID
    subject_id: UUID
    actor_id: UUID
    delegation_id: UUID | None
    audience: str | None
    scopes: tuple[str, ...]
    authorization_details: Details
    state: TaskState
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    purpose: str | None = None
    authority: tuple[TaskAuthority, ...] | None = None
    budget: Budget | None = None

    def refuses(self, subject_id: UUID, actor_id: UUID, *, is_in_it: bool, now: datetime) -> str | None:
        """Return why an exchange for this subject, by this actor, may not join it; None when it may.

        ``is_in_it``: the actor took part, and its branch was not cancelled.
        """
        if self.subject_id != subject_id or not (is_in_it or self.actor_id == actor_id):
            return "unknown_task"
        return None if self.state is TaskState.OPEN and now < self.expires_at else "task_ended"

    def held_at(self, resource: str) -> TaskAuthority | None:
        """Return the most that it allows at a resource server; None where it names that one not."""
        return next((entry for entry in self.authority or () if entry.resource == resource), None)
