"""Asynchronous requests (RFC 9967 §2.5.1): accepted now, done later, read afterwards."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.access import Caller, CallerKind
from identity.model.async_request import (
    PENDING_MAX,
    PENDING_WAIT_S,
    RESULT_KEPT_H,
    AsyncRequest,
    AsyncResult,
    Report,
)
from identity.model.errors import NotAuthenticated, NotFound, RateLimited
from identity.model.event import Event
from identity.model.provisioning_event import ProvisioningEvent, RecordedProvisioningEvent
from identity.store import Tx
from identity.store.async_requests import (
    async_completion_find,
    async_reports_insert,
    async_request_claim,
    async_request_finish,
    async_request_insert,
    async_request_read,
    async_requests_pending,
    async_result_find,
)
from identity.store.connections import connection_lock
from identity.store.events import event_insert, provisioning_event_insert
from identity.store.provisioning_events import provisioning_event_get

PURPOSE = "async_request"


def accept_async_request(
    tx: Tx, content: bytes, *, encryption: EnvelopeEncryption, caller: Caller, now: datetime, wait_s: float = 0
) -> UUID:
    """Keep an encrypted request for the workers, who begin in ``wait_s`` seconds. Return its id.

    Raises ``RateLimited`` when too many of this connection are waiting already.
    """
    connection_id = _connection_of(caller)
    connection_lock(tx, connection_id)  # simultaneous requests are counted one after another
    if async_requests_pending(tx, connection_id) >= PENDING_MAX:
        raise RateLimited(f"{PENDING_MAX} asynchronous requests of this connection are waiting", wait_s=PENDING_WAIT_S)
    id_ = tx.new_id()
    sealed = encryption.encrypt(content, tenant_id=tx.tenant_id, purpose=f"{PURPOSE}:{id_}")
    async_request_insert(tx, id_, sealed, caller=caller, now=now, wait=timedelta(seconds=wait_s))
    event_insert(tx, Event(type="async_request.accepted", detail={"txn": str(id_)}), caller=caller, now=now)
    return id_


def get_async_result(tx: Tx, id_: UUID, *, caller: Caller, now: datetime) -> AsyncResult:
    """Return the result of the caller's own request. Raises ``NotFound``."""
    done_after = now - timedelta(hours=RESULT_KEPT_H)
    result = async_result_find(tx, id_, _connection_of(caller), done_after=done_after)
    if result is None:
        raise NotFound("no asynchronous request with this id")
    return result


def get_completion(tx: Tx, id_: UUID, index: int) -> RecordedProvisioningEvent:
    """Return the completion event of an operation, of a request that is the caller's. Raises ``NotFound``."""
    event_id = async_completion_find(tx, id_, index)
    event = None if event_id is None else provisioning_event_get(tx, event_id)
    if event is None:
        raise NotFound("no operation with this index, or it was not tried")
    return event


def open_async_request(tx: Tx, id_: UUID, *, encryption: EnvelopeEncryption) -> tuple[AsyncRequest, bytes] | None:
    """Return a request that is not done yet, and its content; None for one that is done or unknown."""
    request = async_request_read(tx, id_)
    if request is None:
        return None
    return request, encryption.decrypt(request.sealed, tenant_id=tx.tenant_id, purpose=f"{PURPOSE}:{id_}")


def claim_operation(tx: Tx, request: AsyncRequest, index: int, *, txn: str) -> Caller:
    """Return the caller of an operation, and keep other workers from it until this transaction ends.

    Raises ``AlreadyClaimed``; ``NotAuthenticated`` when the connection, its client or its tenant has ended meanwhile.
    """
    claim = async_request_claim(tx, request.id, index)
    if not claim.is_live:
        raise NotAuthenticated("the connection or the client that sent this request was ended")
    return replace(caller_of(request), dialect=claim.dialect, catalogue_version=claim.catalogue_version, txn=txn)


def caller_of(request: AsyncRequest) -> Caller:
    """Return the connection that sent the request, as the audit log names it."""
    return Caller(
        CallerKind.CONNECTION,
        str(request.connection_id),
        request.request_id,
        connection_id=request.connection_id,
        client_id=request.client_id,
        catalogue_version=request.catalogue_version,
    )


def report_operations(
    tx: Tx,
    request: AsyncRequest,
    reports: Mapping[int, Report],
    completions: Iterable[ProvisioningEvent],
    *,
    caller: Caller,
    now: datetime,
) -> None:
    """Write the reports of operations and their completion events, in the transaction of the change.

    Raises ``AlreadyClaimed``.
    """
    event_ids = provisioning_event_insert(tx, *completions, caller=caller, now=now)
    async_reports_insert(tx, request.id, reports, event_ids)


def finish_async_request(tx: Tx, request: AsyncRequest, *, now: datetime) -> None:
    """Write that a request is done: its content is deleted, its result can be read."""
    async_request_finish(tx, request.id, now=now)


def _connection_of(caller: Caller) -> UUID:
    if caller.connection_id is None:
        raise AssertionError("only a connection sends asynchronous requests")
    return caller.connection_id
