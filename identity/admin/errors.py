"""Refusals as problems (RFC 9457): the one place where the admin API turns a refusal into a status."""

import json
from dataclasses import dataclass
from typing import Any

import structlog
from flask import Response, request
from werkzeug.exceptions import HTTPException

from identity.edge.audit import log_unavailable
from identity.edge.request import request_id
from identity.edge.runtime import runtime
from identity.model.errors import InvalidRequest, LimitExceeded, Refusal

log = structlog.get_logger("identity.admin")

FAULTS_SHOWN_MAX = 20
RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; its name is the last segment of its ``type``."""

    status: int
    title: str
    meaning: str


KINDS: dict[str, Kind] = {
    "invalid_value": Kind(400, "The request is malformed", "Correct what errors[] points at; nothing was changed."),
    "unauthenticated": Kind(401, "Authentication is required", "Send Authorization: Bearer with a valid admin token."),
    "forbidden": Kind(403, "Not allowed", "The caller is known and may not do this."),
    "not_found": Kind(404, "Not found", "It does not exist, or it belongs to another tenant."),
    "method_not_allowed": Kind(405, "Method not allowed", "The Allow header names the methods of this resource."),
    "conflict": Kind(409, "Conflict", "The present state does not allow it; read it again."),
    "uniqueness": Kind(409, "Already taken", "Another row holds what must be unique."),
    "limit_reached": Kind(409, "Limit reached", "A published limit is reached; end something first."),
    "precondition_failed": Kind(412, "Changed meanwhile", "If-Match names an older version; read it again."),
    "too_large": Kind(413, "Too large", "The request is larger than the limit that detail names."),
    "unsupported_media_type": Kind(415, "Unsupported media type", "Send application/json, not compressed."),
    "too_often": Kind(429, "Too many requests", "Ask again after Retry-After seconds."),
    "server_error": Kind(500, "Internal error", "Nothing was changed. Report the request_id."),
    "unavailable": Kind(503, "Unavailable", "Nothing was decided; try again after Retry-After seconds."),
}


class UnsupportedMediaType(InvalidRequest):
    """The body is not JSON."""

    code = "unsupported_media_type"


class Faulty(InvalidRequest):
    """More than one fault, each with its pointer."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__(faults[0][1], pointer=faults[0][0])
        self.faults = faults[:FAULTS_SHOWN_MAX]


def type_url(kind: str) -> str:
    """Return the stable ``type`` of a kind of problem; it can be opened."""
    return f"{runtime().external_url}/admin/v1/problems/{kind}"


def problem(
    kind: str, detail: str, *, code: str | None = None, faults: list[tuple[str, str]] | None = None
) -> Response:
    """Return a problem document."""
    known = KINDS[kind]
    document: dict[str, Any] = {
        "type": type_url(kind),
        "title": known.title,
        "status": known.status,
        "detail": detail,
        "code": code or kind,
        "request_id": request_id(),
    }
    if faults:
        document["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in faults]
    body = json.dumps(document, ensure_ascii=True).encode()
    response = Response(body, status=known.status, content_type="application/problem+json")
    if known.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="admin"'
    if known.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def answer_refusal(refusal: Refusal) -> Response:
    """Return the problem of a refusal by the core."""
    log_unavailable(refusal)
    return problem(_kind_of(refusal), refusal.detail, code=refusal.reason, faults=_faults_of(refusal))


def answer_http_exception(error: HTTPException) -> Response:
    """Return the problem of a refusal by the framework, while it reads a request."""
    kind = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
    return problem(kind.get(error.code or 500, "invalid_value"), error.description or error.name)


def answer_unexpected(error: Exception) -> Response:
    """Return an opaque problem; the log has the exception."""
    log.error("unexpected", error=type(error).__name__, endpoint=request.endpoint, exc_info=error)
    return problem("server_error", "the request could not be answered; nothing was changed")


def _kind_of(refusal: Refusal) -> str:
    if isinstance(refusal, LimitExceeded) and refusal.reason != refusal.code:
        return "limit_reached"
    codes = (getattr(ancestor, "code", "") for ancestor in type(refusal).__mro__)
    return next((code for code in codes if code in KINDS), "invalid_value")


def _faults_of(refusal: Refusal) -> list[tuple[str, str]] | None:
    if isinstance(refusal, Faulty):
        return refusal.faults
    pointer = getattr(refusal, "pointer", None)
    return None if pointer is None else [(pointer, refusal.detail)]
