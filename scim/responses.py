"""Parts of requests and of answers that every route of this edge has."""

import json
import math
from typing import Any

import structlog
from flask import Response, request
from werkzeug.exceptions import HTTPException

from identity.edge.audit import log_unavailable
from identity.edge.call import Call
from identity.edge.request import read_body
from identity.edge.runtime import runtime
from identity.model.errors import RateLimited, Refusal
from identity.model.principal import Resource
from scim.challenge import challenge_of
from scim.dialects import Dialect, dialect_named
from scim.errors import ScimType, error_body, refuse, render_refusal
from scim.json_body import parse_body
from scim.limits import BYTES_PER_VALUE, VALUES_MAX
from scim.provisioning_log import note_body
from scim.resource.document import render
from scim.resource.locations import Endpoints
from scim.resource.projection import Projection
from scim.schema.resource_types import ResourceType

MEDIA_TYPES = ("application/scim+json", "application/json")  # that are read, and answered: the first unless asked
RETRY_AFTER = "5"  # seconds, with 503

Json = dict[str, Any]

log = structlog.get_logger("scim")


def dialect_of(call: Call) -> Dialect:
    """Return the dialect of the connection that calls."""
    return dialect_named(call.caller.dialect)


def sent_body() -> bytes:
    """Read the body before the transaction opens: a slow client shall hold no connection of the database."""
    return read_body()


def sent_json(body: bytes) -> Json:
    """Return the JSON object in a body. Raises ``InvalidRequest``, ``LimitExceeded``."""
    if request.mimetype and request.mimetype not in MEDIA_TYPES:
        refuse(ScimType.INVALID_SYNTAX, "the media type of the body must be application/scim+json")
    sent = parse_body(body, max(VALUES_MAX, runtime().body_bytes_max // BYTES_PER_VALUE))
    note_body(sent)
    return sent


def asks_for_scim() -> bool:
    """Return whether a client asks for SCIM's own media type by name (RFC 7644 §3.8), and not for whatever there is.

    scim2-client 0.13, and scim2-tester with it, takes whatever there is, and refuses all of a ServiceProviderConfig for
    a member of a standard that is younger than its models.
    """
    return MEDIA_TYPES[0] in request.accept_mimetypes.values()


def answer(body: Json, *, status: int = 200) -> Response:
    """Return a SCIM answer, under the name that the client prefers (RFC 7644 §3.8)."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    named = request.accept_mimetypes.best_match(MEDIA_TYPES, default=MEDIA_TYPES[0])
    return Response(text, status=status, content_type=named)


def resource_headers(resource: Resource, type_: ResourceType, endpoints: Endpoints) -> dict[str, str]:
    """Return the version and the place of a resource."""
    where = endpoints.location_at(type_, resource.principal.id)
    return {"ETag": resource.principal.entity_tag, "Content-Location": where}


def resource_answer(
    resource: Resource, type_: ResourceType, endpoints: Endpoints, shown: Projection, *, status: int = 200
) -> Response:
    """Return the answer that is a resource."""
    found = answer(render(resource.stored, type_, endpoints, shown), status=status)
    found.headers.update(resource_headers(resource, type_, endpoints))
    if status == 201:
        found.headers["Location"] = found.headers["Content-Location"]
    return found


def on_refusal(refusal: Refusal) -> Response:
    """Answer a refusal as a SCIM error."""
    log_unavailable(refusal)
    body, status = render_refusal(refusal)
    found = answer(body, status=status)
    challenge = challenge_of(refusal, (request.view_args or {}).get("slug", ""))
    if challenge is not None:
        found.headers["WWW-Authenticate"] = challenge
    if status == 503:
        found.headers["Retry-After"] = RETRY_AFTER
    if isinstance(refusal, RateLimited):
        found.headers["Retry-After"] = str(math.ceil(refusal.wait_s))
    return found


def on_http_exception(error: HTTPException) -> Response:
    """Answer what Werkzeug refuses (a broken request stream, a media type) as a SCIM error."""
    status = error.code or 500
    return answer(error_body(status, error.name), status=status)


def on_fault(error: Exception) -> Response:
    """Answer a fault of ours with nothing but that it is one; what it was is in the log."""
    log.exception("scim_fault", exc_info=error)
    return answer(error_body(500, "internal error; it was logged"), status=500)
