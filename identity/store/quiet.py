"""Which principals have nothing resting on them that a worker would change: looked at many at a time.

Most rows of the outbox are of that kind (an agent was created, and somebody answers for it), so they are done by one
statement. The conditions are those of the steps of ``actions.reconciliation``; what is not surely quiet takes them.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from identity.store.nesting import ACTIVE_USER
from identity.store.tx import Tx

# Scalar subqueries: each is a look-up by key, whatever the statistics say. What somebody holds is not surely quiet.
OBSERVE = text(f"""
WITH quiet AS MATERIALIZED (
    SELECT p.id, p.version FROM principals p
     WHERE p.tenant_id = :tenant AND p.id = ANY (:ids) AND p.kind <> 'group'
       AND (p.deleted_at IS NULL
            OR (SELECT true FROM group_members m WHERE m.tenant_id = :tenant AND m.member_id = p.id LIMIT 1) IS NULL)
       AND (p.kind <> 'user' OR p.state = 'active'
            OR ((SELECT true FROM principal_owners o
                  WHERE o.tenant_id = :tenant AND o.owner_id = p.id LIMIT 1) IS NULL
                AND (SELECT true FROM group_members m
                      WHERE m.tenant_id = :tenant AND m.member_id = p.id LIMIT 1) IS NULL))
       AND (p.kind NOT IN ('agent', 'service_account') OR p.state <> 'active' OR p.is_protected
            OR (SELECT coalesce(bool_or({ACTIVE_USER.format(id="o.owner_id")}), true) FROM principal_owners o
                 WHERE o.tenant_id = :tenant AND o.principal_id = p.id))
       AND (SELECT true FROM delegations d WHERE d.tenant_id = :tenant AND d.ended_at IS NULL
               AND d.actor_id = p.id AND d.actor_end_count <> p.end_count LIMIT 1) IS NULL
       AND (SELECT true FROM delegations d WHERE d.tenant_id = :tenant AND d.ended_at IS NULL
               AND d.subject_id = p.id AND d.subject_end_count <> p.end_count LIMIT 1) IS NULL
       AND (SELECT true FROM tasks t WHERE t.tenant_id = :tenant AND t.state = 'open'
               AND t.actor_id = p.id AND t.actor_epoch < p.epoch LIMIT 1) IS NULL
       AND (SELECT true FROM tasks t WHERE t.tenant_id = :tenant AND t.state = 'open'
               AND t.subject_id = p.id AND t.subject_epoch < p.epoch LIMIT 1) IS NULL
     FOR NO KEY UPDATE OF p SKIP LOCKED)
UPDATE principals p SET observed_version = greatest(p.observed_version, quiet.version)
  FROM quiet WHERE p.tenant_id = :tenant AND p.id = quiet.id
RETURNING p.id
""")


def quiet_observe(tx: Tx, principal_ids: Sequence[UUID]) -> set[UUID]:
    """Write of those principals on which nothing rests that has to change that they are in line with their present
    version, and return them.
    """
    return set(tx.execute(OBSERVE, {"tenant": tx.tenant_id, "ids": list(principal_ids)}).scalars())
