"""Answer before the work is done, to a client that prefers it (RFC 9967 §2.5.1): a Bulk, or a large PATCH."""

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
from identity.edge.runtime import open_transaction, runtime
from identity.model.access import Caller
from identity.model.async_request import AsyncResult
from identity.model.errors import NotFound, Unavailable
from identity.model.ids import TenantId, parse_id
from identity.model.provisioning_event import TYP
from scim.bulk.context import bulk_response
from scim.bulk.request import REQUEST_SCHEMA
from scim.bulk.tasks import AcceptedRequest, perform
from scim.call import ScimCall
from scim.limits import ASYNC_RETRY_S, ASYNC_VALUES_MIN
from scim.operations import parsed_id
from scim.patch.request import parse_patch
from scim.responses import answer
from scim.schema.resource_types import ResourceType

ENDPOINT = "AsyncRequests"
TOKEN_MEDIA_TYPE = f"application/{TYP}"
INDEX = re.compile("0|[1-9][0-9]{0,8}", re.ASCII)

Json = dict[str, Any]


def is_large(body: Mapping[str, Any]) -> bool:
    """Return whether a PATCH is large enough to be done asynchronously."""
    operations = next((value for key, value in body.items() if key.lower() == "operations"), None)
    sent = operations if isinstance(operations, list) else ()
    values = (item.get("value") for item in sent if isinstance(item, dict))
    return sum(len(value) if isinstance(value, list) else 1 for value in values) >= ASYNC_VALUES_MIN


def accept_patch(call: ScimCall, type_: ResourceType, resource_id: str, body: Json, if_match: str | None) -> UUID:
    """Keep a PATCH for the workers. Return its id.

    Raises ``RateLimited``; ``InvalidRequest`` and ``NotFound`` for faults that show without the resource.
    """
    parsed_id(resource_id)
    parse_patch(body, type_, call.dialect)
    operation = {"method": "PATCH", "path": f"{type_.endpoint}/{resource_id}", "version": if_match, "data": body}
    bulk = {"schemas": [REQUEST_SCHEMA], "Operations": [operation]}
    return accept_bulk(call, bulk, 0, is_bulk=False)


def accept_bulk(call: ScimCall, body: Json, wait_s: int, *, is_bulk: bool = True) -> UUID:
    """Keep a Bulk for the workers, who begin after ``wait_s`` seconds. Return its id. Raises ``RateLimited``."""
    content, encryption = AcceptedRequest(body, call.endpoints.base_url, is_bulk).encoded(), runtime().encryption
    return accept_async_request(
        call.tx, content, encryption=encryption, caller=call.caller, now=call.now, wait_s=wait_s
    )


def try_for(tenant_id: TenantId, id_: UUID, seconds: int, *, caller: Caller) -> AsyncResult | None:
    """Begin with an accepted request here, for as many seconds as its client prefers to wait.

    Return the result if it was done in time, else None: the workers go on where this ended, also where the database
    did not answer.
    """
    if not seconds:
        return None
    ends_at, shared = time.monotonic() + seconds, runtime()
    begin = partial(open_transaction, tenant_id, holds_events=True)
    with suppress(Unavailable):
        perform(begin, id_, encryption=shared.encryption, clock=shared.clock, until=lambda: time.monotonic() >= ends_at)
        with begin() as tx:
            result = get_async_result(tx, id_, caller=caller, now=shared.clock())
        return result if result.is_done else None
    return None


def accepted(id_: UUID, base_url: str) -> Response:
    """Return 202, with the transaction's id and the URL of the result."""
    found = _pending(id_)
    found.headers["Preference-Applied"] = "respond-async"
    found.headers["Location"] = f"{base_url}/{ENDPOINT}/{id_}"
    return found


def read_result(call: ScimCall, txn: str, *, issuer: str) -> Response:
    """Return the reports of a request of the calling connection, 202 until it is done. Raises ``NotFound``.

    With ``Accept: application/secevent+jwt``, return the completion event token with this ``txn``: the request's, or
    the request's with a colon and the index of an operation of a Bulk.
    """
    named, has_index, index = txn.partition(":")
    id_ = parse_id(named)
    if id_ is None or (has_index and not INDEX.fullmatch(index)):
        raise NotFound("no asynchronous request with this id")
    result = get_async_result(call.tx, id_, caller=call.caller, now=call.now)
    if not result.is_done:
        pending = _pending(id_)
        pending.headers["Retry-After"] = str(ASYNC_RETRY_S)
        return pending
    if any(value == TOKEN_MEDIA_TYPE for value, _ in request.accept_mimetypes):
        return _completion_token(call, id_, int(index or "0"), txn, issuer)
    return result_answer(_only(result, int(index)) if has_index else result)


def _only(result: AsyncResult, index: int) -> AsyncResult:
    if index not in result.reports:
        raise NotFound("no operation with this index, or it was not tried")
    return replace(result, reports={index: result.reports[index]})


def _completion_token(call: ScimCall, id_: UUID, index: int, txn: str, issuer: str) -> Response:
    event = get_completion(call.tx, id_, index)
    if event.txn != txn:
        raise NotFound("a Bulk has one token for each operation: append a colon and the operation's index")
    audience, keys = str(call.caller.connection_id), runtime().keys
    token = sign_provisioning_event(call.tx, event, issuer=issuer, audience=audience, keys=keys, now=call.now)
    return Response(token, content_type=TOKEN_MEDIA_TYPE)


def result_answer(result: AsyncResult) -> Response:
    """Return the reports of a request that is done."""
    return answer(bulk_response({index: dict(report) for index, report in result.reports.items()}))


def _pending(id_: UUID) -> Response:
    found = Response(status=202, headers={"Set-Txn": str(id_)})
    del found.headers["Content-Type"]  # there is no content
    return found
