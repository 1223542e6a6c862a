"""Tasks: read and cancel."""

from datetime import datetime
from uuid import UUID

from identity.model.access import Caller
from identity.model.cutoff import CutoffKind
from identity.model.errors import Conflict, NotThere
from identity.model.event import Event
from identity.model.task import Task, TaskState
from identity.store import Tx
from identity.store.cutoffs import cutoff_set
from identity.store.events import event_insert
from identity.store.tasks import task_end, task_get, task_list


def get_task(tx: Tx, txn: UUID) -> Task:
    """Return one task, ended or not. Raises ``NotThere``."""
    found = task_get(tx, txn)
    if found is None:
        raise NotThere("no task with this txn")
    return found


def list_tasks(tx: Tx, *, principal_id: UUID | None, after: UUID | None, limit: int) -> list[Task]:
    """Return one page of tasks, ended ones among them."""
    return task_list(tx, principal_id=principal_id, after=after, limit=limit)


def cancel_task(tx: Tx, txn: UUID, *, reason: str, caller: Caller, now: datetime) -> Task:
    """End a task and every token that serves it, at once. Cancelling it twice is cancelling it once.

    Raises ``NotThere``; ``Conflict`` when it was completed.
    """
    cancelled = task_end(tx, txn, TaskState.CANCELLED, now=now)
    if cancelled is None:
        ended = get_task(tx, txn)
        if ended.state is not TaskState.CANCELLED:
            raise Conflict(f"the task is {ended.state}", reason="task_ended")
        return ended
    cutoff_set(tx, CutoffKind.TASK, str(txn), reason=reason, now=now)
    told = Event(
        type="task.cancelled",
        subject_id=cancelled.subject_id,
        actor_ids=(cancelled.actor_id,),
        txn=txn,
        reason=reason,
    )
    event_insert(tx, told, caller=caller, now=now)
    return cancelled
