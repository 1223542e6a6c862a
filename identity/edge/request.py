"""The parts of a request that every web edge reads: its id, its bearer token, its body."""

import re
import uuid

from flask import g, request

from identity.edge.runtime import runtime
from identity.model.errors import InvalidRequest, LimitExceeded, NotAuthenticated

FORM_BYTES_MAX = 64 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]{1,8192})")  # an agent's own token names up to 4,096 characters of scope


def request_id() -> str:
    """Return the id of this request: the header's where it is a plain word, else a new one."""
    if "request_id" not in g:
        offered = request.headers.get("X-Request-Id", "")
        g.request_id = offered if REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
    found: str = g.request_id
    return found


def bearer_token() -> str:
    """Return the bearer token (RFC 6750 §2.1), from the header only. Raises ``NotAuthenticated``."""
    match = BEARER.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        raise NotAuthenticated("a bearer token is required")
    return match.group(1)


def read_body(limit_bytes: int | None = None) -> bytes:
    """Return the request's body.

    Raises ``LimitExceeded`` before more than ``limit_bytes`` were read, ``InvalidRequest``.
    """
    limit_bytes = limit_bytes or runtime().body_bytes_max
    if (request.content_length or 0) > limit_bytes:
        raise LimitExceeded(f"a request body has at most {limit_bytes} bytes")
    body = request.stream.read(limit_bytes + 1)
    if len(body) > limit_bytes:
        raise LimitExceeded(f"a request body has at most {limit_bytes} bytes")
    if len(body) < (request.content_length or 0):  # the server hands over what came before a lost connection
        raise InvalidRequest("the body is shorter than its Content-Length", reason="body_cut_short")
    return body
