"""Tasks: read and ended here. They are opened in the statement that issues their first token, or by themselves."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, any_, case, literal, literal_column, not_, or_, select, update

from identity.model.task import Spent, Task, TaskActor, TaskState
from identity.store.clock import THIS_MINUTE
from identity.store.locks import task_key
from identity.store.rows import RowMapper, page_after
from identity.store.tables import principals, task_actors, task_budgets, tasks
from identity.store.tables.schema import IDS
from identity.store.tx import Tx

EPOCH = select(principals.c.epoch).where(principals.c.tenant_id == tasks.c.tenant_id)
HAS_PARTIES = and_(
    EPOCH.where(principals.c.id == tasks.c.subject_id).scalar_subquery() == tasks.c.subject_epoch,
    EPOCH.where(principals.c.id == tasks.c.actor_id).scalar_subquery() == tasks.c.actor_epoch,
)
"""Neither its subject nor its opener was cut since; else it ended, though no worker may have written so yet."""

TASKS = RowMapper(
    tasks,
    Task,
    state=case((and_(tasks.c.state == TaskState.OPEN, not_(HAS_PARTIES)), TaskState.CANCELLED), else_=tasks.c.state),
)
TASK_ACTORS = RowMapper(task_actors, TaskActor)


def task_get(tx: Tx, txn: UUID) -> Task | None:
    """Return one task, ended or not."""
    return TASKS.get(tx, tasks.c.txn == txn)


def task_end(tx: Tx, txn: UUID, state: TaskState, *, now: datetime) -> Task | None:
    """End an open task; None when there is none that is open."""
    tx.ends.add(task_key(txn))
    is_open = (tasks.c.state == TaskState.OPEN, HAS_PARTIES)
    return TASKS.update(tx, tasks.c.txn == txn, *is_open, state=state, ended_at=now)


def task_list(tx: Tx, *, principal_id: UUID | None, after: UUID | None, limit: int) -> list[Task]:
    """Return at most ``limit`` tasks in the order of opening, those that one principal is a party to when named."""
    is_of = or_(tasks.c.subject_id == principal_id, tasks.c.actor_id == principal_id)
    return TASKS.page(tx, None if principal_id is None else is_of, key=tasks.c.txn, after=after, limit=limit)


def task_list_of_opener(tx: Tx, actor_id: UUID, *, after: UUID | None, limit: int) -> list[Task]:
    """Return at most ``limit`` tasks that an agent opened, in the order of opening."""
    statement = select(*TASKS.columns).where(tasks.c.tenant_id == tx.tenant_id, tasks.c.actor_id == actor_id)
    return TASKS.all(tx.execute(page_after(statement.order_by(tasks.c.actor_id), tasks.c.txn, after, limit)))


def tasks_spent(tx: Tx, txns: Collection[UUID]) -> dict[UUID, Spent]:
    """Return what tasks have spent of their budgets; those that spent nothing are not among them."""
    columns = (task_budgets.c.txn, task_budgets.c.issued, task_budgets.c.issued_in_minute, task_budgets.c.handed_on)
    is_this_minute = task_budgets.c.minute == literal_column(THIS_MINUTE)
    statement = select(*columns, is_this_minute.label("is_this_minute")).where(
        task_budgets.c.tenant_id == tx.tenant_id, task_budgets.c.txn == any_(literal(list(txns), IDS))
    )
    return {row.txn: _spent(row) for row in tx.execute(statement)}


def _spent(row: Any) -> Spent:
    in_minute = row.issued_in_minute if row.is_this_minute else 0
    return Spent(row.issued, in_minute, max(map(len, row.handed_on.values()), default=0))


def task_actor_get(tx: Tx, txn: UUID, actor_id: UUID) -> TaskActor | None:
    """Return an agent as one that acted in a task, or None where it did not."""
    return TASK_ACTORS.get(tx, task_actors.c.txn == txn, task_actors.c.actor_id == actor_id)


def task_branch_end(tx: Tx, txn: UUID, actor_id: UUID, *, now: datetime) -> bool:
    """End the branch of one actor; False when it was ended already, or the actor is not in the task."""
    tx.ends.add(task_key(txn))
    statement = (
        update(task_actors)
        .where(
            task_actors.c.tenant_id == tx.tenant_id,
            task_actors.c.txn == txn,
            task_actors.c.actor_id == actor_id,
            task_actors.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    )
    return tx.execute(statement).rowcount == 1
