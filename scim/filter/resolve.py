"""From the text of a filter to a condition whose every attribute is resolved and every literal typed.

Nothing is ever dropped: what does not resolve is refused (RFC 7644 §3.4.2.2), so no filter means "all rows".
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

from scim2_filter_parser import ast

from identity.model.errors import InvalidRequest
from identity.model.principal import Kind
from identity.model.query import (
    ALWAYS,
    NEVER,
    And,
    AnyElement,
    Comparison,
    Condition,
    Literal,
    Not,
    Operand,
    Operator,
    Or,
    Presence,
    ValueType,
    comparisons_in,
    matches,
)
from scim.errors import refuse, shown_name
from scim.filter.grammar import parse
from scim.limits import FILTER_COMPARISONS_MAX
from scim.schema.resource_types import Attribute, ResourceType, Returned, Schema, Type, every_resource

VALUE_TYPES = {
    Type.BOOLEAN: ValueType.BOOLEAN,
    Type.DECIMAL: ValueType.NUMBER,
    Type.INTEGER: ValueType.NUMBER,
    Type.DATE_TIME: ValueType.INSTANT,
    Type.COMPLEX: ValueType.COMPLEX,
}
TEXT_OPERATORS = frozenset({Operator.CO, Operator.SW, Operator.EW})
UNORDERED = frozenset({Type.BOOLEAN, Type.BINARY})


class UnknownAttribute(InvalidRequest):
    """A resource type has no attribute of this name. ``name`` is in lower case."""

    def __init__(self, detail: str, *, name: str, reason: str) -> None:
        super().__init__(detail, reason=reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class ResolvedAttribute:
    """Where an attribute is: under an extension's key or at the top, with the sub-attribute that was named."""

    prefix: tuple[str, ...]
    attribute: Attribute
    sub: Attribute | None = None


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolve one syntax tree against one resource type, or refuse it as ``scim_type``."""

    type: ResourceType
    scim_type: str

    def no(self, detail: str) -> NoReturn:
        """Refuse."""
        refuse(self.scim_type, detail)

    def unknown(self, uri: str | None, name: str) -> NoReturn:
        """Refuse a name that the resource type does not know."""
        shown = shown_name(_shown(uri, name))
        raise UnknownAttribute(f"{self.type.name} has no attribute {shown}", name=shown.lower(), reason=self.scim_type)

    def find(self, path: Any) -> ResolvedAttribute | Schema:
        """Return the attribute, or the whole schema, that an attribute path names."""
        name, sub = path.attr_name, path.sub_attr.value if path.sub_attr else None
        if path.uri is not None and sub is None and (schema := self.type.schema_of(f"{path.uri}:{name}")):
            return schema
        prefix, attribute = self._attribute(path.uri, name)
        if attribute is None or attribute.returned is Returned.NEVER:
            self.unknown(path.uri, name)
        return ResolvedAttribute(prefix, attribute, self.sub_attribute(attribute, sub) if sub is not None else None)

    def _attribute(self, uri: str | None, name: str) -> tuple[tuple[str, ...], Attribute | None]:
        if uri is None:
            return (), self.type.attribute(name)
        schema = self.type.schema_of(uri)
        if schema is None:
            self.unknown(uri, name)
        if schema is self.type.schema:
            return (), self.type.attribute(name)
        return (schema.id,), schema.attribute(name)

    def sub_attribute(self, attribute: Attribute, name: str) -> Attribute:
        """Return a sub-attribute; of a multi-valued attribute without any, ``value`` is the element itself."""
        found = attribute.sub_attribute(name)
        if found is None:
            self.unknown(None, f"{attribute.name}.{name}")
        return found

    # --- conditions ---

    def condition(self, node: Any, within: Attribute | None = None) -> Condition:
        """Return what a node of the syntax tree asks for, inside the brackets of ``within`` if given."""
        match node:
            case ast.Filter(expr=expr, negated=negated, namespace=None):
                inner = self.condition(expr, within)
                return Not(inner) if negated else inner
            case ast.Filter(expr=expr, namespace=container):
                return self._value_path(container, expr, within)
            case ast.LogExpr(op=op, expr1=left, expr2=right):
                join = And if op.lower() == "and" else Or
                return _flat(join, self.condition(left, within), self.condition(right, within))
            case ast.AttrExpr(value=op, attr_path=path, comp_value=literal):
                return self._term(op.lower(), path, literal, within)
            case _:
                return self.no("the filter does not match the grammar of RFC 7644 section 3.4.2.2")

    def _value_path(
        self, container: Any, expr: Any, within: Attribute | None, also: Condition | None = None
    ) -> Condition:
        if within is not None or isinstance(container.attr_name, ast.Filter):
            self.no("a value path must not contain another value path")
        found = self.find(container)
        if isinstance(found, Schema) or not found.attribute.multi_valued:
            self.no("a value path is supported for multi-valued attributes only")
        inner = self.condition(expr, found.attribute)
        if found.attribute.name == "schemas":
            return self._having(inner if also is None else _flat(And, inner, also))
        operand = operand_of((*found.prefix, found.attribute.name), found.attribute)
        return AnyElement(operand, inner if also is None else _flat(And, inner, also))

    def _term(self, op: str, path: Any, literal: Any, within: Attribute | None) -> Condition:
        value = None if literal is None else literal.value
        if isinstance(path.attr_name, ast.Filter):
            return self._selected(op, path.attr_name, value, within)
        if within is not None:
            return self._inner_term(op, path, value, within)
        found = self.find(path)
        if isinstance(found, Schema):
            return self._schema_presence(op, found)
        if found.attribute.name == "schemas":
            return self._schemas(op, value)
        return self._compared(op, value, lambda build: self._leaf(found, build))

    def _selected(self, op: str, selection: Any, value: Any, within: Attribute | None) -> Condition:
        """``emails[type eq "work"].value eq "x"``: one element satisfies both."""
        container = selection.namespace
        if container is None or container.sub_attr is None or isinstance(container.attr_name, ast.Filter):
            self.no("a value path must name a sub-attribute to compare")
        plain = ast.AttrPath(container.attr_name, None, container.uri)
        found = self.find(plain)
        if isinstance(found, Schema):
            self.no("a value path must name an attribute, not a schema")
        compared = self._inner_term(op, ast.AttrPath(container.sub_attr.value, None, None), value, found.attribute)
        return self._value_path(plain, selection.expr, within, compared)

    def _inner_term(self, op: str, path: Any, value: Any, within: Attribute) -> Condition:
        if path.uri is not None or path.sub_attr is not None:
            self.no("a value filter must name sub-attributes without a schema URN")
        if not within.is_complex and path.attr_name.lower() == "value":
            return self._compared(op, value, lambda build: build(operand_of((), within), within))
        sub = self.sub_attribute(within, path.attr_name)
        return self._compared(op, value, lambda build: self._part((sub.name,), sub, build, within))

    def _compared(self, op: str, value: Any, leaf: "Callable[[Build], Condition]") -> Condition:
        """``ne`` is not ``eq``; null is the absence of a value (RFC 7643 §2.5)."""
        if op == "pr":
            return leaf(_presence)
        if value is None:
            present = leaf(_presence)
            if op not in ("eq", "ne"):
                self.no(f"null cannot be compared with {op}")
            return present if op == "ne" else Not(present)
        operator = Operator.EQ if op == "ne" else Operator(op)
        compared = leaf(lambda operand, attribute: self._comparison(operand, attribute, operator, value))
        return Not(compared) if op == "ne" else compared

    def _comparison(self, operand: Operand, attribute: Attribute, operator: Operator, value: Any) -> Condition:
        if operator in TEXT_OPERATORS and operand.type is not ValueType.STRING:
            self.no(f"{attribute.name} is {attribute.type}: it cannot be compared with {operator}")
        if operator not in TEXT_OPERATORS | {Operator.EQ} and attribute.type in UNORDERED:
            self.no(f"{attribute.name} is {attribute.type}: its values have no order")
        return Comparison(operand, operator, self._literal(attribute, value))

    def _leaf(self, found: ResolvedAttribute, build: "Build") -> Condition:
        attribute, sub = found.attribute, found.sub
        path = (*found.prefix, attribute.name)
        if sub is None and attribute.is_complex:
            if build is _presence and not attribute.multi_valued:
                return Or(tuple(build(operand_of((*path, s.name), s), s) for s in _stored_subs(attribute)))
            if build is _presence:
                elements = Or(tuple(build(operand_of((s.name,), s), s) for s in _stored_subs(attribute)))
                return AnyElement(operand_of(path, attribute), elements)
            sub = self.sub_attribute(attribute, "value")  # RFC 7643 §2.4: what a plain name of it means
        if sub is None:
            return self._part(path, attribute, build)
        if attribute.multi_valued:
            return AnyElement(operand_of(path, attribute), self._part((sub.name,), sub, build, attribute))
        return self._part((*path, sub.name), sub, build, attribute)

    def _part(
        self, path: tuple[str, ...], part: Attribute, build: "Build", within: Attribute | None = None
    ) -> Condition:
        """What ``build`` makes of an attribute, or of a part of one; of several values, of any of them."""
        if within is not None and not is_stored(within, part):
            self.no(f"{part.name} is not supported in filters")
        operand = operand_of(path, part)
        if part.multi_valued:
            return AnyElement(operand, build(operand_of((), part), part))
        return build(operand, part)

    def _schema_presence(self, op: str, schema: Schema) -> Condition:
        if op != "pr":
            self.no("a schema URN can only be tested with pr")
        if schema is self.type.schema:
            return ALWAYS
        return Presence(Operand((schema.id,), ValueType.COMPLEX))

    def _schemas(self, op: str, value: Any) -> Condition:
        """``schemas`` is not stored: a resource has its core schema, and each extension of which it has values."""
        names = every_resource().attributes["schemas"]
        element = self._compared(op, value, lambda build: build(operand_of((), names), names))
        if isinstance(element, Not):
            return Not(self._having(element.term))
        return self._having(element)

    def _having(self, asked: Condition) -> Condition:
        having = [schema for schema in self.type.schemas() if matches(asked, schema.id)]
        return Or(tuple(self._schema_presence("pr", schema) for schema in having))

    def _literal(self, attribute: Attribute, value: Any) -> Literal:
        match attribute.type, value:
            case Type.BOOLEAN, bool():
                return value
            case Type.BOOLEAN, str() if value.lower() in ("true", "false"):
                return value.lower() == "true"  # Entra compares booleans with strings
            case ((Type.DECIMAL | Type.INTEGER), Decimal()):
                return value
            case Type.DATE_TIME, str():
                return parse_instant(value) or self.no(f"{attribute.name} must be compared with an xsd:dateTime")
            case ((Type.STRING | Type.REFERENCE | Type.BINARY), str()):
                return value
        return self.no(f"{attribute.name} must be compared with a value of type {attribute.type}")


Build = Callable[[Operand, Attribute], Condition]


def parse_filter(text: str, type_: ResourceType) -> Condition:
    """Return the condition that a filter states. Raises ``InvalidRequest`` (``invalidFilter``, ``tooMany``)."""
    found = Resolver(type_, "invalidFilter").condition(parse(text, "invalidFilter"))
    _check_cost([found])
    return found


def parse_filter_of_all(text: str, types: Sequence[ResourceType]) -> Mapping[Kind, Condition]:
    """Return what a filter states of each resource type.

    To a type that does not know an attribute it has no value (RFC 7644 §3.4.2.1); one that no type knows is refused.
    Raises ``InvalidRequest`` (``invalidFilter``, ``tooMany``).
    """
    tree = parse(text, "invalidFilter")
    resolvers = [_LenientResolver(type_, "invalidFilter") for type_ in types]
    found = {resolver.type.kind: resolver.condition(tree) for resolver in resolvers}
    for name in sorted(set().union(*(resolver.missing for resolver in resolvers))):
        if all(resolver.misses(name) for resolver in resolvers):
            refuse("invalidFilter", f"no resource type has the attribute {name}")
    _check_cost(found.values())
    return found


def _check_cost(conditions: Iterable[Condition]) -> None:
    """One term may stand for many: the presence of each sub-attribute, and that in each resource type."""
    if sum(map(comparisons_in, conditions)) > FILTER_COMPARISONS_MAX:
        refuse("tooMany", f"a filter must make at most {FILTER_COMPARISONS_MAX} comparisons, over all resource types")


@dataclass(frozen=True, slots=True)
class _LenientResolver(Resolver):
    """Takes what its type does not know for absent, and remembers it."""

    missing: set[str] = field(default_factory=set)

    def misses(self, name: str) -> bool:
        """Return whether the type lacks an attribute, or that of which it is a part."""
        return any(f"{name}.".startswith(f"{missing}.") for missing in self.missing)

    def _term(self, op: str, path: Any, literal: Any, within: Attribute | None) -> Condition:
        try:
            return Resolver._term(self, op, path, literal, within)
        except UnknownAttribute as refusal:
            self.missing.add(refusal.name)
            is_null = literal is not None and literal.value is None
            return ALWAYS if (op, is_null) in (("ne", False), ("eq", True)) else NEVER

    def _value_path(
        self, container: Any, expr: Any, within: Attribute | None, also: Condition | None = None
    ) -> Condition:
        try:
            return Resolver._value_path(self, container, expr, within, also)
        except UnknownAttribute as refusal:
            self.missing.add(refusal.name)
            return NEVER


XSD_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_instant(text: str) -> datetime | None:
    """Return the instant of an xsd:dateTime, in UTC; one without an offset is taken as UTC. None for anything else."""
    if XSD_DATE_TIME.fullmatch(text) is None:  # Python takes week dates, and much else that no client could read back
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _presence(operand: Operand, attribute: Attribute) -> Condition:
    del attribute
    return Presence(operand)


def operand_of(path: tuple[str, ...], attribute: Attribute) -> Operand:
    """Return how an attribute at a path compares."""
    return Operand(path, VALUE_TYPES.get(attribute.type, ValueType.STRING), attribute.case_exact)


def is_stored(attribute: Attribute, sub: Attribute) -> bool:
    """Return whether a sub-attribute has a value of its own; what is made of our own address for an answer has not."""
    is_ours = (attribute.is_link and sub.name == "$ref") or (attribute is META and sub.name == "location")
    return not is_ours


META = every_resource().attributes["meta"]


def _stored_subs(attribute: Attribute) -> list[Attribute]:
    return [sub for sub in attribute.sub_attributes.values() if is_stored(attribute, sub)]


def _flat(join: type[And] | type[Or], left: Condition, right: Condition) -> Condition:
    terms: tuple[Condition, ...] = ()
    for side in (left, right):
        terms += side.terms if isinstance(side, join) else (side,)
    return join(terms)


def _shown(uri: str | None, name: str) -> str:
    return name if uri is None else f"{uri}:{name}"
