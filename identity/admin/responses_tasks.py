"""What is answered about tasks."""

from datetime import datetime
from uuid import UUID

from identity.admin.responses import Items, JsonObject, View
from identity.model.task import TaskState


class TaskEntry(View):
    """The most that a token of a task allows at one resource server."""

    resource: str
    scopes: list[str]
    authorization_details: list[JsonObject]


class Budget(View):
    """What a task may spend; null: as much as it likes."""

    tokens: int | None
    tokens_per_minute: int | None
    fan_out: int | None
    depth: int | None


class Spent(View):
    """What a task has spent. ``fan_out`` is the most others that one actor handed it on to."""

    tokens: int
    tokens_in_minute: int
    fan_out: int


class Task(View):
    """One piece of work; ``txn`` is in every token that serves it.

    One that an agent opened by itself has a ``purpose``, and may have an ``authority``, and a ``budget`` with what is
    ``spent`` of it. Delegation, audience, scopes and authorization details are those of the exchange that opened it,
    or of the first entry.
    """

    txn: UUID
    subject_id: UUID
    actor_id: UUID
    purpose: str | None
    delegation_id: UUID | None
    audience: str | None
    scopes: list[str]
    authorization_details: list[JsonObject]
    authority: list[TaskEntry] | None
    budget: Budget | None
    spent: Spent | None = None
    state: TaskState
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class TaskList(Items[Task]):
    """Tasks in the order of opening, ended ones among them."""


class TaskRefusal(View):
    """Something that was refused in a task."""

    at: datetime
    type: str
    reason: str | None
    actor_ids: list[UUID]
    client_id: str | None


class TaskToken(View):
    """A token of a task, with all its editions, and what was derived from it.

    ``actor_id`` is null where the token is the subject's own. ``has_crossed``: it is for another audience than the one
    that it was traded for. ``is_cancelled``: an actor of its chain cancelled its branch.
    """

    jti: UUID
    actor_id: UUID | None
    client_id: str
    audience: str
    scope: str
    issued_at: datetime
    expires_at: datetime
    renewals: int
    has_crossed: bool
    is_cancelled: bool
    revoked_at: datetime | None
    refusals: list[TaskRefusal]
    children: list["TaskToken"]


class TaskTree(View):
    """Who did what in a task: a tree of tokens, drawn from the audit log.

    ``refusals`` are those under no token. ``is_truncated``: the task has more events than the tree is drawn from.
    """

    txn: UUID
    subject_id: UUID | None
    opened_by: UUID | None
    purpose: str | None
    opened_at: datetime
    ended_at: datetime | None
    ended_as: TaskState | None
    ended_reason: str | None
    tokens: list[TaskToken]
    refusals: list[TaskRefusal]
    is_truncated: bool
