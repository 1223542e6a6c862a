"""Scope, audience and authorization details: how authority is narrowed, never widened."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from identity.model.delegation import Details
from identity.model.errors import Malformed

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}", re.ASCII)  # RFC 6749 §3.3
SCOPES_MAX = 50
SCOPE_CHARACTERS_MAX = 4096
DETAILS_MAX = 20
DETAILS_DEPTH_MAX = 8  # a verifier refuses claims nested deeper than 16
DETAILS_BYTES_MAX = 4096  # with as much scope and four actors a token stays below the 16 kB that verifiers take


def parse_scope(text: str) -> tuple[str, ...]:
    """Return the scope tokens of ``text`` in order. Raises ``Malformed`` (RFC 6749 §3.3; duplicates are refused)."""
    if len(text) > SCOPE_CHARACTERS_MAX:
        raise Malformed(f"a scope has at most {SCOPE_CHARACTERS_MAX} characters", pointer="scope")
    tokens = tuple(text.split(" ")) if text else ()
    check_scopes(tokens)
    return tokens


def check_scopes(tokens: tuple[str, ...]) -> None:
    """Refuse what is not a list of distinct scope tokens. Raises ``Malformed``."""
    if len(tokens) > SCOPES_MAX or len(set(tokens)) != len(tokens):
        raise Malformed(f"a scope has at most {SCOPES_MAX} tokens, each once", pointer="scope")
    if not all(SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise Malformed("a scope token has characters that RFC 6749 does not allow", pointer="scope")


def check_audience(audience: str) -> str:
    """Return an absolute https (or loopback http) URI or URN without fragment (RFC 8707 §2). Raises ``Malformed``."""
    parts = urlsplit(audience) if audience.isascii() and audience.isprintable() else None
    if parts is None or not parts.scheme or parts.fragment or "#" in audience or len(audience) > 512:
        raise Malformed("an audience is an absolute URI without a fragment", pointer="/audience")
    if " " in audience or parts.username is not None:
        raise Malformed("an audience holds neither spaces nor user information", pointer="/audience")
    return audience


def narrow_scopes(held: Iterable[str], asked: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return what is asked when all of it is held; all that is held when nothing is asked; None when it would widen."""
    have = tuple(held)
    if asked is None:
        return have
    return asked if set(asked) <= set(have) else None


def narrow_details(held: Details, asked: Details | None) -> Details | None:
    """Return what is asked when each entry is covered by a held one; what is held when nothing is asked; else None."""
    if asked is None:
        return held
    return asked if all(any(covers(have, want) for have in held) for want in asked) else None


def covers(held: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """True when ``asked`` is no broader than ``held``: an entry of authorization_details (RFC 9396 §2).

    Every member that ``held`` has restricts. Lists may only lose elements, but not their last, for an empty list may
    be read as no restriction; under ``constraints`` new members may come and maxima may shrink; objects are compared
    member by member, anything else must be equal. What ``held`` does not know is refused.
    """
    return held.get("type") == asked.get("type") and _object_covers(held, asked, shrinking=False)


def _object_covers(held: Mapping[str, Any], asked: Mapping[str, Any], *, shrinking: bool) -> bool:
    if asked.keys() - held.keys() and not shrinking:
        return False
    return all(
        key in asked
        and (
            (shrinking and _is_smaller_maximum(key, value, asked[key]))
            or _value_covers(value, asked[key], shrinking=shrinking or key == "constraints")
        )
        for key, value in held.items()
    )


def _is_smaller_maximum(name: str, held: Any, asked: Any) -> bool:
    """True for a maximum that came down. Another number may be a minimum, which would widen by shrinking."""
    return name.startswith("max") and _is_number(held) and _is_number(asked) and bool(asked <= held)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value_covers(held: Any, asked: Any, *, shrinking: bool) -> bool:
    match held, asked:
        case dict(), dict():
            return _object_covers(held, asked, shrinking=shrinking)
        case list(), list():
            return bool(asked or not held) and all(any(_same(have, want) for have in held) for want in asked)
        case _:
            return _same(held, asked)


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON: in Python ``True``, ``1`` and ``1.0`` are equal at every depth, there they are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def check_details(details: Any) -> Details:
    """Return authorization details of a bearable shape. Raises ``Malformed``."""
    if not isinstance(details, list) or len(details) > DETAILS_MAX or _depth(details) > DETAILS_DEPTH_MAX:
        raise Malformed(
            f"authorization_details is a list of at most {DETAILS_MAX} objects, nested {DETAILS_DEPTH_MAX} deep",
            pointer="authorization_details",
        )
    for entry in details:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not entry["type"]:
            raise Malformed("each of authorization_details is an object with a type", pointer="authorization_details")
    if len(json.dumps(details, ensure_ascii=False).encode()) > DETAILS_BYTES_MAX:
        raise Malformed(f"authorization_details has at most {DETAILS_BYTES_MAX} bytes", pointer="authorization_details")
    return tuple(details)


def _depth(value: Any, so_far: int = 0) -> int:
    if so_far > DETAILS_DEPTH_MAX or not isinstance(value, (dict, list)):
        return so_far
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(item, so_far + 1) for item in inner), default=so_far + 1)
