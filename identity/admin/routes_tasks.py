"""Tasks: what they are for, what they spent, and who did what in them."""

from uuid import UUID

from identity.actions.task_tree import draw_task
from identity.actions.tasks import cancel_task, get_spent, get_task, list_tasks
from identity.admin import shapes, views_tasks
from identity.admin.operations import operation
from identity.admin.reading import cut_page, read_id_cursor, write_cursor
from identity.http import Call


@operation("GET", "/tenants/{tenant}/tasks", query=shapes.TaskPage, answer=views_tasks.TaskList)
def list_tasks_(call: Call, page: shapes.TaskPage) -> views_tasks.TaskList:
    """List tasks, of one principal if it is named."""
    rows = list_tasks(call.tx, principal_id=page.principal, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda task: write_cursor(str(task.txn)))
    return views_tasks.TaskList(items=[views_tasks.Task.model_validate(task) for task in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/tasks/{txn}", answer=views_tasks.TaskInFull)
def get_task_(call: Call, txn: UUID) -> views_tasks.TaskInFull:
    """Read one task."""
    task = views_tasks.TaskInFull.model_validate(get_task(call.tx, txn))
    spent = None if task.budget is None else get_spent(call.tx, txn, now=call.now)
    shown = None if spent is None else views_tasks.Spent.model_validate(spent)
    return task.model_copy(update={"spent": shown})


@operation("GET", "/tenants/{tenant}/tasks/{txn}/tree", answer=views_tasks.TaskTree)
def get_task_tree(call: Call, txn: UUID) -> views_tasks.TaskTree:
    """Read who did what in a task, from the audit log: each token below the one that it was traded for."""
    return views_tasks.TaskTree.model_validate(draw_task(call.tx, txn))


@operation("POST", "/tenants/{tenant}/tasks/{txn}/cancel", body=shapes.Reason, answer=views_tasks.Task)
def cancel_task_(call: Call, asked: shapes.Reason, txn: UUID) -> views_tasks.Task:
    """End a task and every token that serves it, at once."""
    cancelled = cancel_task(call.tx, txn, reason=asked.reason, caller=call.caller, now=call.now)
    return views_tasks.Task.model_validate(cancelled)
