"""Authorization details (RFC 9396): their shape, and how entries are narrowed, never widened."""

import json
from collections.abc import Mapping
from typing import Any

from identity.model.delegation import Details
from identity.model.errors import Malformed

DETAILS_MAX = 20
DETAILS_DEPTH_MAX = 8  # a verifier refuses claims nested deeper than 16
DETAILS_BYTES_MAX = 4096  # with as much scope and four actors a token stays below the 16 kB that verifiers take


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
