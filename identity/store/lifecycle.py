"""What ends when a principal is cut off, and who is left without an owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, text, update

from identity.store.tables import outbox, principals
from identity.store.tx import Tx

TASKS_TOLD_MAX = 500  # tasks of one principal that get an event each; the count is always told

# Standing permissions, credentials, tasks and the cut-off end in one statement, with the news of it for the workers.
# A delegation or task has two parties, which may be cut off at once: its rows are locked in one order, or each cut
# might hold what the other waits for.
CUT = text("""
WITH ended AS (
    UPDATE delegations SET ended_at = :now, ended_reason = :reason
     WHERE tenant_id = :tenant AND id IN (
        SELECT id FROM delegations
         WHERE tenant_id = :tenant AND ended_at IS NULL
           AND (actor_id = :principal OR subject_id = :principal OR subject_group_id = :principal)
         ORDER BY id FOR NO KEY UPDATE) RETURNING id),
closed AS (
    UPDATE clients SET revoked_at = :now, version = version + 1
     WHERE tenant_id = :tenant AND principal_id = :principal AND revoked_at IS NULL RETURNING client_id),
cancelled AS (
    UPDATE tasks SET state = 'cancelled', ended_at = :now
     WHERE tenant_id = :tenant AND txn IN (
        SELECT txn FROM tasks
         WHERE tenant_id = :tenant AND state = 'open' AND (subject_id = :principal OR actor_id = :principal)
         ORDER BY txn FOR NO KEY UPDATE) RETURNING txn, subject_id, actor_id),
cut AS (
    INSERT INTO cutoffs (tenant_id, kind, key, not_before, reason)
    VALUES (:tenant, 'principal', CAST(:principal AS text), :now, :reason)
    ON CONFLICT (tenant_id, kind, key) DO UPDATE
       SET not_before = greatest(cutoffs.not_before, excluded.not_before), reason = excluded.reason RETURNING 1),
news AS (
    INSERT INTO outbox (tenant_id, id, principal_id, kind, created_at, available_at)
    VALUES (:tenant, :news_id, :principal, 'reconcile', :now, :now) RETURNING 1)
SELECT (SELECT count(*) FROM ended) AS delegations, (SELECT count(*) FROM closed) AS clients,
       (SELECT count(*) FROM cancelled) AS tasks,
       ARRAY(SELECT ARRAY[txn, subject_id, actor_id] FROM cancelled LIMIT :told_max) AS told
""")

NEWS = text("""
INSERT INTO outbox (tenant_id, id, principal_id, kind, created_at, available_at)
SELECT :tenant, :news_id, :principal, 'reconcile', :now, :now
 WHERE EXISTS (SELECT FROM principal_owners WHERE tenant_id = :tenant AND :principal IN (owner_id, principal_id))
    OR EXISTS (SELECT FROM group_members WHERE tenant_id = :tenant AND member_id = :principal)
""")

# Once the rows are gone nobody could tell from the principal which groups it had stood in for. Who adds a member
# locks only its key, so that directories may be pushed in parallel, and may thus come a moment too late: hence the
# condition, with which this can be done again.
MEMBERSHIPS_END = text("""
WITH deleted AS (
    SELECT id FROM principals WHERE tenant_id = :tenant AND id = :principal AND deleted_at IS NOT NULL),
freed AS (
    DELETE FROM principal_keys WHERE tenant_id = :tenant AND principal_id = (SELECT id FROM deleted)),
gone AS (
    DELETE FROM group_members WHERE tenant_id = :tenant AND member_id = (SELECT id FROM deleted)
    RETURNING group_id)
INSERT INTO outbox (tenant_id, id, principal_id, kind, created_at, available_at)
SELECT :tenant, gen_random_uuid(), gone.group_id, 'reconcile', :now, :now FROM gone
 WHERE EXISTS (SELECT FROM principal_owners o WHERE o.tenant_id = :tenant AND o.owner_id = gone.group_id)
    OR EXISTS (SELECT FROM group_members m WHERE m.tenant_id = :tenant AND m.member_id = gone.group_id)
""")

# Upwards from the principal to every group that it is in; then the agents owned there which nobody active owns.
UNOWNED = text("""
WITH RECURSIVE above (id) AS (
    SELECT CAST(:principal AS uuid)
    UNION SELECT m.group_id FROM group_members m JOIN above a ON m.member_id = a.id WHERE m.tenant_id = :tenant
),
candidates AS (
    SELECT p.id FROM principals p
     WHERE p.tenant_id = :tenant AND p.state = 'active' AND p.kind IN ('agent', 'service_account')
       AND NOT p.is_protected
       AND (p.id = :principal
            OR EXISTS (SELECT FROM principal_owners o JOIN above a ON a.id = o.owner_id
                        WHERE o.tenant_id = :tenant AND o.principal_id = p.id))
       AND EXISTS (SELECT FROM principal_owners o WHERE o.tenant_id = :tenant AND o.principal_id = p.id)
),
answerable (agent_id, id) AS (
    SELECT o.principal_id, o.owner_id FROM principal_owners o JOIN candidates c ON c.id = o.principal_id
     WHERE o.tenant_id = :tenant
    UNION
    SELECT a.agent_id, m.member_id FROM group_members m JOIN answerable a ON m.group_id = a.id
      JOIN principals g ON g.id = a.id AND g.tenant_id = :tenant AND g.state = 'active'
     WHERE m.tenant_id = :tenant
)
SELECT c.id FROM candidates c
 WHERE NOT EXISTS (
    SELECT FROM answerable a JOIN principals u ON u.tenant_id = :tenant AND u.id = a.id
     WHERE a.agent_id = c.id AND u.kind = 'user' AND u.state = 'active')
 ORDER BY c.id <> :principal, c.id LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A task that ended, and its parties."""

    txn: UUID
    subject_id: UUID
    actor_id: UUID


@dataclass(frozen=True, slots=True)
class Ended:
    """How much of each kind ended, and which tasks, as far as each can be told of by itself."""

    counts: dict[str, int]
    tasks: tuple[EndedTask, ...]


def principal_cut(tx: Tx, principal_id: UUID, *, reason: str, now: datetime) -> Ended:
    """End everything that rests on a locked principal."""
    parameters = {
        "tenant": tx.tenant_id,
        "principal": principal_id,
        "reason": reason,
        "now": now,
        "news_id": tx.new_id(),
        "told_max": TASKS_TOLD_MAX,
    }
    row = tx.execute(CUT, parameters).one()
    counts = {"delegations": row.delegations, "clients": row.clients, "tasks": row.tasks}
    return Ended(counts, tuple(EndedTask(*task) for task in row.told))


def memberships_end(tx: Tx, principal_id: UUID, *, now: datetime) -> None:
    """Take a deleted principal out of every group, and free what was unique to it; tell the workers of those groups
    that answer for agents.

    Nothing for a principal that is not deleted.
    """
    tx.execute(MEMBERSHIPS_END, {"tenant": tx.tenant_id, "principal": principal_id, "now": now})


def owners_news_insert(tx: Tx, principal_id: UUID, *, now: datetime) -> None:
    """Tell the workers that who answers for an agent may have changed; nothing where nobody owns or is owned."""
    tx.execute(NEWS, {"tenant": tx.tenant_id, "principal": principal_id, "now": now, "news_id": tx.new_id()})


def news_insert(tx: Tx, principal_id: UUID, *, now: datetime) -> None:
    """Ask the workers to look at a principal once more."""
    tx.execute(
        insert(outbox).values(
            tenant_id=tx.tenant_id,
            id=tx.new_id(),
            principal_id=principal_id,
            kind="reconcile",
            created_at=now,
            available_at=now,
        )
    )


def principal_observe(tx: Tx, principal_id: UUID) -> None:
    """Write that what rests on a principal is in line with its present version."""
    tx.execute(
        update(principals)
        .where(principals.c.tenant_id == tx.tenant_id, principals.c.id == principal_id)
        .values(observed_version=principals.c.version)
    )


def unowned_list(tx: Tx, principal_id: UUID, *, limit: int) -> Sequence[UUID]:
    """Return active agents and service accounts that ``principal_id`` answered for and nobody active answers for now.

    An owner group counts while it is active and somebody active is in it, directly or through another group. An
    agent that never had an owner is not among them, nor is one that an administrator protects: he answers for it.
    """
    rows = tx.execute(UNOWNED, {"tenant": tx.tenant_id, "principal": principal_id, "limit": limit})
    return rows.scalars().all()


def is_unowned(tx: Tx, agent_id: UUID) -> bool:
    """Return whether an active agent or service account has owners, and none of them answers for it now."""
    return agent_id in unowned_list(tx, agent_id, limit=1)  # it comes before those that it would answer for
