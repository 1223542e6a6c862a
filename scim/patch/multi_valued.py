"""The values of a multi-valued attribute, as PATCH changes them (RFC 7644 §3.5.2)."""

from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from identity.model.errors import LimitExceeded
from identity.model.query import And, Comparison, Condition, Operator
from identity.model.work import Work
from scim.limits import MEMBERS_MAX


def joined(present: list[Any], new: list[Any], work: Work) -> list[Any]:
    """Return the present values and those of the new ones that are not among them; a new primary is the only one.

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


def with_one_primary(before: list[Any], after: list[Any], chosen: Collection[int] = ()) -> list[Any]:
    """RFC 7644 §3.5.2: a value that becomes primary makes the one that was so not primary; of several, the first.

    ``chosen`` are said to be so anew: when the one that was is among them, it stays, or twice would not be once.
    """
    was = {index for index, element in enumerate(before) if _is_primary(element)}
    new = [index for index, element in enumerate(after) if _is_primary(element) and index not in was]
    if not new:
        return after
    again = sorted(index for index in was.intersection(chosen) if _is_primary(after[index]))
    only = (again or new)[0]
    return [
        {**element, "primary": False} if index != only and _is_primary(element) else element
        for index, element in enumerate(after)
    ]


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def without(present: list[Any], named: list[Any], work: Work) -> list[Any]:
    """Return the present values but those that have everything that one of the named says. Raises ``LimitExceeded``."""
    if not named:
        return present
    work.spend(1 + (len(present) + len(named)) // 4)
    keys: dict[tuple[str, ...], set[Hashable]] = {}
    for value in named:
        parts = tuple(sorted(value)) if isinstance(value, dict) else ()
        keys.setdefault(parts, set()).add(_parts_of(value, parts, work))
    return [
        value for value in present if not any(_parts_of(value, parts, work) in said for parts, said in keys.items())
    ]


def _parts_of(value: Any, parts: tuple[str, ...], work: Work) -> Hashable:
    """Return what is compared of a value: some parts of an object, or else the whole."""
    if not isinstance(value, dict) or not parts:
        return _hashable(value, work)
    work.spend(1 + len(parts) // 4)
    return tuple(_hashable(value.get(part), work) for part in parts)


def _hashable(value: Any, work: Work) -> Hashable:
    """Return what is equal for equal JSON values."""
    match value:
        case Mapping():
            work.spend(1 + len(value) // 4)
            return frozenset((key, _hashable(item, work)) for key, item in value.items())
        case list():
            work.spend(1 + len(value) // 4)
            return tuple(_hashable(item, work) for item in value)
    return value  # type: ignore[no-any-return]  # a text, a number, true, false or null


def described(selection: Condition) -> dict[str, Any] | None:
    """Return the element that ``eq`` comparisons joined by ``and`` describe, or None for any other selection."""
    terms = selection.terms if isinstance(selection, And) else (selection,)
    described: dict[str, Any] = {}
    for term in terms:
        if not isinstance(term, Comparison) or term.operator is not Operator.EQ or not term.operand.path:
            return None
        described[term.operand.path[-1]] = _as_json(term.value)
    return described


def _as_json(value: str | bool | Decimal | datetime) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
