"""Tasks: what they are for, what they spent, and who did what in them."""

from collections.abc import Sequence
from uuid import UUID

from identity.actions.task_tree import draw_task
from identity.actions.tasks import cancel_task, get_task, list_tasks, spent_of
from identity.admin import requests, responses_tasks
from identity.admin.endpoints import operation
from identity.admin.parsing import cut_page, read_id_cursor, write_cursor
from identity.edge.call import Call
from identity.model.task import Task


def _shown(call: Call, tasks: Sequence[Task]) -> list[responses_tasks.Task]:
    spent = spent_of(call.tx, tasks)
    views = {task.txn: responses_tasks.Task.model_validate(task) for task in tasks}
    told = {txn: responses_tasks.Spent.model_validate(each) for txn, each in spent.items()}
    return [view.model_copy(update={"spent": told.get(txn)}) for txn, view in views.items()]


@operation("GET", "/tenants/{tenant}/tasks", query=requests.TaskPage, answer=responses_tasks.TaskList)
def list_tasks_(call: Call, page: requests.TaskPage) -> responses_tasks.TaskList:
    """List tasks, of one principal if it is named."""
    rows = list_tasks(call.tx, principal_id=page.principal, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda task: write_cursor(str(task.txn)))
    return responses_tasks.TaskList(items=_shown(call, shown), next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/tasks/{txn}", answer=responses_tasks.Task)
def get_task_(call: Call, txn: UUID) -> responses_tasks.Task:
    """Read one task."""
    [shown] = _shown(call, [get_task(call.tx, txn)])
    return shown


@operation("GET", "/tenants/{tenant}/tasks/{txn}/tree", answer=responses_tasks.TaskTree)
def get_task_tree(call: Call, txn: UUID) -> responses_tasks.TaskTree:
    """Read who did what in a task, from the audit log: each token below the one that it was traded for."""
    return responses_tasks.TaskTree.model_validate(draw_task(call.tx, txn))


@operation("POST", "/tenants/{tenant}/tasks/{txn}/cancel", body=requests.Reason, answer=responses_tasks.Task)
def cancel_task_(call: Call, asked: requests.Reason, txn: UUID) -> responses_tasks.Task:
    """End a task and every token that serves it, at once."""
    [shown] = _shown(call, [cancel_task(call.tx, txn, reason=asked.reason, caller=call.caller, now=call.now)])
    return shown
