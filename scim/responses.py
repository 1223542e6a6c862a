"""The answers of every route of this edge: resources, refusals, faults."""

import json
import math
from typing import Any

import structlog
from flask import Response, request
from werkzeug.exceptions import HTTPException

from identity.edge.audit import log_unavailable
from identity.model.errors import RateLimited, Refusal
from identity.model.principal import Resource
from scim.challenge import challenge_of
from scim.errors import error_body, render_refusal
from scim.request import MEDIA_TYPES
from scim.resource.document import render
from scim.resource.locations import Endpoints
from scim.resource.projection import Projection
from scim.schema.resource_types import ResourceType

RETRY_AFTER = "5"  # seconds, with 503

Json = dict[str, Any]

log = structlog.get_logger("scim")


def accepts_scim_by_name() -> bool:
    """Return whether a client names SCIM's own media type (RFC 7644 §3.8), and does not accept just any.

    scim2-client 0.13, and scim2-tester with it, accepts any, and refuses a whole ServiceProviderConfig for a member
    that is newer than its models.
    """
    return MEDIA_TYPES[0] in request.accept_mimetypes.values()


def answer(body: Json, *, status: int = 200) -> Response:
    """Return a SCIM answer, under the name that the client prefers (RFC 7644 §3.8)."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    named = request.accept_mimetypes.best_match(MEDIA_TYPES, default=MEDIA_TYPES[0])
    return Response(text, status=status, content_type=named)


def resource_headers(resource: Resource, type_: ResourceType, endpoints: Endpoints) -> dict[str, str]:
    """Return the headers with the version and the location of a resource."""
    where = endpoints.location_at(type_, resource.principal.id)
    return {"ETag": resource.principal.entity_tag, "Content-Location": where}


def resource_answer(
    resource: Resource, type_: ResourceType, endpoints: Endpoints, shown: Projection, *, status: int = 200
) -> Response:
    """Return an answer whose body is the resource."""
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
    """Answer an error of Werkzeug (a broken request stream, a media type) as a SCIM error."""
    status = error.code or 500
    return answer(error_body(status, error.name), status=status)


def on_fault(error: Exception) -> Response:
    """Answer a fault of this server without its cause, which is in the log."""
    log.exception("scim_fault", exc_info=error)
    return answer(error_body(500, "internal error; it was logged"), status=500)
