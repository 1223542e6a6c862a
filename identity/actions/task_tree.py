"""The tree of a task's tokens, from the audit log."""

from uuid import UUID

from identity.model.errors import NotFound
from identity.model.task_tree import TaskTree, tree_of
from identity.store import Tx
from identity.store.events import event_list

TREE_EVENTS_MAX = 1_000
"""The tree shows the first events of the task; the audit log by ``txn`` has the rest."""


def get_task_tree(tx: Tx, txn: UUID) -> TaskTree:
    """Return the tree of a task; its row may be deleted already, since events stay. Raises ``NotFound``."""
    events = event_list(tx, txn=txn, limit=TREE_EVENTS_MAX + 1)
    if not events:
        raise NotFound("no task with this txn")
    return tree_of(txn, events[:TREE_EVENTS_MAX], is_truncated=len(events) > TREE_EVENTS_MAX)
