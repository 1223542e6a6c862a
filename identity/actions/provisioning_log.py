"""The provisioning log: what a source asked, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from identity.actions.connections import get_connection
from identity.model.access import Caller
from identity.model.provisioning_log import RecordedRequest, Request, RequestOutcome
from identity.model.selection import EVER, Order, Span
from identity.store import Tx
from identity.store.provisioning_log import request_insert, request_list


def record_request(tx: Tx, request: Request, *, caller: Caller, now: datetime) -> None:
    """Write what became of a request: in the transaction of its change, or in its own when there was none."""
    request_insert(tx, request, caller=caller, now=now)


def list_requests(
    tx: Tx,
    connection_id: UUID,
    *,
    principal_id: UUID | None = None,
    name: str | None = None,
    outcome: RequestOutcome | None = None,
    span: Span = EVER,
    order: Order = Order.ASCENDING,
    after: UUID | None = None,
    limit: int,
) -> Sequence[RecordedRequest]:
    """Return one page of a connection's log. Raises ``NotFound``."""
    get_connection(tx, connection_id)
    return request_list(
        tx,
        connection_id,
        principal_id=principal_id,
        name=name,
        outcome=outcome,
        span=span,
        order=order,
        after=after,
        limit=limit,
    )
