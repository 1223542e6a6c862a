"""Tasks: their purpose, their expense, and the tokens that served them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions import tasks as actions
from identity.actions.task_tree import get_task_tree
from identity.admin.endpoints import get, operation
from identity.admin.paging import Cursor, parse_cursor_id, read_page
from identity.admin.requests import Page, PrincipalFilter, Reason
from identity.admin.responses import Items, JsonObject, ResponseModel, members_of
from identity.edge.call import Call
from identity.model import task
from identity.model.task import TaskState
from identity.model.task_tree import TaskTree

TASKS = "/tenants/{tenant}/tasks"
TASK = f"{TASKS}/{{txn}}"


class TaskPage(Page):
    """Tasks that one principal is a party to."""

    principal_id: PrincipalFilter = None


class TaskEntry(ResponseModel):
    """The most that a token of a task allows at one resource server."""

    resource: str
    scopes: list[str]
    authorization_details: list[JsonObject]


class Budget(ResponseModel):
    """What a task may spend; null: as much as it likes."""

    tokens: int | None
    tokens_per_minute: int | None
    fan_out: int | None
    depth: int | None


class Spent(ResponseModel):
    """What a task has spent. ``fan_out`` is the most others that one actor handed it on to."""

    tokens: int
    tokens_in_minute: int
    fan_out: int


class Task(ResponseModel):
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


def _with_spent(call: Call, tasks: Sequence[task.Task]) -> list[dict[str, Any]]:
    """Return the members of tasks, with the expense of those that have a budget. One statement for all."""
    spent = actions.spent_of(call.tx, tasks)
    return [members_of(each) | {"spent": spent.get(each.txn)} for each in tasks]


@operation("GET", TASKS, query=TaskPage, response=TaskList)
def list_tasks(call: Call, page: TaskPage) -> dict[str, Any]:
    """List tasks, of one principal if it is named."""
    found = read_page(call, page, actions.list_tasks, cursor=Cursor({"txn": parse_cursor_id}))
    return found | {"items": _with_spent(call, found["items"])}


@operation("GET", TASK, response=Task)
def get_task(call: Call, txn: UUID) -> dict[str, Any]:
    """Read one task."""
    return _with_spent(call, [actions.get_task(call.tx, txn)])[0]


get(
    f"{TASK}/tree",
    get_task_tree,
    "Read who did what in a task, from the audit log: each token below the one that it was traded for",
    TaskTree,
)


@operation("POST", f"{TASK}/cancel", body=Reason, response=Task)
def cancel_task(call: Call, requested: Reason, txn: UUID) -> dict[str, Any]:
    """End a task and every token that serves it, at once."""
    cancelled = actions.cancel_task(call.tx, txn, reason=requested.reason, caller=call.caller, now=call.now)
    return _with_spent(call, [cancelled])[0]
