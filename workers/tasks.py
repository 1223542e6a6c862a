"""The tasks of workers: one runs rows of the outbox, the other sweeps.

A task carries ids only. Running it again, or twice at once, changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import Celery

from identity.actions.reconciliation import BEGINNING, reconcile_principal
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.outbox import RECONCILE, Progress
from identity.store import OpenTransaction
from identity.store.lifecycle import notices_insert
from identity.store.outbox import (
    Attempt,
    outbox_begin,
    outbox_done,
    outbox_fail,
    outbox_hold,
    outbox_lock,
    outbox_resume,
)
from identity.store.settled import settled_observe
from workers.messages import RUN_OUTBOX_ROWS, SWEEP
from workers.sweep import sweep_all

RETRY_MIN_S = 2
RETRY_MAX_S = 900
STEPS_MAX = 500
"""Transactions of one run of a row. The steps that are left then get a new row."""

log = structlog.get_logger(__name__)


def register_tasks(app: Celery, open_transaction: OpenTransaction, clock: Callable[[], datetime]) -> None:
    """Give ``app`` the tasks of the two messages that relays send. Two sweeps at once do no harm."""
    worker = OutboxWorker(open_transaction, clock, app.tasks)

    @app.task(name=RUN_OUTBOX_ROWS)  # type: ignore[untyped-decorator]
    def run_outbox_rows(tenant_id: str, *outbox_ids: str) -> None:
        with structlog.contextvars.bound_contextvars(tenant=tenant_id):
            worker.run_outbox_rows(TenantId(UUID(tenant_id)), [UUID(id_) for id_ in outbox_ids])

    @app.task(name=SWEEP)  # type: ignore[untyped-decorator]
    def sweep() -> None:
        sweep_all(open_transaction, clock=clock)


@dataclass(frozen=True, slots=True)
class OutboxWorker:
    """Runs rows of the outbox.

    A row of the kind ``reconcile`` is done here. The kind of any other row is the name of the Celery task that does
    it: ``tasks`` is the registry of the application. That task returns how far it got, and runs in the same process:
    relays send ``RUN_OUTBOX_ROWS`` for rows of every kind. Workers of an earlier version, which run beside these during
    an upgrade, accept no other name, and relays of an earlier version send no other.
    """

    open_transaction: OpenTransaction
    clock: Callable[[], datetime]
    tasks: Mapping[str, Callable[[TenantId, UUID], Progress]]

    def run_outbox_rows(self, tenant_id: TenantId, outbox_ids: Sequence[UUID]) -> None:
        """Do the work of rows of one tenant and mark them done; of a failure, keep its reason and the next time."""
        with self.open_transaction(tenant_id) as tx:
            attempts = outbox_begin(tx, outbox_ids)  # without rows that are done, or in the hands of another worker
        for dead in (attempt for attempt in attempts if attempt.is_dead):
            log.error("outbox_row_given_up", outbox_id=str(dead.id), attempts=dead.number)
        left = self._finish_settled_rows(tenant_id, [attempt for attempt in attempts if not attempt.is_dead])
        for position, attempt in enumerate(left, 1):
            self._run_outbox_row(tenant_id, attempt, [other.id for other in left[position:]])

    def _finish_settled_rows(self, tenant_id: TenantId, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
        """Mark done, in one transaction, the rows of principals with nothing to change; return the other rows."""
        principals = {each.id: each.principal_id for each in attempts if each.kind == RECONCILE and each.principal_id}
        if not principals:
            return attempts
        try:
            with self.open_transaction(tenant_id) as tx:
                held = outbox_lock(tx, list(principals))
                settled = settled_observe(tx, [principals[id_] for id_ in held])
                done = {id_ for id_ in held if principals[id_] in settled}
                outbox_done(tx, done)
        except Exception:  # the run of the row that is at fault fails once more, alone
            log.exception("outbox_batch_failed", rows=len(principals))
            return attempts
        return [attempt for attempt in attempts if attempt.id not in done]

    def _run_outbox_row(self, tenant_id: TenantId, attempt: Attempt, waiting_ids: Sequence[UUID]) -> None:
        with structlog.contextvars.bound_contextvars(outbox_id=str(attempt.id)):
            try:
                if attempt.kind == RECONCILE:
                    self._reconcile(tenant_id, attempt, waiting_ids)
                else:
                    progress = self.tasks[attempt.kind](tenant_id, attempt.id)
                    self._finish_or_continue_later(tenant_id, attempt.id, progress)
            except Exception as error:
                log.exception("outbox_row_failed", attempt=attempt.number)
                pause = timedelta(seconds=min(RETRY_MIN_S * 2**attempt.number, RETRY_MAX_S))
                with self.open_transaction(tenant_id) as tx:
                    outbox_fail(tx, attempt.id, error=type(error).__name__, pause=pause)

    def _finish_or_continue_later(self, tenant_id: TenantId, outbox_id: UUID, progress: Progress) -> None:
        """Mark a row done, or send it again behind the others: so one tenant's Bulk keeps no other tenant waiting."""
        if progress is Progress.CLAIMED_ELSEWHERE:
            return  # the other worker marks the row; if that worker dies, the row is sent again
        with self.open_transaction(tenant_id) as tx:
            if progress is Progress.DONE:
                outbox_done(tx, [outbox_id])
            else:
                outbox_resume(tx, outbox_id)

    def _reconcile(self, tenant_id: TenantId, attempt: Attempt, waiting_ids: Sequence[UUID]) -> None:
        """Reconcile a principal step by step. Each step is a transaction that holds the row; the rows that wait in the
        same task are held now and then.
        """
        if attempt.principal_id is None:
            raise LookupError("a row without a principal has nothing to reconcile")
        caller = Caller(CallerKind.WORKER, id="cascade", request_id=f"outbox:{attempt.id}")
        position = BEGINNING
        for step in range(1, STEPS_MAX + 1):
            with self.open_transaction(tenant_id) as tx:
                if not outbox_hold(tx, attempt.id, waiting_ids):
                    return
                following = reconcile_principal(
                    tx, attempt.principal_id, position=position, caller=caller, now=self.clock()
                )
                if following is not None and step < STEPS_MAX:
                    position = following
                    continue
                if following is not None:
                    notices_insert(tx, [attempt.principal_id])
                outbox_done(tx, [attempt.id])
                return
