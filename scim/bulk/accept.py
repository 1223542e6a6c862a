"""Answer before the work is done, for whoever prefers that (RFC 9967 §2.5.1): a Bulk, or a large PATCH."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, request

from identity.actions.async_requests import accept_async_request, get_async_result, get_completion
from identity.actions.provisioning_events import sign_provisioning_event
from identity.edge.call import Call
from identity.edge.runtime import open_transaction, runtime
from identity.model.access import Caller
from identity.model.async_request import AsyncResult
from identity.model.errors import NotFound, Unavailable
from identity.model.ids import TenantId, parse_id
from identity.model.provisioning_event import TYP, RecordedProvisioningEvent
from identity.model.tenant import issuer_of
from scim.bulk.execute import bulk_response
from scim.bulk.preferences import Preferences, parse_preferences
from scim.bulk.request import REQUEST_SCHEMA
from scim.bulk.tasks import Asked, perform
from scim.limits import ASYNC_RETRY_S, ASYNC_VALUES_MIN, ASYNC_WAIT_S_MAX
from scim.operations import parsed_id
from scim.patch.request import parse_patch
from scim.resource.locations import base_url
from scim.responses import answer, dialect_of
from scim.schema.resource_types import ResourceType

ENDPOINT = "AsyncRequests"
TOKEN_MEDIA_TYPE = f"application/{TYP}"
PLACE = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)

Json = dict[str, Any]


def preferred() -> Preferences:
    """Return what this request's client would rather have; nobody waits longer than is offered."""
    found = parse_preferences(request.headers.getlist("Prefer"))
    return replace(found, wait_s=min(found.wait_s, ASYNC_WAIT_S_MAX))


def is_large(body: Mapping[str, Any]) -> bool:
    """Return whether a PATCH is worth being done asynchronously."""
    operations = next((value for key, value in body.items() if key.lower() == "operations"), None)
    sent = operations if isinstance(operations, list) else ()
    values = (item.get("value") for item in sent if isinstance(item, dict))
    return sum(len(value) if isinstance(value, list) else 1 for value in values) >= ASYNC_VALUES_MIN


def accept_bulk(call: Call, slug: str, body: Json, wait_s: int) -> UUID:
    """Keep a Bulk for the workers, who begin when ``wait_s`` seconds have gone by. Raises ``RateLimited``."""
    return _accept(call, Asked(body, base_url(slug), is_bulk=True), wait_s)


def accept_patch(
    call: Call, slug: str, type_: ResourceType, resource_id: str, body: Json, if_match: str | None
) -> UUID:
    """Keep a PATCH for the workers.

    Raises ``RateLimited``; ``InvalidRequest``, ``NotFound`` for what is refused at once.
    """
    parsed_id(resource_id)
    parse_patch(body, type_, dialect_of(call))
    operation = {"method": "PATCH", "path": f"{type_.endpoint}/{resource_id}", "version": if_match, "data": body}
    asked = {"schemas": [REQUEST_SCHEMA], "Operations": [operation]}
    return _accept(call, Asked(asked, base_url(slug), is_bulk=False), 0)


def _accept(call: Call, asked: Asked, wait_s: int) -> UUID:
    return accept_async_request(
        call.tx, asked.written(), encryption=runtime().encryption, caller=call.caller, now=call.now, wait_s=wait_s
    )


def try_for(tenant_id: TenantId, id_: UUID, seconds: int, *, caller: Caller) -> AsyncResult | None:
    """Begin with an accepted request here, as long as its client would rather wait; the workers go on behind.

    Return what became of it if that was long enough. What the database does not answer now it will answer them.
    """
    if not seconds:
        return None
    ends_at = time.monotonic() + seconds
    begin = partial(open_transaction, tenant_id, holds_events=True)
    with suppress(Unavailable):
        perform(
            begin,
            id_,
            encryption=runtime().encryption,
            clock=runtime().clock,
            until=lambda: time.monotonic() >= ends_at,
        )
        with begin() as tx:
            result = get_async_result(tx, id_, caller=caller, now=runtime().clock())
        return result if result.is_done else None
    return None


def accepted(id_: UUID, slug: str) -> Response:
    """Return 202: how the outcome will be known, and where it can be read."""
    found = _pending(id_)
    found.headers["Preference-Applied"] = "respond-async"
    found.headers["Location"] = f"{base_url(slug)}/{ENDPOINT}/{id_}"
    return found


def read_result(call: Call, slug: str, txn: str) -> Response:
    """Return what became of a request of the connection that calls: the reports of its operations.

    With ``Accept: application/secevent+jwt``, the completion event token whose ``txn`` is asked for: that of the
    request, or of a Bulk with a colon and the place of an operation. 202 until it is done. Raises ``NotFound``.
    """
    named, is_place, place = txn.partition(":")
    id_ = parse_id(named)
    if id_ is None or (is_place and not PLACE.fullmatch(place)):
        raise NotFound("no asynchronous request with this id")
    result = get_async_result(call.tx, id_, caller=call.caller, now=call.now)
    if not result.is_done:
        return _not_yet(id_)
    if not _wants_token():
        return result_answer(result) if not is_place else result_answer(_only(result, int(place)))
    return _token_answer(call, slug, get_completion(call.tx, id_, int(place or "0")), txn)


def _wants_token() -> bool:
    return any(value == TOKEN_MEDIA_TYPE for value, _ in request.accept_mimetypes)


def _only(result: AsyncResult, place: int) -> AsyncResult:
    if place not in result.reports:
        raise NotFound("no operation with this index, or it was not tried")
    return replace(result, reports={place: result.reports[place]})


def _token_answer(call: Call, slug: str, event: RecordedProvisioningEvent, txn: str) -> Response:
    if event.txn != txn:
        raise NotFound("a Bulk has one token for each operation: append a colon and the operation's index")
    token = sign_provisioning_event(
        call.tx,
        event,
        issuer=issuer_of(runtime().external_url, slug),
        audience=str(call.caller.connection_id),
        keys=runtime().keys,
        now=call.now,
    )
    return Response(token, content_type=TOKEN_MEDIA_TYPE)


def result_answer(result: AsyncResult) -> Response:
    """Return the reports of a request that is done."""
    return answer(bulk_response({place: dict(report) for place, report in result.reports.items()}))


def _not_yet(id_: UUID) -> Response:
    pending = _pending(id_)
    pending.headers["Retry-After"] = str(ASYNC_RETRY_S)
    return pending


def _pending(id_: UUID) -> Response:
    found = Response(status=202, headers={"Set-Txn": str(id_)})
    del found.headers["Content-Type"]  # there is no content
    return found
