"""Do what was asked for asynchronously (RFC 9967 §2.5.1): operation by operation, each exactly once.

What an operation changes, its report and the event that tells of its completion are one transaction, and the report's
key lets nobody write it twice. So whoever is killed is followed by another who goes on behind the last report.
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
from identity.edge.call import Call
from identity.edge.runtime import Tx
from identity.model.access import Caller
from identity.model.async_request import OUTBOX_KIND, AlreadyClaimed, AsyncRequest
from identity.model.ids import TenantId
from identity.model.outbox import Progress
from identity.model.provisioning_event import EventUri, ProvisioningEvent
from identity.model.provisioning_log import text_of
from scim.bulk.execute import BulkContext, BulkWork, Report
from scim.bulk.request import Bulk, BulkOperation, parse_bulk
from scim.resource.locations import Endpoints
from scim.schema.catalogue import Catalogue, catalogue_of

if TYPE_CHECKING:
    from celery import Celery

TURN_S = 1.0
"""After how long a run ends by itself and waits for its next turn: well before the soft limit of the shortest
visibility timeout (3 s of 5 s), and so soon that urgent rows never wait long behind a Bulk."""

Begin = Callable[[], AbstractContextManager[Tx]]
Json = dict[str, Any]


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
class Asked:
    """What was asked for, as a Bulk: a single request is one of a single operation."""

    body: Mapping[str, Any]
    base_url: str
    is_bulk: bool

    def written(self) -> bytes:
        """Return this as bytes, to be sealed."""
        asked = {"body": self.body, "base_url": self.base_url, "is_bulk": self.is_bulk}
        return json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()


def perform(
    begin: Begin,
    id_: UUID,
    *,
    encryption: EnvelopeEncryption,
    clock: Callable[[], datetime],
    until: Callable[[], bool],
    interrupts: tuple[type[Exception], ...] = (),
) -> Progress:
    """Do what is left to do of an accepted request, whole operations until ``until``.

    Raises ``Unavailable``, and ``interrupts``, which end no operation but this run of it: the next one goes on.
    """
    with begin() as tx:
        opened = open_async_request(tx, id_, encryption=encryption)
        if opened is None:
            return Progress.DONE
        request, sealed = opened
        catalogue = catalogue_of(Call(tx, caller_of(request), clock()))
    asked = Asked(**json.loads(sealed))
    endpoints, bulk = Endpoints(asked.base_url, catalogue), _parsed(asked, catalogue)
    ground = _ground(begin, request, asked, clock, (AlreadyClaimed, *interrupts))
    work = BulkWork(ground, endpoints, bulk, caller_of(request))
    work.remember({place: dict(report) for place, report in request.reports.items()})
    try:
        if not work.do(until):
            return Progress.MORE
    except AlreadyClaimed:
        return Progress.CLAIMED_ELSEWHERE
    with begin() as tx:
        finish_async_request(tx, request, now=clock())
    return Progress.DONE


def _parsed(asked: Asked, catalogue: Catalogue) -> Bulk:
    """Return the operations; one that is no Bulk's refers to nobody by ``bulkId``, whatever its texts look like."""
    bulk = parse_bulk(asked.body, catalogue)
    if asked.is_bulk:
        return bulk
    return replace(bulk, operations=tuple(replace(each, references=frozenset()) for each in bulk.operations))


def _ground(
    begin: Begin,
    request: AsyncRequest,
    asked: Asked,
    clock: Callable[[], datetime],
    interrupts: tuple[type[Exception], ...],
) -> BulkContext:
    def txn(operation: BulkOperation) -> str:
        return f"{request.txn}:{operation.place}" if asked.is_bulk else request.txn  # RFC 9967 §2.5.1.2

    def who(tx: Tx, operation: BulkOperation, _now: datetime) -> Caller:
        return claim_operation(tx, request, operation.place, txn=txn(operation))

    def keep(tx: Tx, caller: Caller, reports: Sequence[Report], now: datetime) -> None:
        told = [_completion(report, txn(report.operation), asked.base_url) for report in reports]
        by_place = {report.operation.place: report.body for report in reports}
        report_operations(tx, request, by_place, told, caller=caller, now=now)

    prefix = "/Bulk" if asked.is_bulk else ""
    return BulkContext(begin, clock, who, keep, is_awaited=False, prefix=prefix, interrupts=interrupts)


def _completion(report: Report, txn: str, base_url: str) -> ProvisioningEvent:
    """Return the completion event of an operation: its report is the payload (RFC 9967 §2.5.1.3)."""
    path = report.body.get("location", report.operation.path).removeprefix(base_url)
    external_id = None if report.resource is None else report.resource.principal.external_id
    return ProvisioningEvent(EventUri.ASYNC_RESPONSE, text_of(path), report.body, external_id, txn)
