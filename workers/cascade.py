"""What follows from a change: each row of the outbox is one principal to be brought in line, once, in its own
transaction, or other work that knows by itself what of it is done. A task carries ids only; running it again, or twice
at once, changes nothing."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

import structlog
from celery import Celery

from identity.actions.reconciliation import BEGINNING, Place
from identity.model.access import Caller, CallerKind
from identity.model.ids import TenantId
from identity.model.outbox import Progress
from identity.store import Tx
from identity.store.lifecycle import notices_insert
from identity.store.outbox import outbox_begin, outbox_done, outbox_fail, outbox_lock, outbox_resume
from workers.messages import RECONCILE

KIND = "reconcile"
RETRY_MIN_S = 2
RETRY_MAX_S = 900
ROUNDS_MAX = 500  # transactions for one row; what is left then is news of its own

NO_OTHERS: "Works" = MappingProxyType({})

Begin = Callable[[TenantId], AbstractContextManager[Tx]]

log = structlog.get_logger(__name__)


class Reconcile(Protocol):
    """What brings one principal in line with what is desired, a step at a time; it returns where to go on in another
    transaction, None when all is done.
    """

    def __call__(self, tx: Tx, principal_id: UUID, *, place: Place, caller: Caller, now: datetime) -> Place | None: ...


class Work(Protocol):
    """What does the work of a row of another kind, in transactions of its own, as far as it gets in its turn."""

    def __call__(self, tenant_id: TenantId, outbox_id: UUID) -> Progress: ...


Works = Mapping[str, Work]
"""By the kind of the row."""


def register_tasks(
    app: Celery, begin: Begin, reconcile: Reconcile, clock: Callable[[], datetime], works: Works
) -> None:
    """Give ``app`` the tasks that workers run."""

    @app.task(name=RECONCILE)  # type: ignore[untyped-decorator]
    def reconcile_task(tenant_id: str, outbox_id: str) -> None:
        tenant, row = TenantId(UUID(tenant_id)), UUID(outbox_id)
        with structlog.contextvars.bound_contextvars(tenant=tenant_id, outbox_id=outbox_id):
            settle(begin, reconcile, tenant, row, clock=clock, works=works)


def settle(
    begin: Begin,
    reconcile: Reconcile,
    tenant_id: TenantId,
    outbox_id: UUID,
    *,
    clock: Callable[[], datetime],
    works: Works = NO_OTHERS,
) -> None:
    """Do what a row asks for and mark it done; on failure remember why and when to try again."""
    with begin(tenant_id) as tx:
        attempt = outbox_begin(tx, outbox_id, now=clock())
    if attempt is None:
        return  # done already, or another worker is at it
    if attempt.is_dead:
        log.error("outbox_row_given_up", attempts=attempt.number)
        return
    try:
        if attempt.kind == KIND:
            _work(begin, reconcile, tenant_id, outbox_id, clock=clock)
        else:
            _carry_on(begin, works[attempt.kind], tenant_id, outbox_id, clock=clock)
    except Exception as error:
        log.exception("outbox_row_failed", attempt=attempt.number)
        pause = timedelta(seconds=min(RETRY_MIN_S * 2**attempt.number, RETRY_MAX_S))
        with begin(tenant_id) as tx:
            outbox_fail(tx, outbox_id, error=type(error).__name__, available_at=clock() + pause)


def _carry_on(begin: Begin, work: Work, tenant_id: TenantId, outbox_id: UUID, *, clock: Callable[[], datetime]) -> None:
    """Give long work its turn; what is not done then waits for the next, so that nobody's Bulk keeps others out."""
    progress = work(tenant_id, outbox_id)
    if progress is Progress.LEFT:
        return  # whoever is at it marks the row; if that one dies, the row is sent again
    with begin(tenant_id) as tx:
        if progress is Progress.DONE:
            outbox_done(tx, outbox_id, now=clock())
        else:
            outbox_resume(tx, outbox_id, now=clock())


def _work(
    begin: Begin, reconcile: Reconcile, tenant_id: TenantId, outbox_id: UUID, *, clock: Callable[[], datetime]
) -> None:
    place: Place | None = BEGINNING
    for round_ in range(ROUNDS_MAX):
        with begin(tenant_id) as tx:
            principal_id = outbox_lock(tx, outbox_id)
            if principal_id is None:
                return
            caller = Caller(CallerKind.WORKER, id="cascade", request_id=f"outbox:{outbox_id}")
            place = reconcile(tx, principal_id, place=place or BEGINNING, caller=caller, now=clock())
            if place is not None and round_ == ROUNDS_MAX - 1:
                notices_insert(tx, [principal_id], now=clock())
            elif place is not None:
                continue
            outbox_done(tx, outbox_id, now=clock())
            return
