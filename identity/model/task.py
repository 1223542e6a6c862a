"""Tasks: one piece of work under a delegation. Its id is the ``txn`` of every token that serves it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.authority import Authority
from identity.model.delegation import Details
from identity.model.tenant import TASK_DURATION_S

TASKS_OPENED_MAX = 600_000
"""Tasks that one actor may open in one and a half hours: a hundred a second, and a tenth more."""

TASK_SLOTS = 16
"""Among how many rows the count of one actor is shared out, so that issuers do not wait for each other."""

PURPOSE_CHARACTERS_MAX = 512
AUTHORITY_MAX = 10  # resource servers that the authority of a task names
BUDGET_TOKENS_MAX = 1_000_000
BUDGET_TOKENS_PER_MINUTE_MAX = 10_000
BUDGET_FAN_OUT_MAX = 50

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


def authority_document(authority: Iterable[TaskAuthority]) -> list[dict[str, Any]]:
    """Return the authority of a task as JSON has it."""
    return [
        {
            "resource": entry.resource,
            "scopes": list(entry.scopes),
            "authorization_details": [dict(each) for each in entry.authorization_details],
        }
        for entry in authority
    ]


def budget_document(budget: Budget) -> dict[str, int]:
    """Return the limits that there are, as JSON has them."""
    return {name: most for name, most in asdict(budget).items() if most is not None}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a task has spent of its budget.

    ``fan_out`` is the most others that one actor handed it on to; it is counted where it is limited.
    """

    tokens: int = 0
    tokens_in_minute: int = 0
    fan_out: int = 0


@dataclass(frozen=True, slots=True)
class TaskActor:
    """An agent that acted in a task; ``ended_at``: when its branch was cancelled."""

    actor_id: UUID
    joined_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bound:
    """What a task may not outlast, in words, and until when that is."""

    words: str
    until: datetime


def end_of_task(expires_in_s: int | None, bounds: Sequence[Bound], now: datetime) -> datetime | Bound:
    """Return when a task ends: as asked, else after an hour or at the first bound. Where more is asked: that bound."""
    first = min(bounds, key=lambda bound: bound.until)
    if expires_in_s is None:
        return min(now + timedelta(seconds=TASK_DURATION_S), first.until)
    wanted = now + timedelta(seconds=expires_in_s)
    return first if first.until < wanted else wanted


@dataclass(frozen=True, slots=True)
class Task:
    """``actor_id`` is the agent that opened it, and ``subject_id`` the principal that it is for, which may be the agent
    itself.

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
