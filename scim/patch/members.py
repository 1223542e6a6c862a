"""Members of a group in a PATCH (RFC 7644 §3.5.2): set deltas, whatever the size of the group."""

from collections.abc import Iterator
from uuid import UUID

from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.query import Comparison, Condition, Operator, Or
from scim.dialects import Dialect, Operation
from scim.errors import ScimType, refuse
from scim.filter.paths import Path
from scim.schema.resource_types import ResourceType
from scim.schema.values import canonical_elements, link_id


def is_members(type_: ResourceType, path: Path) -> bool:
    """Return whether a path names the members of a group."""
    return path.attribute is not None and path.attribute is type_.rows("members")


def member_change(operation: Operation, path: Path, dialect: Dialect) -> MemberChange:
    """Return the change of members that an operation states. No member is read. Raises ``InvalidRequest``."""
    attribute = path.attribute
    assert attribute is not None  # noqa: S101 - is_members is true
    if path.sub is not None or (path.selection is not None and operation.op != "remove"):
        refuse(ScimType.MUTABILITY, "a member can be added or removed, not changed", "members")
    if path.selection is not None:
        return MemberChange(remove=frozenset(_selected_members(path.selection)))
    if operation.op == "remove" and not operation.has_value:
        return MemberChange(replace=True)
    if operation.value is None:
        refuse(ScimType.INVALID_VALUE, "null is ambiguous: send the members, or []", "members")
    values = operation.value if isinstance(operation.value, list) else [operation.value]
    links = canonical_elements(attribute, values, dialect.value_rules, attribute.name)
    ids = frozenset(link_id(attribute, link) for link in links)
    if operation.op == "remove":  # only the named ones, though RFC 7644 §3.5.2.2 allows to ignore the value
        return MemberChange(remove=ids)
    return MemberChange(replace=operation.op == "replace", add=ids)


def _selected_members(selection: Condition) -> Iterator[UUID]:
    match selection:
        case Or(terms):
            for term in terms:
                yield from _selected_members(term)
        case Comparison(operand, Operator.EQ, str() as value) if operand.path == ("value",):
            # A text that is no id names no member: there is nothing to remove.
            if (found := parse_id(value)) is not None:
                yield found
        case _:
            refuse(ScimType.INVALID_FILTER, "members must be selected by value eq", "members")
