"""What differs between two documents, each place spelt as the path of a PATCH spells it (RFC 7644 §3.5.2)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

URN = "urn:"


class Difference(NamedTuple):
    """A value before and after; None is its absence. ``attribute`` is the document's key that ``path`` begins with."""

    attribute: str
    path: str
    old: Any
    new: Any


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "", attribute: str | None = None
) -> Iterator[Difference]:
    """Yield each attribute or sub-attribute that differs.

    A value that is a list is one value: its elements have no names. ``prefix`` and ``attribute`` are of the place that
    both documents stand at, where they are parts of larger ones.
    """
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        path = prefix + name
        if all(isinstance(side, Mapping | None) for side in (old, new)):
            separator = ":" if name.lower().startswith(URN) else "."
            yield from differences(old or {}, new or {}, path + separator, attribute or name)
        else:
            yield Difference(attribute or name, path, old, new)
