"""Tasks: read and end."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from identity.actions.preconditions import require
from identity.model.access import Caller
from identity.model.cutoff import CutoffKind
from identity.model.errors import Conflict
from identity.model.event import Event
from identity.model.task import Spent, Task, TaskState
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.tasks import task_end, task_get, task_list, tasks_spent
from identity.store.tokens import cutoff_set

ENDINGS = {TaskState.CANCELLED: "task.cancelled", TaskState.COMPLETED: "task.completed"}


def get_task(tx: Tx, txn: UUID) -> Task:
    """Return one task, ended or not. Raises ``NotFound``."""
    return require(task_get(tx, txn), "no task with this txn")


list_tasks = task_list


def spent_of(tx: Tx, tasks: Iterable[Task]) -> dict[UUID, Spent]:
    """Return the expense of each of these tasks that has a budget, by ``txn``."""
    budgeted = [task.txn for task in tasks if task.budget is not None]
    return dict.fromkeys(budgeted, Spent()) | (tasks_spent(tx, budgeted) if budgeted else {})


def cancel_task(tx: Tx, txn: UUID, *, reason: str, caller: Caller, now: datetime) -> Task:
    """End a task and every token that serves it, at once. Repeating it changes nothing.

    Raises ``NotFound``; ``Conflict`` when it was completed.
    """
    return end_task(tx, txn, TaskState.CANCELLED, reason=reason, caller=caller, now=now)


def end_task(tx: Tx, txn: UUID, state: TaskState, *, reason: str, caller: Caller, now: datetime) -> Task:
    """Move a task to one of its final states, and end every token that serves it.

    Raises ``NotFound``; ``Conflict`` when it is in the other one.
    """
    ended = task_end(tx, txn, state, now=now)
    if ended is None:
        found = get_task(tx, txn)
        if found.state is not state:
            raise Conflict(f"the task is {found.state}", reason="task_ended")
        return found
    cutoff_set(tx, CutoffKind.TASK, str(txn), reason=reason, now=now)
    event = Event(type=ENDINGS[state], subject_id=ended.subject_id, actor_ids=(ended.actor_id,), txn=txn, reason=reason)
    event_insert(tx, event, caller=caller, now=now)
    return ended
