"""The JSON of a request (RFC 8259): strict, bounded, and storable as database text and 64-bit integers."""

import json
import math
from typing import Any

from identity_verifier.strict_json import StrictJsonError, refuse_constant, unique_members

from identity.model.errors import LimitExceeded
from identity.model.query import MARKS_MAX, UNSTORABLE, has_too_many_marks
from scim.errors import ScimType, refuse
from scim.limits import DEPTH_MAX, INTEGER_MAX, VALUES_MAX


def parse_body(body: bytes, values_max: int = VALUES_MAX) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises ``InvalidRequest`` (``invalidSyntax``, ``invalidValue``), ``LimitExceeded``.
    """
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=unique_members, parse_constant=refuse_constant)
    except StrictJsonError as error:
        refuse(ScimType.INVALID_SYNTAX, str(error))
    except (ValueError, RecursionError) as error:
        # ValueError: UnicodeDecodeError, JSONDecodeError, and an integer of more than 4,300 digits.
        refuse(ScimType.INVALID_SYNTAX, f"the body is not JSON: {_shown(error)}")
    if not isinstance(parsed, dict):
        refuse(ScimType.INVALID_SYNTAX, "the body is not a JSON object")
    _check(parsed, values_max)
    return parsed


def _shown(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _check(parsed: Any, values_max: int) -> None:
    """Check every value and name, level by level. Raises ``InvalidRequest``, ``LimitExceeded``."""
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
            refuse(ScimType.INVALID_SYNTAX, f"JSON must be nested at most {DEPTH_MAX} deep")
        level = inner


def _check_simple(value: Any) -> None:
    match value:
        case str():
            if UNSTORABLE.search(value):
                refuse(ScimType.INVALID_VALUE, "a string must not contain NUL or half of a surrogate pair")
            if has_too_many_marks(value):
                refuse(ScimType.INVALID_VALUE, f"a string must have at most {MARKS_MAX} combining marks in a row")
        case int():
            if abs(value) > INTEGER_MAX:
                refuse(ScimType.INVALID_VALUE, "an integer must fit into 64 bits")
        case float():
            if not math.isfinite(value):
                refuse(ScimType.INVALID_VALUE, "a number is out of range")
