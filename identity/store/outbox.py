"""The outbox: work for the workers, written in the transaction that causes it, sent later and more than once.

The relay claims rows tenant by tenant and sends them until they are done. A worker counts an attempt before it begins,
so that work which kills its worker is counted too, and marks the row done in the transaction that does the work. Every
time here is of the database's clock: web, relay and worker may disagree about theirs.

``sent_at`` says since when the broker has had a row; it is empty while a worker has it, and while it is not due.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, text

from identity.model.ids import TenantId
from identity.model.outbox import OutboxRow, OutboxState
from identity.store.rows import RowMapper, row_reader
from identity.store.tables import outbox
from identity.store.tx import Tx

ATTEMPTS_MAX = 12
LEASE = timedelta(seconds=4)
"""A row that was sent, or that a worker has begun, is due again after this time."""

LOST_AFTER = timedelta(seconds=20)
"""A row is sent again after this time though other messages wait in the broker, and its own may be among them."""

ERROR_LENGTH_MAX = 300

OPEN = "done_at IS NULL AND dead_at IS NULL"

IS_OPEN = "(done_at IS NULL) IS TRUE AND (dead_at IS NULL) IS TRUE"
"""The same where rows are looked up by id: written like this it names no index, in which every open row of a tenant
would be read."""

# Within one tenant, so that no statement locks rows of two.
CLAIM = text(f"""
UPDATE outbox SET sent_at = coalesce(sent_at, now()), available_at = now() + :lease * (1 + random() / 4)
 WHERE tenant_id = :tenant AND id = ANY (ARRAY(
    SELECT id FROM outbox
     WHERE tenant_id = :tenant AND priority = :priority AND {OPEN} AND available_at <= now()
       AND (sent_at IS NULL OR :is_idle OR sent_at < now() - :lost_after)
     ORDER BY available_at LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING id, attempts
""")

TENANTS_DUE = text(f"SELECT tenant_id FROM outbox WHERE {OPEN} AND available_at <= now() GROUP BY tenant_id")

RELEASE = text("""
UPDATE outbox SET sent_at = NULL, available_at = now()
 WHERE tenant_id = :tenant AND id = ANY (:ids) AND done_at IS NULL
""")

BEGIN = text(f"""
UPDATE outbox SET attempts = attempts + 1, sent_at = NULL, available_at = now() + :lease,
       dead_at = CASE WHEN attempts >= :attempts_max THEN now() END
 WHERE tenant_id = :tenant AND id = ANY (ARRAY(
    SELECT id FROM outbox WHERE tenant_id = :tenant AND id = ANY (:ids) AND {IS_OPEN} FOR UPDATE SKIP LOCKED))
RETURNING id, principal_id, attempts AS number, dead_at IS NOT NULL AS is_dead, kind
""")

LOCK = text(f"""
SELECT id, available_at < now() + :lease * 0.75 AS is_spent
  FROM outbox WHERE tenant_id = :tenant AND id = ANY (:ids) AND {IS_OPEN} FOR UPDATE SKIP LOCKED
""")

RENEW = text(f"""
UPDATE outbox SET available_at = now() + :lease
 WHERE tenant_id = :tenant AND id = ANY (ARRAY(
    SELECT id FROM outbox WHERE tenant_id = :tenant AND id = ANY (:ids) AND {IS_OPEN} FOR UPDATE SKIP LOCKED))
""")

DONE = text("UPDATE outbox SET done_at = now(), last_error = NULL WHERE tenant_id = :tenant AND id = ANY (:ids)")

FAIL = text("""
UPDATE outbox SET last_error = :error, sent_at = NULL, available_at = now() + :pause
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL
""")

RESUME = text("""
UPDATE outbox SET attempts = 0, sent_at = NULL, available_at = now()
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL RETURNING pg_notify('outbox', CAST(:tenant AS text))
""")

SUMMARY = text("""
SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(dead_at) AS dead,
       coalesce(CAST(extract(epoch FROM now() - min(created_at) FILTER (WHERE dead_at IS NULL)) AS float), 0)
           AS oldest_s
  FROM outbox WHERE done_at IS NULL
""")

IS_UNTAKEN = text(f"""
SELECT EXISTS (SELECT FROM outbox WHERE {OPEN} AND sent_at < now() - :age) AS is_untaken
""")


@dataclass(frozen=True, slots=True)
class Claimed:
    """Rows of one tenant that are to be sent now. Those in ``retried`` were begun before, by a worker that died or
    failed: each goes alone.
    """

    tenant_id: TenantId
    fresh: tuple[UUID, ...]
    retried: tuple[UUID, ...] = ()

    @property
    def ids(self) -> tuple[UUID, ...]:
        """All of them."""
        return self.fresh + self.retried

    def messages(self) -> list["Batch"]:
        """Return what is sent together."""
        together = [Batch(self.tenant_id, self.fresh)] if self.fresh else []
        return [*together, *(Batch(self.tenant_id, (id_,)) for id_ in self.retried)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one tenant that one message names."""

    tenant_id: TenantId
    ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run that is about to begin: of which row, the how-many-eth, of what kind, and whether the row was given up
    instead. ``principal_id`` is None where the work is not about a principal.
    """

    id: UUID
    principal_id: UUID | None
    number: int
    is_dead: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """The rows that wait or were given up, over all tenants; ``oldest_s`` is the age of the oldest waiting row."""

    waiting: int
    dead: int
    oldest_s: float


ATTEMPT, BACKLOG = row_reader(Attempt), row_reader(Backlog)


STATES: dict[OutboxState, ColumnElement[bool]] = {
    OutboxState.WAITING: outbox.c.done_at.is_(None) & outbox.c.dead_at.is_(None),
    OutboxState.DEAD: outbox.c.done_at.is_(None) & outbox.c.dead_at.is_not(None),
    OutboxState.DONE: outbox.c.done_at.is_not(None),
}
OUTBOX = RowMapper(outbox, OutboxRow, state=case(*((is_in, state.value) for state, is_in in STATES.items())))


def outbox_tenants_due(tx: Tx) -> list[TenantId]:
    """Return the tenants that have rows which are due; for the relay's role."""
    return [TenantId(id_) for id_ in tx.execute(TENANTS_DUE).scalars()]


def outbox_claim(tx: Tx, tenant_id: TenantId, *, priority: int, limit: int, is_idle: bool) -> Claimed:
    """Take rows of one tenant that are due, oldest first, and put off their next turn; any number of relays may do so
    at once. For the relay's role. While messages wait in the broker (it is not ``is_idle``), what was sent is there.
    """
    parameters = {
        "tenant": tenant_id,
        "priority": priority,
        "limit": limit,
        "lease": LEASE,
        "lost_after": LOST_AFTER,
        "is_idle": is_idle,
    }
    rows = tx.execute(CLAIM, parameters).all()
    fresh = tuple(row.id for row in rows if not row.attempts)
    return Claimed(tenant_id, fresh, tuple(row.id for row in rows if row.attempts))


def outbox_release(tx: Tx, batch: Batch) -> None:
    """Make rows due again that were claimed and could not be sent."""
    tx.execute(RELEASE, {"tenant": batch.tenant_id, "ids": list(batch.ids)})


def outbox_begin(tx: Tx, ids: Sequence[UUID]) -> list[Attempt]:
    """Count an attempt of each row, in the order of ``ids``; left out are those that are done, given up, or in the
    hands of another worker this very moment.
    """
    parameters = {"tenant": tx.tenant_id, "ids": list(ids), "attempts_max": ATTEMPTS_MAX, "lease": LEASE}
    begun = {row.id: row for row in tx.execute(BEGIN, parameters)}
    found = (begun[id_] for id_ in dict.fromkeys(ids) if id_ in begun)
    return list(map(ATTEMPT, found))


def outbox_lock(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Lock rows for this transaction, and return those that no other worker is at and that are not done."""
    return {row.id for row in tx.execute(LOCK, {"tenant": tx.tenant_id, "ids": list(ids), "lease": LEASE})}


def outbox_hold(tx: Tx, outbox_id: UUID, others: Sequence[UUID]) -> bool:
    """Lock a row for a step of its work; False where it is done, or another worker is at it.

    When a quarter of its ``LEASE`` is spent it gets a new one, with the ``others`` that wait for this worker: not with
    each step, for every renewal is a new version of each row in three indexes.
    """
    row = tx.execute(LOCK, {"tenant": tx.tenant_id, "ids": [outbox_id], "lease": LEASE}).one_or_none()
    if row is not None and row.is_spent:
        tx.execute(RENEW, {"tenant": tx.tenant_id, "ids": [outbox_id, *others], "lease": LEASE})
    return row is not None


def outbox_done(tx: Tx, ids: Iterable[UUID]) -> None:
    """Mark rows done, in the transaction that did the work."""
    tx.execute(DONE, {"tenant": tx.tenant_id, "ids": list(ids)})


def outbox_fail(tx: Tx, outbox_id: UUID, *, error: str, pause: timedelta) -> None:
    """Remember why an attempt failed, and let the next one wait."""
    parameters = {"tenant": tx.tenant_id, "id": outbox_id, "error": error[:ERROR_LENGTH_MAX], "pause": pause}
    tx.execute(FAIL, parameters)


def outbox_resume(tx: Tx, outbox_id: UUID) -> None:
    """Let a row whose work got on, and is not done, be sent again at once."""
    tx.execute(RESUME, {"tenant": tx.tenant_id, "id": outbox_id})


def outbox_backlog(tx: Tx) -> Backlog:
    """Return how much waits, over all tenants; for the relay's role."""
    return BACKLOG(tx.execute(SUMMARY).one())


def outbox_is_untaken(tx: Tx, *, age: timedelta) -> bool:
    """Return whether the broker has had a row for longer than ``age`` that no worker has begun (the relay's role)."""
    return bool(tx.execute(IS_UNTAKEN, {"age": age}).scalar_one())


# --- rows as an administrator sees them ------------------------------------------------------------------------


def outbox_list(tx: Tx, state: OutboxState, *, after: UUID | None, limit: int) -> list[OutboxRow]:
    """Return at most ``limit`` rows in one state, oldest first."""
    return OUTBOX.page(tx, STATES[state], key=outbox.c.id, after=after, limit=limit)


def outbox_lock_any(tx: Tx, outbox_id: UUID) -> OutboxRow | None:
    """Return one row in whatever state, and hold it until the transaction ends."""
    statement = (
        select(*OUTBOX.columns).where(outbox.c.tenant_id == tx.tenant_id, outbox.c.id == outbox_id).with_for_update()
    )
    return OUTBOX.first(tx.execute(statement))


def outbox_replay(tx: Tx, outbox_id: UUID) -> OutboxRow:
    """Let a locked row begin anew at once, and wake the relay when this commits."""
    tx.execute(select(func.pg_notify("outbox", str(tx.tenant_id))))
    anew = {"dead_at": None, "attempts": 0, "sent_at": None, "available_at": func.now()}
    return OUTBOX.update_locked(tx, outbox.c.id == outbox_id, **anew)


def outbox_discard(tx: Tx, outbox_id: UUID) -> OutboxRow:
    """Close a locked row without its work."""
    return OUTBOX.update_locked(tx, outbox.c.id == outbox_id, done_at=func.now())
