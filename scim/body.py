"""The JSON of a request: strict, bounded, and only what a database text and a 64-bit integer can hold."""

import json
import math
from typing import Any

from scim.errors import refuse
from scim.grammar import UNSTORABLE
from scim.limits import DEPTH_MAX, INTEGER_MAX


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body. Raises ``Malformed`` (``invalidSyntax``, ``invalidValue``)."""
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        # A UnicodeDecodeError and a JSONDecodeError are ValueErrors; so is an integer of 4,301 digits.
        refuse("invalidSyntax", f"the body is not JSON: {_shown(error)}")
    if not isinstance(parsed, dict):
        refuse("invalidSyntax", "the body is not a JSON object")
    _check(parsed, DEPTH_MAX)
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse("invalidSyntax", "a name appears twice in one object")
    return found


def _no_constant(name: str) -> Any:
    refuse("invalidSyntax", f"{name} is not JSON")


def _shown(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _check(value: Any, depth: int) -> None:
    match value:
        case dict() | list():
            if depth == 0:
                refuse("invalidSyntax", f"JSON nests at most {DEPTH_MAX} deep")
            for key in value if isinstance(value, dict) else ():
                _check(key, depth - 1)
            for item in value.values() if isinstance(value, dict) else value:
                _check(item, depth - 1)
        case str():
            if UNSTORABLE.search(value):
                refuse("invalidValue", "a text holds NUL or half of a surrogate pair")
        case int():
            if abs(value) > INTEGER_MAX:
                refuse("invalidValue", "an integer does not fit into 64 bits")
        case float():
            if not math.isfinite(value):
                refuse("invalidValue", "a number is out of range")
