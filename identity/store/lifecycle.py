"""The rows that end in the same instant as a principal, and those that workers end afterwards, a batch at a time.

For every reader a row has ended that keeps another epoch or end counter than its party: the batches decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, text

from identity.model.client import CLIENTS_MAX
from identity.model.lifecycle import Restored
from identity.model.outbox import URGENT
from identity.store.nesting import CLIENT_IS_ACTIVE, DELEGATION_IS_USABLE
from identity.store.rows import row_reader
from identity.store.tables import outbox
from identity.store.tx import Tx

BATCH = 500  # rows of each kind that one transaction of a worker ends
DELEGATIONS_COUNTED_MAX = 1_000
"""Delegations of a principal that are read, at most, to count those that are in force again."""

# All of it is found by key, and none of it grows with what others can write: clients and unique values of one principal
# are few.
CUT = text(f"""
WITH closed AS (
    UPDATE clients SET revoked_at = :now, version = version + 1
     WHERE tenant_id = :tenant AND principal_id = :principal AND revoked_at IS NULL AND :is_end RETURNING 1),
freed AS (
    DELETE FROM principal_keys WHERE tenant_id = :tenant AND principal_id = :principal AND :is_deleted RETURNING 1),
cut AS (
    INSERT INTO cutoffs (tenant_id, kind, key, not_before, reason)
    VALUES (:tenant, 'principal', CAST(:principal AS text), :now, :reason)
    ON CONFLICT (tenant_id, kind, key) DO UPDATE
       SET not_before = greatest(cutoffs.not_before, excluded.not_before), reason = excluded.reason RETURNING 1),
notice AS (
    INSERT INTO outbox (tenant_id, id, principal_id, kind, priority)
    VALUES (:tenant, :notice_id, :principal, 'reconcile', {URGENT}) RETURNING 1)
SELECT (SELECT count(*) FROM closed) AS clients
""")

# Delegations of a principal of which it is not written that they ended: of each kind at most :limit, whatever there is.
NAMED = " UNION ALL ".join(
    f"""(
    SELECT actor_id, subject_id, subject_group_id, resource, actor_end_count, subject_end_count, resource_end_count,
           expires_at, ended_at
      FROM delegations WHERE tenant_id = :tenant AND ended_at IS NULL AND {party} = :principal LIMIT :limit)"""
    for party in ("max_depth > 0 AND actor_id", "subject_id", "subject_group_id")
)
KEPT = text(f"""
WITH named AS MATERIALIZED ({NAMED})
SELECT (SELECT true FROM clients
         WHERE tenant_id = :tenant AND principal_id = :principal AND revoked_at IS NULL LIMIT 1) IS NOT NULL
    OR (SELECT count(*) >= :limit OR coalesce(bool_or(
               CASE WHEN actor_id = :principal THEN actor_end_count ELSE subject_end_count END = :end_count), false)
          FROM named)
""")
RESTORED = text(f"""
WITH named AS MATERIALIZED ({NAMED})
SELECT ARRAY(SELECT c.client_id FROM clients c WHERE c.tenant_id = :tenant AND c.principal_id = :principal
                AND {CLIENT_IS_ACTIVE} LIMIT :clients) AS clients,
       (SELECT count(*) FROM named d WHERE {DELEGATION_IS_USABLE}) AS delegations,
       (SELECT count(*) >= :limit FROM named) AS has_more
""")

NOTICE = text("""
INSERT INTO outbox (tenant_id, id, principal_id, kind)
SELECT :tenant, :notice_id, :principal, 'reconcile'
 WHERE EXISTS (SELECT FROM principal_owners WHERE tenant_id = :tenant AND owner_id = :principal)
    OR EXISTS (SELECT FROM principal_owners WHERE tenant_id = :tenant AND principal_id = :principal)
    OR EXISTS (SELECT FROM group_members WHERE tenant_id = :tenant AND member_id = :principal)
""")

# A row has two parties, which two workers may be at: each leaves to the other what that one has locked.
DELEGATIONS_END = text("""
WITH of_actor AS MATERIALIZED (
    SELECT id FROM delegations WHERE tenant_id = :tenant AND ended_at IS NULL AND actor_id = :principal
       AND max_depth > 0 AND actor_end_count <> :end_count LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
of_person AS MATERIALIZED (
    SELECT id FROM delegations WHERE tenant_id = :tenant AND ended_at IS NULL AND subject_id = :principal
       AND subject_end_count <> :end_count LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
of_group AS MATERIALIZED (
    SELECT id FROM delegations WHERE tenant_id = :tenant AND ended_at IS NULL AND subject_group_id = :principal
       AND subject_end_count <> :end_count LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
UPDATE delegations SET ended_at = :now, ended_reason = :reason
 WHERE tenant_id = :tenant AND ended_at IS NULL AND id = ANY (ARRAY(
    SELECT id FROM of_actor UNION SELECT id FROM of_person UNION SELECT id FROM of_group))
""")

# Of the tasks of one party, those that were opened before its last cut: a range of an index each.
TASKS_END = text("""
WITH of_actor AS MATERIALIZED (
    SELECT txn FROM tasks WHERE tenant_id = :tenant AND state = 'open' AND actor_id = :principal
       AND actor_epoch < :epoch LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
of_subject AS MATERIALIZED (
    SELECT txn FROM tasks WHERE tenant_id = :tenant AND state = 'open' AND subject_id = :principal
       AND subject_epoch < :epoch LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
UPDATE tasks SET state = 'cancelled', ended_at = :now
 WHERE tenant_id = :tenant AND state = 'open' AND txn = ANY (ARRAY(
    SELECT txn FROM of_actor UNION SELECT txn FROM of_subject))
RETURNING txn, subject_id, actor_id, expires_at > :now AS was_running
""")

# What a deleted principal was a member of, and if it was a group, who was in it. Groups that answer for agents, or are
# in one that may, are looked at afterwards.
MEMBERSHIPS_END = text(f"""
WITH deleted AS MATERIALIZED (
    SELECT id FROM principals WHERE tenant_id = :tenant AND id = :principal AND deleted_at IS NOT NULL),
gone AS (
    DELETE FROM group_members WHERE tenant_id = :tenant AND member_id = (SELECT id FROM deleted)
       AND group_id = ANY (ARRAY(
            SELECT group_id FROM group_members WHERE tenant_id = :tenant AND member_id = (SELECT id FROM deleted)
             LIMIT :limit))
    RETURNING group_id),
emptied AS (
    DELETE FROM group_members WHERE tenant_id = :tenant AND group_id = (SELECT id FROM deleted)
       AND member_id = ANY (ARRAY(
            SELECT member_id FROM group_members WHERE tenant_id = :tenant AND group_id = (SELECT id FROM deleted)
             LIMIT :limit))
    RETURNING 1),
notices AS (
    INSERT INTO outbox (tenant_id, id, principal_id, kind, priority)
    SELECT :tenant, gen_random_uuid(), gone.group_id, 'reconcile', {URGENT} FROM gone
     WHERE (SELECT true FROM principal_owners o WHERE o.tenant_id = :tenant AND o.owner_id = gone.group_id LIMIT 1)
        OR (SELECT true FROM group_members m WHERE m.tenant_id = :tenant AND m.member_id = gone.group_id LIMIT 1))
SELECT greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM emptied)) AS most
""")


OBSERVE = text("""
UPDATE principals SET observed_version = greatest(observed_version, :version)
 WHERE tenant_id = :tenant AND id = :principal
""")


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A task that ended before it expired, and its parties."""

    txn: UUID
    subject_id: UUID
    actor_id: UUID


@dataclass(frozen=True, slots=True)
class EndedRows:
    """One batch: the running tasks that ended, each of which has an event, and whether there may be more rows."""

    tasks: tuple[EndedTask, ...]
    is_more: bool


ENDED_TASK = row_reader(EndedTask)


def principal_cut(tx: Tx, principal_id: UUID, *, is_end: bool, is_deleted: bool, reason: str, now: datetime) -> int:
    """Write the cut-off of a locked principal and the notice for the workers; an end revokes its clients, a deletion
    frees its unique values. Return how many clients were revoked.
    """
    parameters = {
        "tenant": tx.tenant_id,
        "principal": principal_id,
        "is_end": is_end,
        "is_deleted": is_deleted,
        "reason": reason,
        "now": now,
        "notice_id": tx.new_id(),
    }
    return int(tx.execute(CUT, parameters).scalar_one())


def keeps_credentials(tx: Tx, principal_id: UUID, *, end_count: int) -> bool:
    """Return whether clients or delegations of a suspended principal would come back with it. True as well where it has
    more of them than are read: to end a row that has ended changes nothing.
    """
    named = {"tenant": tx.tenant_id, "principal": principal_id, "limit": DELEGATIONS_COUNTED_MAX}
    return bool(tx.execute(KEPT, named | {"end_count": end_count}).scalar_one())


def restored_find(tx: Tx, principal_id: UUID, *, now: datetime) -> Restored:
    """Return which clients and how many delegations of a principal serve, now that it is active again."""
    named = {"tenant": tx.tenant_id, "principal": principal_id, "limit": DELEGATIONS_COUNTED_MAX, "now": now}
    row = tx.execute(RESTORED, named | {"clients": CLIENTS_MAX}).one()
    return Restored(tuple(sorted(row.clients)), int(row.delegations), bool(row.has_more))


def ended_rows_end(tx: Tx, principal_id: UUID, *, end_count: int, epoch: int, reason: str, now: datetime) -> EndedRows:
    """Write of one batch of delegations and tasks that they have ended: those that keep another count or epoch of this
    party than it has, whatever its state is by now.
    """
    named = {"tenant": tx.tenant_id, "principal": principal_id, "limit": BATCH, "now": now}
    ended = tx.execute(DELEGATIONS_END, named | {"end_count": end_count, "reason": reason}).rowcount
    tasks = tx.execute(TASKS_END, named | {"epoch": epoch}).all()
    running = tuple(ENDED_TASK(row) for row in tasks if row.was_running)
    return EndedRows(running, is_more=ended >= BATCH or len(tasks) >= BATCH)


def memberships_end(tx: Tx, principal_id: UUID) -> bool:
    """Delete one batch of the memberships of a deleted principal, and of those in it; True when there may be more.

    Nothing for a principal that is not deleted.
    """
    named = {"tenant": tx.tenant_id, "principal": principal_id, "limit": BATCH}
    return int(tx.execute(MEMBERSHIPS_END, named).scalar_one()) >= BATCH


def ownership_notice_insert(tx: Tx, principal_id: UUID) -> None:
    """Enqueue the reconciliation of a principal that owns, is owned, or is in a group."""
    tx.execute(NOTICE, {"tenant": tx.tenant_id, "principal": principal_id, "notice_id": tx.new_id()})


def notices_insert(tx: Tx, principal_ids: Sequence[UUID]) -> None:
    """Enqueue the reconciliation of each of these principals, because another one ended."""
    if principal_ids:
        rows = [
            {"tenant_id": tx.tenant_id, "id": tx.new_id(), "principal_id": id_, "kind": "reconcile",
             "priority": URGENT} for id_ in principal_ids
        ]  # fmt: skip
        tx.execute(insert(outbox), rows)


def principal_observe(tx: Tx, principal_id: UUID, version: int) -> None:
    """Write that the rows that rest on a principal are in line with the version that was read. A later one
    may have been committed meanwhile, and has a notice of its own.
    """
    tx.execute(OBSERVE, {"tenant": tx.tenant_id, "principal": principal_id, "version": version})
