"""The JSON of a request: strict, bounded, and only what a database text and a 64-bit integer can hold."""

import json
import math
from typing import Any

from identity.model.errors import LimitExceeded
from identity.model.query import MARKS_MAX, has_too_many_marks
from scim.errors import refuse
from scim.filter.grammar import UNSTORABLE
from scim.limits import DEPTH_MAX, INTEGER_MAX, VALUES_MAX


def parse_body(body: bytes, values_max: int = VALUES_MAX) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises ``InvalidRequest`` (``invalidSyntax``, ``invalidValue``), ``LimitExceeded``.
    """
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        # A UnicodeDecodeError and a JSONDecodeError are ValueErrors; so is an integer of 4,301 digits.
        refuse("invalidSyntax", f"the body is not JSON: {_shown(error)}")
    if not isinstance(parsed, dict):
        refuse("invalidSyntax", "the body is not a JSON object")
    _check(parsed, values_max)
    return parsed


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse("invalidSyntax", "a member name appears twice in one object")
    return found


def _no_constant(name: str) -> Any:
    refuse("invalidSyntax", f"{name} is not JSON")


def _shown(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _check(parsed: Any, values_max: int) -> None:
    """Look at every value and name, level by level."""
    level, values = [parsed], 1
    for depth in range(DEPTH_MAX + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            else:
                _check_simple(value)
        values += len(inner)
        if values > values_max:
            raise LimitExceeded(f"the body must have at most {values_max} values and member names")
        if depth == DEPTH_MAX and any(isinstance(value, dict | list) for value in level):
            refuse("invalidSyntax", f"JSON must be nested at most {DEPTH_MAX} deep")
        level = inner


def _check_simple(value: Any) -> None:
    match value:
        case str():
            if UNSTORABLE.search(value):
                refuse("invalidValue", "a string must not contain NUL or half of a surrogate pair")
            if has_too_many_marks(value):
                refuse("invalidValue", f"a string must have at most {MARKS_MAX} combining marks in a row")
        case int():
            if abs(value) > INTEGER_MAX:
                refuse("invalidValue", "an integer must fit into 64 bits")
        case float():
            if not math.isfinite(value):
                refuse("invalidValue", "a number is out of range")
