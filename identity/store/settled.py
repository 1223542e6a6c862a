"""Principals whose outbox rows need no work: nothing that ended with them is left to write down.

Most rows of the outbox are of such principals (an agent was created and has an active owner), so one statement settles
many of them. Its conditions are those of the steps of ``actions.reconciliation``. A principal that may not meet them
takes these steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from identity.store.nesting import ACTIVE_USER
from identity.store.rows import row_reader
from identity.store.tx import Tx


def _exists(rows: str) -> str:
    """Return the condition that there is such a row: a scalar subquery, a look-up by key whatever statistics say."""
    return f"(SELECT true FROM {rows} LIMIT 1) IS NOT NULL"


LIVE_DELEGATION = "delegations d WHERE d.tenant_id = :tenant AND d.ended_at IS NULL"
OPEN_TASK = "tasks t WHERE t.tenant_id = :tenant AND t.state = 'open'"
DELEGATIONS = " OR ".join((
    _exists(f"{LIVE_DELEGATION} AND d.max_depth > 0 AND d.actor_id = p.id AND d.actor_end_count <> p.end_count"),
    _exists(f"{LIVE_DELEGATION} AND d.subject_id = p.id AND d.subject_end_count <> p.end_count"),
    _exists(f"{LIVE_DELEGATION} AND d.subject_group_id = p.id AND d.subject_end_count <> p.end_count"),
))  # fmt: skip
TASKS = " OR ".join((
    _exists(f"{OPEN_TASK} AND t.actor_id = p.id AND t.actor_epoch < p.epoch"),
    _exists(f"{OPEN_TASK} AND t.subject_id = p.id AND t.subject_epoch < p.epoch"),
))  # fmt: skip
IN_A_GROUP = _exists("group_members m WHERE m.tenant_id = :tenant AND m.member_id = p.id")
HAS_MEMBERS = _exists("group_members m WHERE m.tenant_id = :tenant AND m.group_id = p.id")
OWNS = _exists("principal_owners o WHERE o.tenant_id = :tenant AND o.owner_id = p.id")

REMAINS = text(f"""
SELECT {DELEGATIONS} AS delegations, {TASKS} AS tasks,
       p.deleted_at IS NOT NULL AND ({IN_A_GROUP} OR {HAS_MEMBERS}) AS memberships,
       {OWNS} AS owns, {IN_A_GROUP} AS is_member
  FROM principals p WHERE p.tenant_id = :tenant AND p.id = :principal
""")

# A row that another transaction has locked may not be settled.
OBSERVE = text(f"""
WITH settled AS MATERIALIZED (
    SELECT p.id, p.version FROM principals p
     WHERE p.tenant_id = :tenant AND p.id = ANY (:ids) AND p.kind <> 'group'
       AND (p.deleted_at IS NULL OR NOT ({IN_A_GROUP}))
       AND (p.kind <> 'user' OR p.state = 'active' OR NOT ({OWNS} OR {IN_A_GROUP}))
       AND (p.kind NOT IN ('agent', 'service_account') OR p.state <> 'active' OR p.is_protected
            OR (SELECT coalesce(bool_or({ACTIVE_USER.format(id="o.owner_id")}), true) FROM principal_owners o
                 WHERE o.tenant_id = :tenant AND o.principal_id = p.id))
       AND NOT ({DELEGATIONS}) AND NOT ({TASKS})
     FOR NO KEY UPDATE OF p SKIP LOCKED)
UPDATE principals p SET observed_version = greatest(p.observed_version, settled.version)
  FROM settled WHERE p.tenant_id = :tenant AND p.id = settled.id
RETURNING p.id
""")


@dataclass(frozen=True, slots=True)
class Remains:
    """True for each kind of rows that ended with a principal and are not written as ended: delegations, tasks,
    memberships. ``owns`` and ``is_member``: agents that it owns, or groups that it is in, may have to change.
    """

    delegations: bool
    tasks: bool
    memberships: bool
    owns: bool
    is_member: bool


REMAINS_OF = row_reader(Remains)
NOTHING = Remains(delegations=False, tasks=False, memberships=False, owns=False, is_member=False)


def remains_find(tx: Tx, principal_id: UUID) -> Remains:
    """Return the kinds of rows that ended with a principal and are not written as ended; none without a principal."""
    row = tx.execute(REMAINS, {"tenant": tx.tenant_id, "principal": principal_id}).one_or_none()
    return NOTHING if row is None else REMAINS_OF(row)


def settled_observe(tx: Tx, principal_ids: Sequence[UUID]) -> set[UUID]:
    """Write of those principals on which nothing rests that has to change that they are in line with their present
    version, and return them.
    """
    return set(tx.execute(OBSERVE, {"tenant": tx.tenant_id, "ids": list(principal_ids)}).scalars())
