"""The values of a multi-valued attribute, as PATCH changes them (RFC 7644 §3.5.2)."""

from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from identity.model.errors import LimitExceeded
from identity.model.query import And, Comparison, Condition, Operator
from identity.model.work import Work
from scim.limits import MEMBERS_MAX


def merge_values(present: list[Any], new: list[Any], work: Work) -> list[Any]:
    """Return the present values and the new ones that are not among them. A new primary value is the only primary.

    Raises ``LimitExceeded``.
    """
    work.spend(1 + (len(present) + len(new)) // 4)
    found, known = list(present), {_hashable(value, work) for value in present}
    for value in new:
        if (key := _hashable(value, work)) not in known:
            known.add(key)
            found.append(value)
    if len(found) > MEMBERS_MAX:
        raise LimitExceeded(f"a multi-valued attribute must have at most {MEMBERS_MAX} values")
    return with_one_primary(present, found)


def with_one_primary(before: list[Any], after: list[Any], changed: Collection[int] = ()) -> list[Any]:
    """Return the values with one primary: the first that became primary (RFC 7644 §3.5.2).

    ``changed`` are the indexes of values that the operation set. If the previous primary is one of them and still
    primary, it stays, so that repeating an operation changes nothing.
    """
    previous = {index for index, value in enumerate(before) if _is_primary(value)}
    new = [index for index, value in enumerate(after) if _is_primary(value) and index not in previous]
    if not new:
        return after
    repeated = sorted(index for index in previous.intersection(changed) if _is_primary(after[index]))
    only = (repeated or new)[0]
    return [
        {**value, "primary": False} if index != only and _is_primary(value) else value
        for index, value in enumerate(after)
    ]


def _is_primary(value: Any) -> bool:
    return isinstance(value, dict) and value.get("primary") is True


def remove_values(present: list[Any], removed: list[Any], work: Work) -> list[Any]:
    """Return the present values that do not match a removed one: that lack one of its members or differ in it.

    Raises ``LimitExceeded``.
    """
    if not removed:
        return present
    work.spend(1 + (len(present) + len(removed)) // 4)
    keys: dict[tuple[str, ...], set[Hashable]] = {}
    for value in removed:
        names = tuple(sorted(value)) if isinstance(value, dict) else ()
        keys.setdefault(names, set()).add(_members_of(value, names, work))
    return [value for value in present if not any(_members_of(value, names, work) in keys[names] for names in keys)]


def _members_of(value: Any, names: tuple[str, ...], work: Work) -> Hashable:
    """Return the compared members of an object, or else the whole value."""
    if not isinstance(value, dict) or not names:
        return _hashable(value, work)
    work.spend(1 + len(names) // 4)
    return tuple(_hashable(value.get(name), work) for name in names)


def _hashable(value: Any, work: Work) -> Hashable:
    """Return a hashable value that is equal for equal JSON values."""
    match value:
        case Mapping():
            work.spend(1 + len(value) // 4)
            return frozenset((key, _hashable(item, work)) for key, item in value.items())
        case list():
            work.spend(1 + len(value) // 4)
            return tuple(_hashable(item, work) for item in value)
    return value  # type: ignore[no-any-return]  # a string, a number, true, false or null


def element_for(selection: Condition) -> dict[str, Any] | None:
    """Return the element that ``eq`` comparisons joined by ``and`` describe, or None for any other selection."""
    found: dict[str, Any] = {}
    for term in selection.terms if isinstance(selection, And) else (selection,):
        if not isinstance(term, Comparison) or term.operator is not Operator.EQ or not term.operand.path:
            return None
        found[term.operand.path[-1]] = _as_json(term.value)
    return found


def _as_json(value: str | bool | Decimal | datetime) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
