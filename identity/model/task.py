"""Tasks: a task is one piece of work under a delegation. Its id is the ``txn`` of every token that serves it."""

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
"""Tasks that one actor may open in one and a half hours: 111 a second."""

TASK_SLOTS = 16
"""The rows that share the count of one actor, so that issuers do not wait for each other."""

PURPOSE_CHARACTERS_MAX = 512
AUTHORITY_MAX = 10  # resource servers that the authority of a task names
BUDGET_TOKENS_MAX = 1_000_000
BUDGET_TOKENS_PER_MINUTE_MAX = 10_000
BUDGET_FAN_OUT_MAX = 50

PERIOD_S = 1_800
TASK_PERIODS_COUNTED = 3


def task_period(now: datetime) -> int:
    """Return the number of the half hour whose tasks are counted together."""
    return int(now.timestamp()) // PERIOD_S


class TaskState(StrEnum):
    """Tokens are active only while their task is ``open``; the other states are final."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TaskAuthority(Authority):
    """The most authority of a token of a task at ``resource``."""

    resource: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a task; None is no limit.

    ``tokens`` in all, and ``tokens_per_minute``, renewed ones included. ``fan_out``: the other actors to whom each
    actor may hand it on. ``depth``: the actors of a chain.
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
    """The used part of a budget. ``fan_out`` is the most others that one actor handed the task on to; it is counted
    only where it is limited.
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
    """A limit of a task's duration: its name for the answer, and its instant."""

    words: str
    until: datetime


def end_of_task(expires_in_s: int | None, bounds: Sequence[Bound], now: datetime) -> datetime | Bound:
    """Return the end of a task: as requested, else after an hour or at the first bound; a bound that is exceeded."""
    first = min(bounds, key=lambda bound: bound.until)
    if expires_in_s is None:
        return min(now + timedelta(seconds=TASK_DURATION_S), first.until)
    wanted = now + timedelta(seconds=expires_in_s)
    return first if first.until < wanted else wanted


@dataclass(frozen=True, slots=True)
class Task:
    """A task. The agent ``actor_id`` opened it for the principal ``subject_id``, which may be the agent itself.

    Delegation, audience, scopes and details are those of the exchange that opened it, or of the first entry of
    ``authority``; None and empty where there is neither. Where there is an ``authority``, it bounds the tokens of the
    task: their resource servers, scopes and details.
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
        """Return why an exchange for this subject by this actor may not join the task, or None.

        ``is_in_it``: the actor took part, and its branch was not cancelled.
        """
        if self.subject_id != subject_id or not (is_in_it or self.actor_id == actor_id):
            return "unknown_task"
        return None if self.state is TaskState.OPEN and now < self.expires_at else "task_ended"

    def held_at(self, resource: str) -> TaskAuthority | None:
        """Return its authority at a resource server, or None where its authority does not name that one."""
        return next((entry for entry in self.authority or () if entry.resource == resource), None)
