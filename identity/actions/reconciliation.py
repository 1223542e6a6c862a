"""Reconciling: bring what rests on a principal in line with its present state. Running it again changes nothing."""

from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import apply_state
from identity.model.access import Caller
from identity.model.lifecycle import Verb
from identity.store import Tx
from identity.store.lifecycle import is_unowned, memberships_end, principal_observe, unowned_list
from identity.store.principals import principal_lock


def reconcile_principal(tx: Tx, principal_id: UUID, *, caller: Caller, now: datetime) -> bool:
    """Suspend one agent or service account that the principal answered for and nobody active answers for now.

    Level-triggered: it looks at what is, not at what happened. True when there is more to do, in a transaction of its
    own: one that cuts several agents would hold rows of many people, and two such could each wait for the other.
    """
    memberships_end(tx, principal_id, now=now)
    unowned = unowned_list(tx, principal_id, limit=2)
    for agent_id in unowned[:1]:
        _suspend_unowned(tx, agent_id, caller=caller, now=now)
    if len(unowned) > 1:
        return True
    principal_observe(tx, principal_id)
    return False


def _suspend_unowned(tx: Tx, agent_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Lock, and look once more: it may have got an owner, or gone away, while nobody held it."""
    agent = principal_lock(tx, agent_id)
    if agent is not None and is_unowned(tx, agent_id):
        apply_state(tx, agent, Verb.ABANDON, reason="no_active_owner", caller=caller, now=now)
