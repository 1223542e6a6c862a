"""Requests whose answers nobody waits for, and what is reported of their operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from identity.model.access import Caller
from identity.model.async_request import OUTBOX_KIND, AlreadyClaimed, AsyncRequest, AsyncResult, Report
from identity.model.outbox import LONG
from identity.store.rows import row_reader
from identity.store.tables import async_reports
from identity.store.tx import Tx

# The row of the outbox has the id of the request, so whoever gets the one finds the other.
INSERT = text(f"""
WITH accepted AS (
    INSERT INTO async_requests (tenant_id, id, connection_id, client_id, request_id, sealed_body, created_at)
    VALUES (:tenant, :id, :connection, :client_id, :request_id, :sealed, :now))
INSERT INTO outbox (tenant_id, id, kind, priority, available_at) VALUES (:tenant, :id, :kind, {LONG}, now() + :wait)
""")

PENDING = text("""
SELECT count(*) FROM async_requests WHERE tenant_id = :tenant AND connection_id = :connection AND done_at IS NULL
""")

READ = text("""
SELECT a.id, a.connection_id, a.client_id, a.request_id, a.sealed_body AS sealed, t.catalogue_version,
       (SELECT jsonb_object_agg(r.place, r.report) FROM async_reports r
         WHERE r.tenant_id = :tenant AND r.async_request_id = a.id) AS reports
  FROM async_requests a JOIN tenants t ON t.tenant_id = :tenant
 WHERE a.tenant_id = :tenant AND a.id = :id AND a.done_at IS NULL
""")

RESULT = text("""
SELECT a.done_at IS NOT NULL AS is_done,
       (SELECT jsonb_object_agg(r.place, r.report) FROM async_reports r
         WHERE r.tenant_id = :tenant AND r.async_request_id = a.id AND a.done_at IS NOT NULL) AS reports
  FROM async_requests a
 WHERE a.tenant_id = :tenant AND a.id = :id AND a.connection_id = :connection
   AND (a.done_at IS NULL OR a.done_at > :done_after)
""")

COMPLETION = text("""
SELECT r.event_id FROM async_reports r
 WHERE r.tenant_id = :tenant AND r.async_request_id = :id AND r.place = :place
""")

CLAIM = text("""
SELECT c.dialect, t.catalogue_version,
       c.ended_at IS NULL AND t.state = 'active' AND NOT EXISTS (
            SELECT FROM clients k WHERE k.tenant_id = :tenant AND k.client_id = a.client_id
               AND k.revoked_at IS NOT NULL) AS is_live,
       EXISTS (SELECT FROM async_reports r
                WHERE r.tenant_id = :tenant AND r.async_request_id = :id AND r.place = :place) AS is_reported
  FROM async_requests a
  JOIN connections c ON c.tenant_id = :tenant AND c.id = a.connection_id
  JOIN tenants t ON t.tenant_id = :tenant
 WHERE a.tenant_id = :tenant AND a.id = :id AND a.done_at IS NULL FOR UPDATE OF a SKIP LOCKED
""")

FINISH = text("""
UPDATE async_requests SET done_at = :now, sealed_body = NULL
 WHERE tenant_id = :tenant AND id = :id AND done_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Claim:
    """The connection that asked, and the version of its tenant's catalogue, as they are now.

    ``is_live`` is whether it may still ask, itself or by the client that spoke for it.
    """

    dialect: str | None
    catalogue_version: int
    is_live: bool


REQUEST, ASYNC_RESULT, CLAIMED = row_reader(AsyncRequest), row_reader(AsyncResult), row_reader(Claim)


def async_request_insert(tx: Tx, id_: UUID, sealed: bytes, *, caller: Caller, now: datetime, wait: timedelta) -> None:
    """Write the request of a connection, and an outbox row that is due when ``wait`` is over."""
    key = {"tenant": tx.tenant_id, "id": id_, "kind": OUTBOX_KIND, "now": now, "wait": wait, "sealed": sealed}
    by = {"connection": caller.connection_id, "client_id": caller.client_id, "request_id": caller.request_id}
    tx.execute(INSERT, key | by)


def async_requests_pending(tx: Tx, connection_id: UUID) -> int:
    """Return how many requests of a connection are not done."""
    return int(tx.execute(PENDING, {"tenant": tx.tenant_id, "connection": connection_id}).scalar_one())


def async_request_read(tx: Tx, id_: UUID) -> AsyncRequest | None:
    """Return a request that is not done, with what is reported of it."""
    row = tx.execute(READ, {"tenant": tx.tenant_id, "id": id_}).one_or_none()
    return None if row is None else REQUEST(row)


def async_result_find(tx: Tx, id_: UUID, connection_id: UUID, *, done_after: datetime) -> AsyncResult | None:
    """Return what became of a connection's own request, unless it was done so long ago that it is forgotten."""
    parameters = {"tenant": tx.tenant_id, "id": id_, "connection": connection_id, "done_after": done_after}
    row = tx.execute(RESULT, parameters).one_or_none()
    return None if row is None else ASYNC_RESULT(row)


def async_completion_find(tx: Tx, id_: UUID, place: int) -> UUID | None:
    """Return the id of the event that tells of an operation."""
    found: UUID | None = tx.execute(COMPLETION, {"tenant": tx.tenant_id, "id": id_, "place": place}).scalar()
    return found


def async_request_claim(tx: Tx, id_: UUID, place: int) -> Claim:
    """Hold a request until the transaction ends, for the operation at ``place``. Raises ``AlreadyClaimed``."""
    row = tx.execute(CLAIM, {"tenant": tx.tenant_id, "id": id_, "place": place}).one_or_none()
    if row is None or row.is_reported:
        raise AlreadyClaimed
    return CLAIMED(row)


def async_reports_insert(tx: Tx, id_: UUID, reports: Mapping[int, Report], event_ids: Sequence[UUID]) -> None:
    """Write what became of operations, with what they changed. Raises ``AlreadyClaimed``: no operation is done twice.

    ``event_ids`` are those of the events that tell of them.
    """
    key = {"tenant_id": tx.tenant_id, "async_request_id": id_}
    rows = [
        {**key, "place": place, "report": dict(report), "event_id": event_id}
        for (place, report), event_id in zip(reports.items(), event_ids, strict=True)
    ]
    try:
        tx.execute(insert(async_reports), rows)
    except IntegrityError as error:
        raise AlreadyClaimed from error


def async_request_finish(tx: Tx, id_: UUID, *, now: datetime) -> None:
    """Write that nothing more will be done of a request, and forget what it asked for."""
    tx.execute(FINISH, {"tenant": tx.tenant_id, "id": id_, "now": now})
