"""Sweeping: expired rows of every tenant, batch by batch, each batch in a transaction of its own."""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

import structlog

from identity.actions.retention import sweep_expired
from identity.actions.tenants import list_tenants
from identity.model.ids import PLATFORM, TenantId
from identity.store import OpenTransaction

PAGE = 200
BATCHES_MAX = 100  # of one tenant in one sweep: more than a source at its rate limit writes between two sweeps

log = structlog.get_logger(__name__)


def sweep_all(open_transaction: OpenTransaction, *, clock: Callable[[], datetime]) -> None:
    """Sweep every tenant. The failure of one is logged, and the others are swept all the same."""
    for tenant_id in every_tenant(open_transaction):
        try:
            sweep_tenant(open_transaction, tenant_id, clock=clock)
        except Exception:  # tried again at the next sweep
            log.exception("sweep_failed", tenant=str(tenant_id))


def every_tenant(open_transaction: OpenTransaction) -> Iterator[TenantId]:
    """Yield the platform, which keeps answers too, and then every tenant, page by page."""
    yield PLATFORM
    after: UUID | None = None
    while True:
        with open_transaction(PLATFORM) as tx:
            page = list_tenants(tx, after=after, limit=PAGE)
        yield from (tenant.id for tenant in page)
        if len(page) < PAGE:
            return
        after = page[-1].id


def sweep_tenant(open_transaction: OpenTransaction, tenant_id: TenantId, *, clock: Callable[[], datetime]) -> None:
    """Sweep one tenant, batch by batch."""
    for _ in range(BATCHES_MAX):
        with open_transaction(tenant_id) as tx:
            if not sweep_expired(tx, now=clock()):
                return
