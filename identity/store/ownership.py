"""Ownership: from an owner to its agents, from a group down to the first active user in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from identity.model.ids import NO_ID
from identity.model.nesting import NESTED_MAX
from identity.store.nesting import ACTIVE_USER, has_active_user
from identity.store.tx import Tx

OWNED_BATCH = 100  # agents of one owner that are looked at in one statement
GROUPS_BATCH = 500

# Each group is decided once, whatever number of agents it owns.
UNOWNED = text(f"""
WITH batch AS MATERIALIZED (
    SELECT o.principal_id AS id FROM principal_owners o
     WHERE o.tenant_id = :tenant AND o.owner_id = :owner AND o.principal_id > :after
     ORDER BY o.principal_id LIMIT :limit),
looked_at AS MATERIALIZED (
    SELECT id FROM batch UNION ALL SELECT CAST(:agent AS uuid) WHERE CAST(:agent AS uuid) IS NOT NULL),
candidates AS MATERIALIZED (
    SELECT l.id FROM looked_at l
     WHERE (SELECT p.state = 'active' AND p.kind IN ('agent', 'service_account') AND NOT p.is_protected
              FROM principals p WHERE p.tenant_id = :tenant AND p.id = l.id)
       AND (SELECT coalesce(bool_or({ACTIVE_USER.format(id="o.owner_id")}), true) FROM principal_owners o
             WHERE o.tenant_id = :tenant AND o.principal_id = l.id) IS FALSE),
owner_groups AS MATERIALIZED (
    SELECT DISTINCT o.owner_id AS id FROM candidates c CROSS JOIN LATERAL (
        SELECT owner_id FROM principal_owners WHERE tenant_id = :tenant AND principal_id = c.id OFFSET 0) o),
answering AS MATERIALIZED (SELECT g.id FROM owner_groups g WHERE {has_active_user("g.id")})
SELECT (SELECT id FROM batch ORDER BY id DESC LIMIT 1) AS last, (SELECT count(*) FROM batch) AS seen,
       ARRAY(SELECT c.id FROM candidates c WHERE (
            SELECT count(*) FROM principal_owners o WHERE o.tenant_id = :tenant AND o.principal_id = c.id
               AND o.owner_id = ANY (ARRAY(SELECT id FROM answering))) = 0 ORDER BY c.id) AS unowned
""")

ANSWERING = text(f"SELECT {has_active_user('CAST(:owner AS uuid)')}")

# UNION ends a circle, and the limit a crowd: no more groups than that may be above one.
GROUP_AND_ABOVE = text("""
WITH RECURSIVE above (id) AS (
    SELECT CAST(:group AS uuid)
    UNION
    SELECT m.group_id FROM above a CROSS JOIN LATERAL (
        SELECT group_id FROM group_members WHERE tenant_id = :tenant AND member_id = a.id OFFSET 0) m)
SELECT id FROM above LIMIT :limit
""")

# Groups that the principal is in, one batch; of them those that own, or are in groups that may. None once all that
# rests on its present version has been looked at.
ABOVE = text("""
WITH batch AS MATERIALIZED (
    SELECT m.source_id, m.group_id FROM group_members m
     WHERE m.tenant_id = :tenant AND m.member_id = :member AND (m.source_id, m.group_id) > (:after_source, :after_group)
       AND (SELECT p.observed_version < p.version FROM principals p WHERE p.tenant_id = :tenant AND p.id = :member)
     ORDER BY m.source_id, m.group_id LIMIT :limit)
SELECT b.source_id, b.group_id,
       (SELECT true FROM principal_owners o WHERE o.tenant_id = :tenant AND o.owner_id = b.group_id LIMIT 1) IS TRUE
       OR (SELECT true FROM group_members m WHERE m.tenant_id = :tenant AND m.member_id = b.group_id LIMIT 1) IS TRUE
       AS may_answer
  FROM batch b ORDER BY b.source_id, b.group_id
""")


@dataclass(frozen=True, slots=True)
class OwnedBatch:
    """Agents of one owner: those without an active owner, and the last one of the batch, None at the end."""

    unowned: Sequence[UUID]
    last: UUID | None


@dataclass(frozen=True, slots=True)
class GroupsBatch:
    """Groups that a principal is in and that may answer for agents; where the next batch begins, None at the end."""

    may_answer: Sequence[UUID]
    last: tuple[UUID, UUID] | None


def unowned_list(tx: Tx, owner_id: UUID, *, after: UUID | None) -> OwnedBatch:
    """Return those of a batch of the agents and service accounts that ``owner_id`` owns which have no active owner.

    An agent that never had an owner is not among them, nor is one that an administrator protects, who answers for it.
    """
    row = tx.execute(UNOWNED, _of(tx) | {"owner": owner_id, "after": after or NO_ID, "agent": None}).one()
    return OwnedBatch(row.unowned, row.last if row.seen >= OWNED_BATCH else None)


def is_unowned(tx: Tx, agent_id: UUID) -> bool:
    """Return whether an active agent or service account has owners, and none of them answers for it now."""
    row = tx.execute(UNOWNED, _of(tx) | {"owner": NO_ID, "after": NO_ID, "agent": agent_id}).one()
    return bool(row.unowned)


def group_answers(tx: Tx, group_id: UUID) -> bool:
    """Return whether a group is active and an active user is in it, directly or through active groups."""
    answers: bool = tx.execute(ANSWERING, {"tenant": tx.tenant_id, "owner": group_id}).scalar_one()
    return answers


def group_and_above(tx: Tx, group_id: UUID) -> list[UUID]:
    """Return a group and every group above it, in the order of their ids."""
    bound = {"tenant": tx.tenant_id, "group": group_id, "limit": 2 * NESTED_MAX}
    return sorted(tx.execute(GROUP_AND_ABOVE, bound).scalars())


def groups_above(tx: Tx, member_id: UUID, *, after: tuple[UUID, UUID] | None) -> GroupsBatch:
    """Return those of a batch of the groups that a principal is in which may answer for agents."""
    source, group = after or (NO_ID, NO_ID)
    bound = {"tenant": tx.tenant_id, "member": member_id, "after_source": source, "after_group": group}
    rows = tx.execute(ABOVE, bound | {"limit": GROUPS_BATCH}).all()
    last = (rows[-1].source_id, rows[-1].group_id) if len(rows) >= GROUPS_BATCH else None
    return GroupsBatch([row.group_id for row in rows if row.may_answer], last)


def _of(tx: Tx) -> dict[str, object]:
    return {"tenant": tx.tenant_id, "limit": OWNED_BATCH}
