"""From ``sortBy`` to an order (RFC 7644 §3.4.2.3): the attribute resolved, its case rule and type the schema's."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scim2_filter_parser import ast

from identity.model.listing import Order, SortKey
from identity.model.query import Operand
from scim.errors import refuse
from scim.filter.grammar import parse
from scim.filter.resolve import ResolvedAttribute, Resolver, UnknownAttribute, is_stored, operand_of
from scim.schema.resource_types import ResourceType

SCIM_TYPE = "invalidValue"  # RFC 7644 table 9: invalidPath is of PATCH alone
BY_ID = SortKey(Operand(("id",), case_exact=True))
LIKE_ID = frozenset({("meta", "location"), ("schemas",)})
"""Made for each answer: within one resource type the one is in the order of ids, the other the same for all."""


def parse_sort(by: str, types: Sequence[ResourceType], *, descending: bool) -> Order:
    """Return the order by an attribute that one of ``types`` knows at least. Raises ``InvalidRequest``."""
    path = _path(by)
    keys, unknown = {}, []
    for type_ in types:
        try:
            keys[type_.kind] = _key(path, Resolver(type_, SCIM_TYPE))
        except UnknownAttribute as refusal:
            unknown.append(refusal)  # its resources have no value of it (RFC 7644 §3.4.2.1)
    if not keys:
        raise unknown[0]
    if len({key.operand.type for key in keys.values()}) > 1:
        refuse(
            SCIM_TYPE, "the resource types define this attribute with different types; sort one resource type", "sortBy"
        )
    return Order(keys, descending)


def _path(by: str) -> Any:
    tree: Any = parse(by + " pr", SCIM_TYPE)
    plain = not tree.negated and tree.namespace is None and isinstance(tree.expr, ast.AttrExpr)
    if not plain or tree.expr.value != "pr" or isinstance(tree.expr.attr_path.attr_name, ast.Filter):
        refuse(SCIM_TYPE, "must be an attribute or a sub-attribute", "sortBy")
    return tree.expr.attr_path


def _key(path: Any, resolver: Resolver) -> SortKey:
    found = resolver.find(path)
    if not isinstance(found, ResolvedAttribute):
        refuse(SCIM_TYPE, "must be an attribute, not a schema URN", "sortBy")
    attribute, sub, at = found.attribute, found.sub, (*found.prefix, found.attribute.name)
    if (at if sub is None else (*at, sub.name)) in LIKE_ID:
        return BY_ID
    if sub is None and attribute.is_complex:
        sub = resolver.sub_attribute(attribute, "value")  # RFC 7643 §2.4: what a plain name of it means
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
