"""Rows that only mattered while something could still be alive. What happened stays in the audit trail."""

from datetime import datetime, timedelta

from sqlalchemy import text

from identity.model import provisioning_event
from identity.model.async_request import RESULT_KEPT_H
from identity.model.provisioning_log import KEPT_DAYS, KEPT_MAX
from identity.model.task import TASK_PERIODS_COUNTED, task_period
from identity.model.tenant import TASK_DURATION_MAX_S
from identity.store.tx import Tx

# After expiry. The tokens of a task are read as long as it goes on: one that expired may be renewed, and rests on more.
TOKENS_KEPT = timedelta(seconds=TASK_DURATION_MAX_S) + timedelta(hours=1)
TASKS_KEPT = timedelta(days=2)  # after expiry; longer than their tokens, which name them. Actors and budgets go too
ANSWERS_KEPT = timedelta(hours=24)  # what Idempotency-Key promises
OUTBOX_KEPT = timedelta(days=7)
REQUESTS_KEPT = timedelta(days=KEPT_DAYS)
RESULTS_KEPT = timedelta(hours=RESULT_KEPT_H)
PROVISIONING_EVENTS_KEPT = timedelta(days=provisioning_event.KEPT_DAYS)

# Each by its own index, each bounded: a long pause of the sweep never becomes one long transaction.
SWEEP = text("""
WITH assertions AS (
    DELETE FROM used_assertions WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM used_assertions WHERE tenant_id = :tenant AND expires_at < :now LIMIT :limit)) RETURNING 1),
dead AS (
    DELETE FROM tokens WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM tokens WHERE tenant_id = :tenant AND expires_at < :tokens_before LIMIT :limit)) RETURNING 1),
ended AS (
    DELETE FROM tasks WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT k.ctid FROM tasks k WHERE k.tenant_id = :tenant AND k.expires_at < :tasks_before
           AND (SELECT true FROM tokens t WHERE t.tenant_id = :tenant AND t.txn = k.txn LIMIT 1) IS NULL
         LIMIT :limit)) RETURNING 1),
counts AS (
    DELETE FROM task_counts WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM task_counts WHERE tenant_id = :tenant AND period < :periods_before LIMIT :limit)) RETURNING 1),
answers AS (
    DELETE FROM idempotency_keys WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys WHERE tenant_id = :tenant AND created_at < :answers_before LIMIT :limit))
    RETURNING 1),
done AS (
    DELETE FROM outbox WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM outbox WHERE tenant_id = :tenant AND done_at < now() - :outbox_kept LIMIT :limit))
    RETURNING 1),
requests AS (
    DELETE FROM provisioning_requests WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM provisioning_requests WHERE tenant_id = :tenant AND at < :requests_before LIMIT :limit))
    RETURNING 1),
crowd AS (
    DELETE FROM provisioning_requests WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT r.ctid FROM connections c CROSS JOIN LATERAL (
            SELECT p.ctid FROM provisioning_requests p WHERE p.tenant_id = :tenant AND p.connection_id = c.id
             ORDER BY p.id DESC OFFSET :requests_kept) AS r
         WHERE c.tenant_id = :tenant LIMIT :limit)) RETURNING 1),
announced AS (
    DELETE FROM provisioning_events WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT ctid FROM provisioning_events WHERE tenant_id = :tenant AND at < :announced_before LIMIT :limit))
    RETURNING 1),
reports AS (
    DELETE FROM async_reports WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT r.ctid FROM async_requests a
          JOIN async_reports r ON r.tenant_id = :tenant AND r.async_request_id = a.id
         WHERE a.tenant_id = :tenant AND a.done_at < :results_before LIMIT :limit)) RETURNING 1),
accepted AS (
    DELETE FROM async_requests WHERE tenant_id = :tenant AND ctid = ANY (ARRAY(
        SELECT a.ctid FROM async_requests a
         WHERE a.tenant_id = :tenant AND a.done_at < :results_before
           AND NOT EXISTS (SELECT FROM async_reports r WHERE r.tenant_id = :tenant AND r.async_request_id = a.id)
         LIMIT :limit)) RETURNING 1)
SELECT greatest((SELECT count(*) FROM assertions), (SELECT count(*) FROM dead), (SELECT count(*) FROM answers),
                (SELECT count(*) FROM done), (SELECT count(*) FROM requests), (SELECT count(*) FROM crowd),
                (SELECT count(*) FROM announced), (SELECT count(*) FROM ended), (SELECT count(*) FROM counts),
                (SELECT count(*) FROM reports), (SELECT count(*) FROM accepted)) AS most
""")


def expired_delete(tx: Tx, *, limit: int, now: datetime) -> int:
    """Delete at most ``limit`` outlived rows of each kind; return the largest number of one kind."""
    parameters = {
        "tenant": tx.tenant_id,
        "now": now,
        "tokens_before": now - TOKENS_KEPT,
        "tasks_before": now - TASKS_KEPT,
        "periods_before": task_period(now) - TASK_PERIODS_COUNTED,
        "answers_before": now - ANSWERS_KEPT,
        "outbox_kept": OUTBOX_KEPT,
        "requests_before": now - REQUESTS_KEPT,
        "requests_kept": KEPT_MAX,
        "announced_before": now - PROVISIONING_EVENTS_KEPT,
        "results_before": now - RESULTS_KEPT,
        "limit": limit,
    }
    return int(tx.execute(SWEEP, parameters).scalar_one())
