"""Who did what in a task, from the audit log."""

from uuid import UUID

from identity.model.errors import NotFound
from identity.model.task_tree import TaskTree, tree_of
from identity.store import Tx
from identity.store.events import event_list

TREE_EVENTS_MAX = 1_000
"""Events that one tree is drawn from, the first ones; the audit log by ``txn`` has the rest, page by page."""


def draw_task(tx: Tx, txn: UUID) -> TaskTree:
    """Return the tree of a task, which may be swept already: events stay. Raises ``NotFound``."""
    events = event_list(tx, txn=txn, limit=TREE_EVENTS_MAX + 1)
    if not events:
        raise NotFound("no task with this txn")
    return tree_of(txn, events[:TREE_EVENTS_MAX], is_truncated=len(events) > TREE_EVENTS_MAX)
