"""How the operations of a Bulk are done and reported: what differs between a waiting client and a worker."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from identity.edge.tx import Tx
from identity.model.access import Caller
from identity.model.principal import Resource
from scim.bulk.request import BulkOperation

RESPONSE_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one operation, as it is answered."""

    operation: BulkOperation
    body: Json
    resource: Resource | None = None


def save_nothing(_tx: Tx, _caller: Caller, _reports: Sequence[Report], _now: datetime) -> None:
    """Save no reports: the client waits for the answer, which has them."""


@dataclass(frozen=True, slots=True)
class BulkContext:
    """How operations are done. ``authenticate`` is called for each, because a connection may end in between.

    ``save_reports`` writes reports in the transaction of the change. Where no client waits (``is_awaited`` is false) an
    operation raises ``Unavailable``, to be tried again, and has no report. ``prefix`` precedes the paths of operations
    in the provisioning log. Exceptions in ``aborts_on`` end the whole work, and are no fault of the operation.
    """

    open_transaction: Callable[[], AbstractContextManager[Tx]]
    clock: Callable[[], datetime]
    authenticate: Callable[[Tx, BulkOperation, datetime], Caller]
    save_reports: Callable[[Tx, Caller, Sequence[Report], datetime], None] = save_nothing
    is_awaited: bool = True
    prefix: str = "/Bulk"
    aborts_on: tuple[type[Exception], ...] = ()


def bulk_response(reports: Mapping[int, Json]) -> Json:
    """Return the BulkResponse (RFC 7644 §3.7.3), in the order of the request."""
    return {"schemas": [RESPONSE_SCHEMA], "Operations": [reports[index] for index in sorted(reports)]}
