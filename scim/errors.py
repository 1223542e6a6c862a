"""Refusals become SCIM errors (RFC 7644 §3.12). A refusal's ``cause`` and other reasons never leave the server."""

import re
from collections.abc import Mapping
from enum import StrEnum
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


class ScimType(StrEnum):
    """The error types of RFC 7644 table 9, and those that RFC 9865 §2.1 adds for cursors."""

    INVALID_FILTER = "invalidFilter"
    TOO_MANY = "tooMany"
    UNIQUENESS = "uniqueness"
    MUTABILITY = "mutability"
    INVALID_SYNTAX = "invalidSyntax"
    INVALID_PATH = "invalidPath"
    NO_TARGET = "noTarget"
    INVALID_VALUE = "invalidValue"
    INVALID_VERS = "invalidVers"
    SENSITIVE = "sensitive"
    INVALID_CURSOR = "invalidCursor"
    EXPIRED_CURSOR = "expiredCursor"
    INVALID_COUNT = "invalidCount"


ANSWERS: Mapping[type | str, tuple[int, ScimType | None]] = {
    "too_many_members": (400, ScimType.TOO_MANY),
    InvalidRequest: (400, ScimType.INVALID_VALUE),
    NotAuthenticated: (401, None),
    NotAllowed: (403, None),
    NotFound: (404, None),
    AlreadyExists: (409, ScimType.UNIQUENESS),
    Conflict: (409, None),
    PreconditionFailed: (412, None),
    LimitExceeded: (413, None),
    RateLimited: (429, None),
    Unavailable: (503, None),
    Refusal: (400, None),
}
"""HTTP status and ``scimType`` of a refusal, by its reason or else by its class."""

SCIM_TYPES = frozenset(ScimType)

ATTRIBUTE = r"[$A-Za-z][A-Za-z0-9$_-]{0,63}"
URN = r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}(?::[A-Za-z0-9._-]{1,64}){1,9}"
NAME = re.compile(rf"(?:{URN}:)?{ATTRIBUTE}(?:\.{ATTRIBUTE})?|{URN}", re.ASCII)


def is_name(text: str) -> bool:
    """Return whether a text is an attribute name (RFC 7643 §2.1), with or without a schema's URN (§3.10)."""
    return NAME.fullmatch(text) is not None


def shown_name(text: str) -> str:
    """Return a client's text as an error may repeat it: a text that is no name may contain a secret."""
    return text if is_name(text) else "such a name"


def refuse(scim_type: ScimType, detail: str, pointer: str | None = None) -> NoReturn:
    """Raise ``InvalidRequest`` with a ``scimType``. ``pointer`` names the attribute or parameter at fault."""
    raise InvalidRequest(detail, pointer=pointer, reason=scim_type)


def error_body(status: int, detail: str, scim_type: str | None = None) -> dict[str, Any]:
    """Return the JSON of an error."""
    body: dict[str, Any] = {"schemas": [ERROR_SCHEMA], "status": str(status), "detail": detail}
    if scim_type is not None:
        body["scimType"] = scim_type
    return body


def render_refusal(refusal: Refusal) -> tuple[dict[str, Any], int]:
    """Return the JSON and the HTTP status of a refusal."""
    keys: tuple[type | str, ...] = (refusal.reason, *type(refusal).__mro__)
    status, scim_type = next(ANSWERS[key] for key in keys if key in ANSWERS)
    if refusal.reason in SCIM_TYPES:
        scim_type = ScimType(refusal.reason)
    pointer = getattr(refusal, "pointer", None)
    return error_body(status, f"{pointer}: {refusal.detail}" if pointer else refusal.detail, scim_type), status
