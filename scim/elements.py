"""The values of a multi-valued attribute, as PATCH changes them (RFC 7644 §3.5.2)."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

from identity.model.errors import OverLimit
from identity.model.query import And, Comparison, Condition, Operator
from scim.limits import MEMBERS_MAX


def joined(present: list[Any], new: list[Any]) -> list[Any]:
    """Return the present values and those of the new ones that are not among them; a new primary is the only one."""
    found = list(present)
    for value in new:
        if value not in found:
            found.append(value)
    if len(found) > MEMBERS_MAX:
        raise OverLimit(f"a multi-valued attribute has at most {MEMBERS_MAX} values")
    return with_one_primary(present, found)


def with_one_primary(before: list[Any], after: list[Any], chosen: Collection[int] = ()) -> list[Any]:
    """RFC 7644 §3.5.2: a value that becomes primary makes the one that was so not primary; of several, the first.

    ``chosen`` are said to be so anew: when the one that was is among them, it stays, or twice would not be once.
    """
    was = [index for index, element in enumerate(before) if _is_primary(element)]
    new = [index for index, element in enumerate(after) if _is_primary(element) and index not in was]
    if not new:
        return after
    again = [index for index in was if index in chosen and _is_primary(after[index])]
    only = (again or new)[0]
    return [
        {**element, "primary": False} if index != only and _is_primary(element) else element
        for index, element in enumerate(after)
    ]


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def is_named(element: Any, named: Any) -> bool:
    """Return whether an element has everything that is named of it."""
    if isinstance(element, dict) and isinstance(named, dict):
        return all(element.get(key) == value for key, value in named.items())
    return bool(element == named)


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
