"""Authorization details (RFC 9396): their shape, and how entries are narrowed and never widened."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.model.delegation import Details
from identity.model.errors import InvalidRequest

DETAILS_MAX = 20
DETAILS_DEPTH_MAX = 8  # a verifier refuses claims nested deeper than 16
DETAILS_BYTES_MAX = 4096  # with as much scope and four actors a token stays below the 16 kB that verifiers take

NARROWED_LISTS = ("actions", "locations", "datatypes", "privileges")
"""RFC 9396 §2.2: an element that they leave out is not granted."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """An entry in parts: members that stay equal (as JSON), lists that may lose elements, maxima that may come down."""

    equal: str
    lists: Mapping[str, Counter[str]]
    maxima: Mapping[str, int | float]


def covers(held: Mapping[str, Any], requested: Mapping[str, Any]) -> bool:
    """True when ``requested`` is no broader than ``held``: an entry of authorization_details (RFC 9396 §2).

    The lists of RFC 9396 §2.2 may lose elements, but not their last: an empty list may be read as no restriction.
    Numbers directly under ``constraints`` whose names begin with ``max`` may come down. Every other member is equal,
    and none is removed or added: only the resource server knows whether it restricts or widens.
    """
    return _covers(_parts_of(held), _parts_of(requested))


def covers_each(held: Details, requested: Details) -> bool:
    """True when each entry of ``requested`` is covered by an entry of ``held`` of its own: none is used twice."""
    have, want = [_parts_of(entry) for entry in held], [_parts_of(entry) for entry in requested]
    partners = _match(len(want), len(have), lambda one, other: _covers(have[other], want[one]))
    return len(partners) == len(want)


def common_details(one: Details, other: Details) -> Details:
    """Return the details that both hold: of two entries that differ in lists and maxima alone, their intersection.

    They are in the order of ``one``; no entry of either is used twice.
    """
    mine, theirs = [_parts_of(entry) for entry in one], [_parts_of(entry) for entry in other]
    partners = _match(len(one), len(other), lambda left, right: _overlap(mine[left], theirs[right]))
    return tuple(_meet(one[left], mine[left], theirs[right]) for left, right in sorted(partners.items()))


def _parts_of(entry: Mapping[str, Any]) -> _Parts:
    lists = {name: entry[name] for name in NARROWED_LISTS if isinstance(entry.get(name), list) and entry[name]}
    constraints = entry.get("constraints")
    maxima = {} if not isinstance(constraints, dict) else _maxima_of(constraints)
    equal = {name: value for name, value in entry.items() if name not in lists}
    if maxima:
        equal["constraints"] = {name: value for name, value in entry["constraints"].items() if name not in maxima}
    return _Parts(_as_json(equal), {name: Counter(map(_as_json, values)) for name, values in lists.items()}, maxima)


def _maxima_of(constraints: Mapping[str, Any]) -> Mapping[str, int | float]:
    """Return the numbers that limit from above. Another one may be a minimum, and widen where it comes down."""
    return {name: value for name, value in constraints.items() if name.startswith("max") and _is_number(value)}


def _is_number(value: Any) -> bool:
    """True for a number of JSON: in Python a bool and infinity are numbers, too."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _as_json(value: Any) -> str:
    """Return JSON that differs for values that JSON holds apart: in Python ``True``, ``1`` and ``1.0`` are equal."""
    return json.dumps(value, sort_keys=True)


def _same_members(one: _Parts, other: _Parts) -> bool:
    return (one.equal, one.lists.keys(), one.maxima.keys()) == (other.equal, other.lists.keys(), other.maxima.keys())


def _covers(held: _Parts, requested: _Parts) -> bool:
    return (
        _same_members(held, requested)
        and all(elements <= held.lists[name] for name, elements in requested.lists.items())
        and all(maximum <= held.maxima[name] for name, maximum in requested.maxima.items())
    )


def _overlap(one: _Parts, other: _Parts) -> bool:
    return _same_members(one, other) and all(one.lists[name] & other.lists[name] for name in one.lists)


def _meet(entry: Mapping[str, Any], one: _Parts, other: _Parts) -> Mapping[str, Any]:
    """Return ``entry``, whose parts are ``one``, with the elements that both have and the lower of their maxima."""
    lists = {name: _keep(entry[name], one.lists[name] & other.lists[name]) for name in one.lists}
    maxima = {name: min(maximum, other.maxima[name]) for name, maximum in one.maxima.items()}
    constraints = {"constraints": entry["constraints"] | maxima} if maxima else {}
    return {**entry, **lists, **constraints}


def _keep(values: Sequence[Any], wanted: Counter[str]) -> list[Any]:
    left, kept = Counter(wanted), []
    for value in values:
        if left[_as_json(value)] > 0:
            left[_as_json(value)] -= 1
            kept.append(value)
    return kept


def _match(ones: int, others: int, fits: Callable[[int, int], bool]) -> dict[int, int]:
    """Return the most pairs that there can be, each number in at most one of them.

    Maximum bipartite matching by augmenting paths; with ``DETAILS_MAX`` on each side at most 8,000 steps.
    """
    edges = [[other for other in range(others) if fits(one, other)] for one in range(ones)]
    taken: dict[int, int] = {}

    def augment(one: int, seen: set[int]) -> bool:
        for other in edges[one]:
            if other not in seen:
                seen.add(other)
                if other not in taken or augment(taken[other], seen):
                    taken[other] = one
                    return True
        return False

    for one in range(ones):
        augment(one, set())
    return {one: other for other, one in taken.items()}


def check_details(details: Any) -> Details:
    """Return authorization details whose shape and size are within the limits. Raises ``InvalidRequest``."""
    if not isinstance(details, list) or len(details) > DETAILS_MAX or _depth(details) > DETAILS_DEPTH_MAX:
        raise _malformed(f"must be an array of at most {DETAILS_MAX} objects, nested at most {DETAILS_DEPTH_MAX} deep")
    for entry in details:
        _check_entry(entry)
    try:
        size = len(json.dumps(details, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise _malformed("must not contain a number or a character that JSON does not have") from None
    if size > DETAILS_BYTES_MAX:
        raise _malformed(f"must have at most {DETAILS_BYTES_MAX} bytes")
    return tuple(details)


def _check_entry(entry: Any) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not entry["type"]:
        raise _malformed("must be an array of objects with a type")
    for name in NARROWED_LISTS:
        if entry.get(name) == []:
            raise _malformed(f"must not have an empty array {name}: it could be read as none or as all")


def _malformed(fault: str) -> InvalidRequest:
    return InvalidRequest(f"authorization_details {fault}", pointer="authorization_details")


def _depth(value: Any, so_far: int = 0) -> int:
    if so_far > DETAILS_DEPTH_MAX or not isinstance(value, (dict, list)):
        return so_far
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(item, so_far + 1) for item in inner), default=so_far + 1)
