"""Refusals become SCIM errors (RFC 7644 §3.12). ``Refusal.reason`` may be a ``scimType``; nothing else leaves us."""

import re
from typing import Any, NoReturn

from identity.model.errors import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Refusal,
    Unavailable,
)

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"

SCIM_TYPES = frozenset({
    "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget",
    "invalidValue", "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
})  # fmt: skip

STATUSES: dict[type[Refusal], int] = {
    InvalidRequest: 400,
    NotAuthenticated: 401,
    NotAllowed: 403,
    NotFound: 404,
    AlreadyExists: 409,
    Conflict: 409,
    PreconditionFailed: 412,
    LimitExceeded: 413,
    RateLimited: 429,
    Unavailable: 503,
}


ATTRIBUTE = r"[$A-Za-z][A-Za-z0-9$_-]{0,63}"
URN = r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}(?::[A-Za-z0-9._-]{1,64}){1,9}"
NAME = re.compile(rf"(?:{URN}:)?{ATTRIBUTE}(?:\.{ATTRIBUTE})?|{URN}", re.ASCII)


def is_name(text: str) -> bool:
    """Return whether a text is the name of an attribute (RFC 7643 §2.1), maybe behind a schema's URN (§3.10)."""
    return NAME.fullmatch(text) is not None


def shown_name(text: str) -> str:
    """Return a name that somebody sent as an error may repeat it: what is no name may be anything, a secret even."""
    return text if is_name(text) else "such a name"


def refuse(scim_type: str, detail: str, pointer: str | None = None) -> NoReturn:
    """Refuse a request for its grammar, its types or its targets. ``pointer`` names the attribute at fault."""
    raise InvalidRequest(detail, pointer=pointer, reason=scim_type)


def error_status(refusal: Refusal) -> int:
    """Return the HTTP status of a refusal."""
    if refusal.reason == "too_many_members":
        return 400
    return next((status for kind, status in STATUSES.items() if isinstance(refusal, kind)), 400)


def error_body(status: int, detail: str, scim_type: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error."""
    body: dict[str, Any] = {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail}
    if scim_type is not None:
        body["scimType"] = scim_type
    return body


def render_refusal(refusal: Refusal) -> tuple[dict[str, Any], int]:
    """Return the JSON and the status of a refusal; its cause stays here."""
    status = error_status(refusal)
    pointer = getattr(refusal, "pointer", None)
    detail = f"{pointer}: {refusal.detail}" if pointer else refusal.detail
    return error_body(status, detail, _scim_type(refusal)), status


def _scim_type(refusal: Refusal) -> str | None:
    if refusal.reason in SCIM_TYPES:
        return refusal.reason
    if isinstance(refusal, AlreadyExists):
        return "uniqueness"
    if refusal.reason == "too_many_members":
        return "tooMany"
    return "invalidValue" if isinstance(refusal, InvalidRequest) else None
