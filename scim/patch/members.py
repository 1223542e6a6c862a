"""Members of a group in a PATCH: set deltas, whatever the size of the group; and ids in references."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from identity.model.errors import InvalidRequest
from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.query import Comparison, Condition, Operator, Or
from scim.dialects import Dialect, Operation
from scim.errors import refuse
from scim.filter.paths import Path
from scim.schema.resource_types import Attribute, ResourceType
from scim.schema.values import canonical_elements


def is_members(type_: ResourceType, path: Path) -> bool:
    """Return whether a path names the members of a group."""
    return path.attribute is not None and path.attribute is type_.rows("members")


def member_change(operation: Operation, path: Path, dialect: Dialect) -> MemberChange:
    """Return what one operation on members asks for: it reads none of them. Raises ``InvalidRequest``."""
    attribute = path.attribute
    assert attribute is not None  # noqa: S101 - is_members said so
    if path.sub is not None or (path.selection is not None and operation.op != "remove"):
        refuse("mutability", "a member can be added or removed, not changed", "members")
    if path.selection is not None:
        return MemberChange(remove=frozenset(_selected_members(path.selection)))
    if operation.op == "remove" and not operation.has_value:
        return MemberChange(replace=True)
    if operation.value is None:
        refuse("invalidValue", "null is ambiguous: send the members, or []", "members")
    ids = member_ids(attribute, operation.value, dialect)
    if operation.op == "remove":  # never more than is named, though RFC 7644 §3.5.2.2 lets the value be ignored
        return MemberChange(remove=ids)
    return MemberChange(replace=operation.op == "replace", add=ids)


def member_ids(attribute: Attribute, value: Any, dialect: Dialect) -> frozenset[UUID]:
    """Return the ids that an array of references names. Raises ``InvalidRequest``."""
    values = value if isinstance(value, list) else [value]
    return frozenset(
        link_id(attribute, link) for link in canonical_elements(attribute, values, dialect.value_rules, attribute.name)
    )


def link_id(attribute: Attribute, link: dict[str, Any]) -> UUID:
    """Return the id in a reference; one that cannot be ours is answered like one that is not there."""
    found = parse_id(str(link.get("value", "")))
    if found is None:
        raise InvalidRequest(f"no resource has the id {link.get('value', 'value')!s:.64}", pointer=attribute.name)
    return found


def _selected_members(selection: Condition) -> Iterator[UUID]:
    match selection:
        case Or(terms):
            for term in terms:
                yield from _selected_members(term)
        case Comparison(operand, Operator.EQ, str() as value) if operand.path == ("value",):
            # What cannot be an id names no member: removing it is done already.
            if (found := parse_id(value)) is not None:
                yield found
        case _:
            refuse("invalidFilter", "members must be selected by value eq", "members")
