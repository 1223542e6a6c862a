"""Sweeping: every tenant in turn, a batch at a time, each batch in its own transaction."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

import structlog
from celery import Celery

from identity.actions.retention import sweep_expired
from identity.actions.tenants import list_tenants
from identity.model.ids import PLATFORM, TenantId
from identity.store import Tx
from workers.messages import SWEEP

PAGE = 200
BATCHES_MAX = 100  # of one tenant in one go: more than a source at its rate limit writes between two sweeps

Begin = Callable[[TenantId], AbstractContextManager[Tx]]

log = structlog.get_logger(__name__)


def register_sweep(app: Celery, begin: Begin, clock: Callable[[], datetime]) -> None:
    """Give ``app`` the sweeping task. Two at once do no harm: each deletes what it finds."""

    @app.task(name=SWEEP)  # type: ignore[untyped-decorator]
    def sweep_task() -> None:
        sweep_all(begin, clock=clock)


def sweep_all(begin: Begin, *, clock: Callable[[], datetime]) -> None:
    """Sweep every tenant; one that fails is logged and does not keep the others from being swept."""
    for tenant_id in every_tenant(begin):
        try:
            sweep_tenant(begin, tenant_id, clock=clock)
        except Exception:  # tried again at the next sweep
            log.exception("sweep_failed", tenant=str(tenant_id))


def every_tenant(begin: Begin) -> Iterator[TenantId]:
    """Yield the platform, which keeps answers too, and then every tenant, page by page."""
    yield PLATFORM
    after: UUID | None = None
    while True:
        with begin(PLATFORM) as tx:
            page = list_tenants(tx, after=after, limit=PAGE)
        yield from (tenant.id for tenant in page)
        if len(page) < PAGE:
            return
        after = page[-1].id


def sweep_tenant(begin: Begin, tenant_id: TenantId, *, clock: Callable[[], datetime]) -> None:
    """Sweep one tenant, batch by batch."""
    for _ in range(BATCHES_MAX):
        with begin(tenant_id) as tx:
            if not sweep_expired(tx, now=clock()):
                return
