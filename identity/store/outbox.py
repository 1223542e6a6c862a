"""The outbox: news for the workers, written in the transaction that made it, sent later and more than once.

The relay sees rows of every tenant and sends them until they are done; a worker counts an attempt before it
begins, so that work which kills its worker is counted too, and marks the row done in the transaction that
does the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from identity.model.ids import TenantId
from identity.store.tx import Tx

ATTEMPTS_MAX = 12
RESEND_MIN = timedelta(seconds=10)
RESEND_MAX = timedelta(minutes=15)
ERROR_LENGTH_MAX = 300

# Sent again after as long as it has waited already: twice the pause each time, without a counter. How often a
# row was sent says nothing about the work (workers may be stopped for a night), so it never kills a row.
CLAIM = text("""
UPDATE outbox SET sent_at = :now,
       available_at = :now + least(greatest(:now - created_at, :resend_min), :resend_max) * (1 + random() / 4)
 WHERE (tenant_id, id) IN (
    SELECT tenant_id, id FROM outbox
     WHERE done_at IS NULL AND dead_at IS NULL AND available_at <= :now
     ORDER BY available_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, id
""")

RELEASE = text("""
UPDATE outbox SET sent_at = NULL, available_at = :now
 WHERE (tenant_id, id) IN (SELECT * FROM unnest(CAST(:tenants AS uuid[]), CAST(:ids AS uuid[]))) AND done_at IS NULL
""")

BEGIN = text("""
UPDATE outbox SET attempts = attempts + 1,
       dead_at = CASE WHEN attempts >= :attempts_max THEN :now END
 WHERE tenant_id = :tenant AND id IN (
    SELECT id FROM outbox
     WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL AND dead_at IS NULL FOR UPDATE SKIP LOCKED)
RETURNING attempts, dead_at IS NOT NULL AS is_dead, kind
""")

LOCK = text("""
SELECT principal_id FROM outbox
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL AND dead_at IS NULL FOR UPDATE SKIP LOCKED
""")

DONE = text("""
UPDATE outbox SET done_at = :now, last_error = NULL WHERE tenant_id = :tenant AND id = :id
""")

FAIL = text("""
UPDATE outbox SET last_error = :error, available_at = :available_at
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL
""")

RESUME = text("""
UPDATE outbox SET attempts = 0, available_at = :now
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL RETURNING pg_notify('outbox', '')
""")

SUMMARY = text("""
SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(dead_at) AS dead,
       extract(epoch FROM CAST(:now AS timestamptz) - min(created_at) FILTER (WHERE dead_at IS NULL)) AS oldest_s
  FROM outbox WHERE done_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be sent now."""

    tenant_id: TenantId
    id: UUID


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that is about to begin: the how-many-eth, of what kind, and whether the row was given up instead."""

    number: int
    is_dead: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, over all tenants; ``oldest_s`` is the age of the oldest waiting row."""

    waiting: int
    dead: int
    oldest_s: float


def outbox_claim(tx: Tx, *, limit: int, now: datetime) -> Sequence[Due]:
    """Take rows of all tenants that are due and put off their next turn; any number of relays may do so at
    once.
    """
    parameters = {"now": now, "limit": limit, "resend_min": RESEND_MIN, "resend_max": RESEND_MAX}
    return [Due(TenantId(row.tenant_id), row.id) for row in tx.execute(CLAIM, parameters)]


def outbox_release(tx: Tx, rows: Sequence[Due], *, now: datetime) -> None:
    """Make rows due again that were claimed and could not be sent."""
    tenants, ids = [row.tenant_id for row in rows], [row.id for row in rows]
    tx.execute(RELEASE, {"tenants": tenants, "ids": ids, "now": now})


def outbox_begin(tx: Tx, outbox_id: UUID, *, now: datetime) -> Attempt | None:
    """Count an attempt; None when the row is done, given up, or in the hands of another worker this very
    moment.
    """
    parameters = {"tenant": tx.tenant_id, "id": outbox_id, "now": now, "attempts_max": ATTEMPTS_MAX}
    row = tx.execute(BEGIN, parameters).one_or_none()
    return None if row is None else Attempt(row.attempts, row.is_dead, row.kind)


def outbox_lock(tx: Tx, outbox_id: UUID) -> UUID | None:
    """Lock a row that is to be worked on and return its principal; None as in ``outbox_begin``."""
    found: UUID | None = tx.execute(LOCK, {"tenant": tx.tenant_id, "id": outbox_id}).scalar_one_or_none()
    return found


def outbox_done(tx: Tx, outbox_id: UUID, *, now: datetime) -> None:
    """Mark the row done, in the transaction that did the work."""
    tx.execute(DONE, {"tenant": tx.tenant_id, "id": outbox_id, "now": now})


def outbox_fail(tx: Tx, outbox_id: UUID, *, error: str, available_at: datetime) -> None:
    """Remember why an attempt failed and when the next one is due."""
    tx.execute(
        FAIL,
        {
            "tenant": tx.tenant_id,
            "id": outbox_id,
            "error": error[:ERROR_LENGTH_MAX],
            "available_at": available_at,
        },
    )


def outbox_resume(tx: Tx, outbox_id: UUID, *, now: datetime) -> None:
    """Let a row whose work got on, and is not done, be sent again at once."""
    tx.execute(RESUME, {"tenant": tx.tenant_id, "id": outbox_id, "now": now})


def outbox_backlog(tx: Tx, *, now: datetime) -> Backlog:
    """Return how much waits, over all tenants; for the relay's role."""
    row = tx.execute(SUMMARY, {"now": now}).one()
    return Backlog(row.waiting, row.dead, float(row.oldest_s or 0))
