"""JSON with one meaning only: what two parsers could read differently is refused."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 16
"""Levels of nesting. A full actor chain with its authorization details needs 6."""

# A string swallows its own brackets. The closing quote is optional, so that no string ever fails to match and the scan
# is linear even for one that never ends.
STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


class StrictJsonError(ValueError):
    """The text is not one JSON object with unique member names, finite numbers and a bounded depth."""


def parse_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object (RFC 8259), or raise ``StrictJsonError``, whatever the bytes are."""
    try:
        decoded = text.decode("utf-8")
        refuse_depth(decoded)
        value = json.loads(
            decoded,
            object_pairs_hook=unique_members,
            parse_constant=refuse_constant,
            parse_float=finite_float,
        )
        refuse_lone_surrogates(decoded, value)
    except StrictJsonError:
        raise
    except ValueError as error:
        raise StrictJsonError("not JSON") from error
    if not isinstance(value, dict):
        raise StrictJsonError("not a JSON object")
    return value


def refuse_depth(text: str) -> None:
    """Count before parsing: the parser recurses, and 20 000 open brackets would exhaust its stack."""
    depth = 0
    for match in STRINGS_AND_BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise StrictJsonError(f"nested deeper than {MAX_DEPTH}")
        elif match[0] in "]}":
            depth -= 1


def unique_members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated name: one reader would take the first value, another the last (RFC 8725 §2.4)."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise StrictJsonError("a member name is repeated")
        members[name] = value
    return members


def refuse_constant(name: str) -> Any:
    raise StrictJsonError(f"{name} is not JSON")


def finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise StrictJsonError("a number is out of range")
    return value


def refuse_lone_surrogates(text: str, value: Any) -> None:
    """Half a character cannot be written to a log, a header or a database later, so it stops here."""
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
