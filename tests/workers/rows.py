"""Rows of the outbox, run in the thread of a test."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import UUID

from identity.model.ids import TenantId
from identity.store import OpenTransaction
from identity.store.outbox import Attempt
from workers import tasks
from workers.tasks import OutboxWorker

Reconcile = Callable[..., Any]
"""As ``reconcile_principal``."""


class OneByOne(OutboxWorker):
    """A worker that reconciles each row, also where there is nothing to change."""

    def _finish_settled_rows(self, tenant_id: TenantId, attempts: Sequence[Attempt]) -> Sequence[Attempt]:
        return attempts


def run_rows(
    open_transaction: OpenTransaction,
    tenant_id: TenantId,
    rows: Sequence[UUID],
    *,
    reconcile: Reconcile | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    works: Mapping[str, Callable[[TenantId, UUID], Any]] | None = None,
    worker: type[OutboxWorker] = OneByOne,
) -> None:
    """Run rows, with another function in the place of ``reconcile_principal`` if one is given."""
    replaced = nullcontext() if reconcile is None else patch.object(tasks, "reconcile_principal", reconcile)
    with replaced:
        worker(open_transaction, clock, works or {}).run_outbox_rows(tenant_id, rows)
