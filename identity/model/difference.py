"""Differences between two documents, each at the path that a PATCH would have (RFC 7644 §3.5.2)."""

from collections.abc import Iterator, Mapping
from typing import Any

Difference = tuple[str, Any, Any]

URN = "urn:"


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """Yield each attribute or sub-attribute that differs with its value before and after; None is its absence.

    A value that is a list is one value: its elements have no names.
    """
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        where = prefix + name
        if all(isinstance(side, Mapping | None) for side in (old, new)):
            yield from differences(old or {}, new or {}, where + (":" if name.lower().startswith(URN) else "."))
        else:
            yield where, old, new
