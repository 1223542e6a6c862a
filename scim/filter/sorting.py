"""From ``sortBy`` to an order (RFC 7644 §3.4.2.3), with the type and the case rule of the schema."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from identity.model.listing import Order, SortKey
from identity.model.query import Operand
from scim.errors import ScimType, refuse
from scim.filter.grammar import parse_attribute_path
from scim.filter.resolve import ResolvedAttribute, Resolver, UnknownAttribute, is_stored, operand_of
from scim.schema.resource_types import ResourceType

SCIM_TYPE = ScimType.INVALID_VALUE  # RFC 7644 table 9: invalidPath is of PATCH alone
BY_ID = SortKey(Operand(("id",), case_exact=True))
LIKE_ID = frozenset({("meta", "location"), ("schemas",)})
"""Made for each answer: within one resource type, a location sorts like the id, and all ``schemas`` are equal."""


def parse_sort(by: str, types: Sequence[ResourceType], *, descending: bool) -> Order:
    """Return the order by an attribute of at least one of ``types``. Raises ``InvalidRequest`` (``invalidValue``)."""
    path = parse_attribute_path(by, SCIM_TYPE)
    if path is None:
        refuse(SCIM_TYPE, "must be an attribute or a sub-attribute", "sortBy")
    keys, unknown = {}, []
    for type_ in types:
        try:
            keys[type_.kind] = _key(path, Resolver(type_, SCIM_TYPE))
        except UnknownAttribute as refusal:
            unknown.append(refusal)  # its resources have no value of it (RFC 7644 §3.4.2.1)
    if not keys:
        raise unknown[0]
    if len({key.operand.type for key in keys.values()}) > 1:
        detail = "the resource types define this attribute with different types; sort one resource type"
        refuse(SCIM_TYPE, detail, "sortBy")
    return Order(keys, descending)


def _key(path: Any, resolver: Resolver) -> SortKey:
    found = resolver.find(path)
    if not isinstance(found, ResolvedAttribute):
        refuse(SCIM_TYPE, "must be an attribute, not a schema URN", "sortBy")
    attribute, sub, at = found.attribute, found.sub, found.path
    if (at if sub is None else (*at, sub.name)) in LIKE_ID:
        return BY_ID
    if sub is None and attribute.is_complex:
        sub = resolver.sub_attribute(attribute, "value")  # RFC 7643 §2.4: the default sub-attribute
    last = sub or attribute
    if sub is not None and attribute.multi_valued and sub.multi_valued:
        refuse(SCIM_TYPE, "must not be a multi-valued part of a multi-valued attribute", "sortBy")
    if sub is not None and not is_stored(attribute, sub):
        refuse(SCIM_TYPE, "the attribute is not stored; sort by value", "sortBy")
    within = (sub.name,) if sub else ()
    if attribute.multi_valued:
        return SortKey(operand_of(within, last), operand_of(at, attribute))
    if last.multi_valued:
        return SortKey(operand_of((), last), operand_of((*at, *within), last))
    operand = operand_of((*at, *within), last)
    return SortKey(replace(operand, case_exact=True) if at == ("id",) else operand)
