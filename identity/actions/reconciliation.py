"""Reconciling: bring what rests on a principal in line with its present state. Running it again changes nothing."""

from datetime import datetime
from uuid import UUID

from identity.actions.lifecycle import change_state
from identity.model.access import Caller
from identity.model.lifecycle import Verb
from identity.store import Tx
from identity.store.lifecycle import news_insert, principal_observe, unowned_list

AGENTS_IN_ONE_GO = 50


def reconcile_principal(tx: Tx, principal_id: UUID, *, caller: Caller, now: datetime) -> int:
    """Suspend every agent and service account that the principal answered for and nobody active answers for now.

    Level-triggered: it looks at what is, not at what happened. Returns how many were suspended; when there may be
    more, the rest is left to a new message, so that no transaction grows with the directory.
    """
    unowned = unowned_list(tx, principal_id, limit=AGENTS_IN_ONE_GO)
    for agent_id in unowned:
        change_state(tx, agent_id, Verb.SUSPEND, reason="no_active_owner", caller=caller, now=now)
    if len(unowned) == AGENTS_IN_ONE_GO:
        news_insert(tx, principal_id, now=now)
    else:
        principal_observe(tx, principal_id)
    return len(unowned)
