"""What a body of JSON may be, and what a part of a resource is, said plainly."""

import json
import math
from typing import Any

DEPTH_MAX = 32


def is_a_plain_object(raw: bytes) -> bool:
    """Return whether bytes are one JSON object that any database and any 64-bit client can hold."""
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and _is_plain(parsed, 0)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return all(character != "\0" and not "\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return -(2**63) < value < 2**63
    if isinstance(value, float):
        return math.isfinite(value)
    if depth == DEPTH_MAX:
        return False
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return all(_is_plain(part, depth + 1) for part in parts)


def is_part(part: Any, whole: Any) -> bool:
    """Return whether everything in ``part`` is in ``whole`` at the same place."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        left = iter(whole)  # in the same order; an element of which nothing is left is left out
        return all(any(is_part(each, other) for other in left) for each in part)
    return bool(part == whole)


def leaves(value: Any, path: tuple[str, ...] = ()) -> set[tuple[Any, ...]]:
    """Return every simple value with the names that lead to it."""
    if isinstance(value, dict):
        return set().union(*(leaves(each, (*path, key)) for key, each in value.items()))
    if isinstance(value, list):
        return set().union(*(leaves(each, path) for each in value))
    return set() if value is None else {(*path, repr(value))}
