"""Counting the tasks that an actor opens in a short time, as parts of the statements that open them.

They count on a CTE ``fault (reason)``, and on the parameters of ``count_parameters``. An actor's count is shared out
among slots, and a slot's share of the limit is all that is read.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.task import TASK_SLOTS, TASKS_OPENED_MAX, task_period

TOO_MANY = """(
    SELECT sum(n.opened) FROM task_counts n
     WHERE n.tenant_id = :tenant AND n.actor_id = :task_actor_id AND n.slot = :slot
       AND n.period = ANY (ARRAY[CAST(:period AS bigint), :period - 1, :period - 2])) >= :slot_max"""
"""The condition that the actor ``:task_actor_id`` opens no further task now."""


def opened(condition: str = "true") -> str:
    """Return the CTE that counts one task more, where nothing is at fault and the condition holds."""
    return f"""
opened AS (
    INSERT INTO task_counts (tenant_id, actor_id, period, slot, opened)
    SELECT :tenant, CAST(:task_actor_id AS uuid), :period, :slot, 1 FROM fault WHERE reason IS NULL AND {condition}
    ON CONFLICT (tenant_id, actor_id, period, slot) DO UPDATE SET opened = task_counts.opened + 1 RETURNING 1)"""


def count_parameters(actor_id: UUID | None, id_: UUID, now: datetime) -> dict[str, Any]:
    """Return who opens a task, and in which slot of which period it is counted: by an id that is new."""
    return {
        "task_actor_id": actor_id,
        "period": task_period(now),
        "slot": id_.int % TASK_SLOTS,
        "slot_max": TASKS_OPENED_MAX // TASK_SLOTS,
    }
