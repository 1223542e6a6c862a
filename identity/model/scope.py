"""Scope and audience: their grammar, and how a scope is narrowed and never widened."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from identity.model.errors import InvalidRequest

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # RFC 6749 §3.3
SCOPES_MAX = 50
SCOPE_CHARACTERS_MAX = 4096


def parse_scope(text: str) -> tuple[str, ...]:
    """Return the scope tokens of ``text`` in order.

    Raises ``InvalidRequest`` (RFC 6749 §3.3; duplicates are refused).
    """
    if len(text) > SCOPE_CHARACTERS_MAX:
        raise InvalidRequest(f"scope must have at most {SCOPE_CHARACTERS_MAX} characters", pointer="scope")
    tokens = tuple(text.split(" ")) if text else ()
    check_scopes(tokens)
    return tokens


def check_scopes(tokens: tuple[str, ...]) -> None:
    """Check a list of distinct scope tokens. Raises ``InvalidRequest``."""
    if len(tokens) > SCOPES_MAX or len(set(tokens)) != len(tokens):
        raise InvalidRequest(f"scope must have at most {SCOPES_MAX} scope tokens, each once", pointer="scope")
    if not all(SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidRequest(
            "scope must not contain characters that RFC 6749 section 3.3 does not allow", pointer="scope"
        )


def check_audience(audience: str) -> str:
    """Return an absolute https (or loopback http) URI or URN without fragment (RFC 8707 §2).

    Raises ``InvalidRequest``.
    """
    parts = urlsplit(audience) if audience.isascii() and audience.isprintable() else None
    if parts is None or not parts.scheme or parts.fragment or "#" in audience or len(audience) > 512:
        raise InvalidRequest("audience must be an absolute URI without a fragment", pointer="/audience")
    if " " in audience or parts.username is not None:
        raise InvalidRequest("audience must not contain spaces or user information", pointer="/audience")
    return audience


def narrow_scopes(held: Iterable[str], requested: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the requested scopes, all that are held where none are requested, or None where one is not held."""
    have = tuple(held)
    if requested is None:
        return have
    return requested if set(requested) <= set(have) else None
