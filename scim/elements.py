"""The values of a multi-valued attribute, as PATCH changes them (RFC 7644 §3.5.2)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from identity.model.errors import OverLimit
from identity.model.query import And, Comparison, Condition, Operator
from scim.limits import MEMBERS_MAX
from scim.schemas import Attribute


def joined(present: list[Any], new: list[Any]) -> list[Any]:
    """Return the present values and those of the new ones that are not among them; a new primary is the only one."""
    joined = present + [value for value in new if value not in present]
    primary = next((i for i in range(len(joined) - 1, -1, -1) if _is_primary(joined[i]) and joined[i] in new), None)
    joined = joined if primary is None else one_primary(joined, primary)
    if len(joined) > MEMBERS_MAX:
        raise OverLimit(f"a multi-valued attribute has at most {MEMBERS_MAX} values")
    return joined


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def one_primary(elements: Iterable[Any], index: int) -> list[Any]:
    """RFC 7644 §3.5.2: a value that becomes primary makes the one that was so not primary."""
    return [
        {**element, "primary": False} if i != index and _is_primary(element) else element
        for i, element in enumerate(elements)
    ]


def keep(place: dict[str, Any], attribute: Attribute, elements: list[Any]) -> None:
    """Write the elements of an attribute; none is absence (RFC 7643 §2.5)."""
    if elements:
        place[attribute.name] = elements
    else:
        place.pop(attribute.name, None)


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
