"""Do an asynchronous request (RFC 9967 §2.5.1): operation by operation, each exactly once. No Flask here.

The change of an operation, its report and its completion event are written in one transaction, and the report's key is
unique. So after a worker was killed another goes on behind the last report.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from identity.actions.async_requests import (
    caller_of,
    claim_operation,
    finish_async_request,
    open_async_request,
    report_operations,
)
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.edge.tx import Tx
from identity.model.access import Caller
from identity.model.async_request import OUTBOX_KIND, AlreadyClaimed, AsyncRequest
from identity.model.ids import TenantId
from identity.model.outbox import Progress
from identity.model.provisioning_event import EventUri, ProvisioningEvent
from identity.model.provisioning_log import text_of
from scim.bulk.context import BulkContext, Report
from scim.bulk.execute import BulkWork
from scim.bulk.request import Bulk, BulkOperation, parse_bulk
from scim.resource.locations import Endpoints
from scim.schema.catalogue import Catalogue, catalogue_of

if TYPE_CHECKING:
    from celery import Celery

TURN_S = 1.0
"""After how long a run ends by itself and waits for its next turn: well before the soft limit of the shortest
visibility timeout (3 s of 5 s), and so soon that urgent rows never wait long behind a Bulk."""

Begin = Callable[[], AbstractContextManager[Tx]]


def register_async_requests(
    app: "Celery",
    open_transaction: Callable[[TenantId], AbstractContextManager[Tx]],
    encryption: Callable[[], EnvelopeEncryption],
    clock: Callable[[], datetime],
) -> None:
    """Give ``app`` the task that does asynchronous requests. Its name is the kind of their rows in the outbox."""
    from celery.exceptions import SoftTimeLimitExceeded  # noqa: PLC0415 - web processes run without Celery

    @app.task(name=OUTBOX_KIND)  # type: ignore[untyped-decorator]
    def run_async_request(tenant_id: TenantId, request_id: UUID) -> Progress:
        ends_at = time.monotonic() + TURN_S
        return perform(
            partial(open_transaction, tenant_id),
            request_id,
            encryption=encryption(),
            clock=clock,
            until=lambda: time.monotonic() >= ends_at,
            interrupts=(SoftTimeLimitExceeded,),
        )


@dataclass(frozen=True, slots=True)
class AcceptedRequest:
    """A BulkRequest that was accepted; a single PATCH is one of a single operation, with ``is_bulk`` false."""

    body: Mapping[str, Any]
    base_url: str
    is_bulk: bool

    def encoded(self) -> bytes:
        """Return this as JSON, to be encrypted."""
        members = {"body": self.body, "base_url": self.base_url, "is_bulk": self.is_bulk}
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()

    def bulk(self, catalogue: Catalogue) -> Bulk:
        """Return the operations. The texts of a single PATCH are no ``bulkId`` references, whatever they look like."""
        bulk = parse_bulk(self.body, catalogue)
        if self.is_bulk:
            return bulk
        return replace(bulk, operations=tuple(replace(each, references=frozenset()) for each in bulk.operations))


def perform(
    begin: Begin,
    id_: UUID,
    *,
    encryption: EnvelopeEncryption,
    clock: Callable[[], datetime],
    until: Callable[[], bool],
    interrupts: tuple[type[Exception], ...] = (),
) -> Progress:
    """Do the rest of an accepted request, whole operations until ``until``.

    Raises ``Unavailable``, and ``interrupts``, which end no operation but this run of it: the next one goes on.
    """
    with begin() as tx:
        opened = open_async_request(tx, id_, encryption=encryption)
        if opened is None:
            return Progress.DONE
        request, content = opened
        catalogue = catalogue_of(tx, caller_of(request))
    accepted = AcceptedRequest(**json.loads(content))
    work = _Execution(request, accepted).work(begin, clock, catalogue, (AlreadyClaimed, *interrupts))
    try:
        if not work.do(until):
            return Progress.MORE
    except AlreadyClaimed:
        return Progress.CLAIMED_ELSEWHERE
    with begin() as tx:
        finish_async_request(tx, request, now=clock())
    return Progress.DONE


@dataclass(frozen=True, slots=True)
class _Execution:
    """How the operations of an accepted request are claimed and reported."""

    request: AsyncRequest
    accepted: AcceptedRequest

    def work(
        self, begin: Begin, clock: Callable[[], datetime], catalogue: Catalogue, aborts_on: tuple[type[Exception], ...]
    ) -> BulkWork:
        """Return the work, with the reports of the operations that are done."""
        prefix = "/Bulk" if self.accepted.is_bulk else ""
        context = BulkContext(
            begin, clock, self.claim, self.report, is_awaited=False, prefix=prefix, aborts_on=aborts_on
        )
        endpoints = Endpoints(self.accepted.base_url, catalogue)
        work = BulkWork(context, endpoints, self.accepted.bulk(catalogue), caller_of(self.request))
        work.remember({index: dict(report) for index, report in self.request.reports.items()})
        return work

    def claim(self, tx: Tx, operation: BulkOperation, _now: datetime) -> Caller:
        """Return the connection that sent an operation, and keep other workers from it. Raises ``AlreadyClaimed``."""
        return claim_operation(tx, self.request, operation.index, txn=self._txn(operation))

    def report(self, tx: Tx, caller: Caller, reports: Sequence[Report], now: datetime) -> None:
        """Write reports and completion events in the transaction of the change. Raises ``AlreadyClaimed``."""
        by_index = {report.operation.index: report.body for report in reports}
        report_operations(tx, self.request, by_index, map(self._completion, reports), caller=caller, now=now)

    def _txn(self, operation: BulkOperation) -> str:
        """Return the ``txn`` of an operation (RFC 9967 §2.5.1.2)."""
        return f"{self.request.txn}:{operation.index}" if self.accepted.is_bulk else self.request.txn

    def _completion(self, report: Report) -> ProvisioningEvent:
        """Return the completion event of an operation: its report is the payload (RFC 9967 §2.5.1.3)."""
        path = report.body.get("location", report.operation.path).removeprefix(self.accepted.base_url)
        external_id = None if report.resource is None else report.resource.principal.external_id
        txn = self._txn(report.operation)
        return ProvisioningEvent(EventUri.ASYNC_RESPONSE, text_of(path), report.body, external_id, txn)
