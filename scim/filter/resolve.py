"""From the text of a filter to a condition with every attribute resolved and every literal typed (RFC 7644 §3.4.2.2).

A term that does not resolve is refused and never dropped, so no filter comes to mean "all rows".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from identity.model.schema import Attribute, Returned, Schema, Type
from scim.errors import ScimType, refuse, shown_name
from scim.filter.grammar import parse
from scim.limits import FILTER_COMPARISONS_MAX
from scim.schema.resource_types import ResourceType, every_resource
from scim.schema.values import parse_instant

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
    """An attribute with its sub-attribute, if one was named. ``prefix`` holds the URN of its extension, if any."""

    prefix: tuple[str, ...]
    attribute: Attribute
    sub: Attribute | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the attribute in a document, without the sub-attribute."""
        return (*self.prefix, self.attribute.name)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolve a syntax tree against one resource type. Refusals have the ``scim_type``.

    Unknown attributes are refused as ``UnknownAttribute``. With a set ``missing`` they have no value instead, and their
    names are added to the set (RFC 7644 §3.4.2.1).
    """

    type: ResourceType
    scim_type: ScimType
    missing: set[str] | None = None

    def find(self, path: Any) -> ResolvedAttribute | Schema:
        """Return the attribute, or the whole schema, that an attribute path names."""
        name, sub = path.attr_name, path.sub_attr.value if path.sub_attr else None
        if path.uri is not None and sub is None and (schema := self.type.schema_of(f"{path.uri}:{name}")):
            return schema
        prefix, attribute = self._attribute(path.uri, name)
        if attribute is None or attribute.returned is Returned.NEVER:
            self._unknown(path.uri, name)
        return ResolvedAttribute(prefix, attribute, self.sub_attribute(attribute, sub) if sub is not None else None)

    def _attribute(self, uri: str | None, name: str) -> tuple[tuple[str, ...], Attribute | None]:
        schema = self.type.schema if uri is None else self.type.schema_of(uri)
        if schema is None:
            self._unknown(uri, name)
        if schema is self.type.schema:
            return (), self.type.attribute(name)
        return (schema.id,), schema.attribute(name)

    def sub_attribute(self, attribute: Attribute, name: str) -> Attribute:
        """Return a sub-attribute. Raises ``UnknownAttribute``."""
        found = attribute.sub_attribute(name)
        if found is None:
            self._unknown(None, f"{attribute.name}.{name}")
        return found

    def _unknown(self, uri: str | None, name: str) -> NoReturn:
        shown = shown_name(name if uri is None else f"{uri}:{name}")
        raise UnknownAttribute(f"{self.type.name} has no attribute {shown}", name=shown.lower(), reason=self.scim_type)

    def _refuse(self, detail: str) -> NoReturn:
        refuse(self.scim_type, detail)

    # --- conditions ---

    def condition(self, node: Any, within: Attribute | None = None) -> Condition:
        """Return the condition of a node of the syntax tree. ``within`` is the attribute before the brackets."""
        try:
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
                    return self._term(op.lower(), path, None if literal is None else literal.value, within)
        except UnknownAttribute as refusal:
            if self.missing is None:
                raise
            self.missing.add(refusal.name)
            is_term = isinstance(node, ast.AttrExpr)
            is_negated = is_term and _is_negation(node.value.lower(), node.comp_value and node.comp_value.value)
            return ALWAYS if is_negated else NEVER
        return self._refuse("the filter does not match the grammar of RFC 7644 section 3.4.2.2")

    def _value_path(
        self, container: Any, expr: Any, within: Attribute | None, also: Condition | None = None
    ) -> Condition:
        """``emails[type eq "work"]``: one element satisfies the whole of the brackets, and ``also``."""
        if within is not None or isinstance(container.attr_name, ast.Filter):
            self._refuse("a value path must not contain another value path")
        found = self.find(container)
        if isinstance(found, Schema) or not found.attribute.multi_valued:
            self._refuse("a value path is supported for multi-valued attributes only")
        inner = self.condition(expr, found.attribute)
        if also is not None:
            inner = _flat(And, inner, also)
        if found.attribute.name == "schemas":
            return self._having(inner)
        return AnyElement(operand_of(found.path, found.attribute), inner)

    def _term(self, op: str, path: Any, value: Any, within: Attribute | None) -> Condition:
        if isinstance(path.attr_name, ast.Filter):
            return self._selected(op, path.attr_name, value, within)
        if within is not None:
            return self._inner_term(op, path, value, within)
        found = self.find(path)
        if isinstance(found, Schema):
            return self._schema_presence(op, found)
        if found.attribute.name == "schemas":
            condition = self._having(self._test(op, value, (), found.attribute))
        else:
            condition = self._attribute_test(op, value, found)
        return Not(condition) if _is_negation(op, value) else condition

    def _selected(self, op: str, selection: Any, value: Any, within: Attribute | None) -> Condition:
        """``emails[type eq "work"].value eq "x"``: one element satisfies both."""
        container = selection.namespace
        if container is None or container.sub_attr is None or isinstance(container.attr_name, ast.Filter):
            self._refuse("a value path must name a sub-attribute to compare")
        plain = ast.AttrPath(container.attr_name, None, container.uri)
        found = self.find(plain)
        if isinstance(found, Schema):
            self._refuse("a value path must name an attribute, not a schema")
        compared = self._inner_term(op, ast.AttrPath(container.sub_attr.value, None, None), value, found.attribute)
        return self._value_path(plain, selection.expr, within, compared)

    def _inner_term(self, op: str, path: Any, value: Any, within: Attribute) -> Condition:
        if path.uri is not None or path.sub_attr is not None:
            self._refuse("a value filter must name sub-attributes without a schema URN")
        if not within.is_complex and path.attr_name.lower() == "value":
            condition = self._test(op, value, (), within)
        else:
            sub = self.sub_attribute(within, path.attr_name)
            condition = self._part_test(op, value, (sub.name,), sub, within)
        return Not(condition) if _is_negation(op, value) else condition

    # --- tests of one attribute, not negated ---

    def _attribute_test(self, op: str, value: Any, found: ResolvedAttribute) -> Condition:
        attribute, sub = found.attribute, found.sub
        if sub is None and not attribute.is_complex:
            return self._part_test(op, value, found.path, attribute)
        within = () if attribute.multi_valued else found.path
        if sub is None and value is None:
            stored = [each for each in attribute.sub_attributes.values() if is_stored(attribute, each)]
            condition: Condition = Or(tuple(self._test(op, None, (*within, each.name), each) for each in stored))
        else:
            sub = sub or self.sub_attribute(attribute, "value")  # RFC 7643 §2.4: the default sub-attribute
            condition = self._part_test(op, value, (*within, sub.name), sub, attribute)
        return AnyElement(operand_of(found.path, attribute), condition) if attribute.multi_valued else condition

    def _part_test(
        self, op: str, value: Any, path: tuple[str, ...], part: Attribute, within: Attribute | None = None
    ) -> Condition:
        """Return the test of a simple attribute or sub-attribute; of several values, one must pass."""
        if within is not None and not is_stored(within, part):
            self._refuse(f"{part.name} is not supported in filters")
        if part.multi_valued:
            return AnyElement(operand_of(path, part), self._test(op, value, (), part))
        return self._test(op, value, path, part)

    def _test(self, op: str, value: Any, path: tuple[str, ...], attribute: Attribute) -> Condition:
        """Return the presence test or the comparison that ``op`` states or negates; null is absence (RFC 7643 §2.5)."""
        operand = operand_of(path, attribute)
        if value is None:
            if op not in ("pr", "eq", "ne"):
                self._refuse(f"null cannot be compared with {op}")
            return Presence(operand)
        operator = Operator.EQ if op == "ne" else Operator(op)
        if operator in TEXT_OPERATORS and operand.type is not ValueType.STRING:
            self._refuse(f"{attribute.name} is {attribute.type}: it cannot be compared with {operator}")
        if operator not in TEXT_OPERATORS | {Operator.EQ} and attribute.type in UNORDERED:
            self._refuse(f"{attribute.name} is {attribute.type}: its values have no order")
        return Comparison(operand, operator, self._literal(attribute, value))

    def _literal(self, attribute: Attribute, value: Any) -> Literal:
        match attribute.type, value:
            case Type.BOOLEAN, bool():
                return value
            case Type.BOOLEAN, str() if value.lower() in ("true", "false"):
                return value.lower() == "true"  # Entra compares booleans with strings
            case ((Type.DECIMAL | Type.INTEGER), Decimal()):
                return value
            case Type.DATE_TIME, str():
                return parse_instant(value) or self._refuse(f"{attribute.name} must be compared with an xsd:dateTime")
            case ((Type.STRING | Type.REFERENCE | Type.BINARY), str()):
                return value
        return self._refuse(f"{attribute.name} must be compared with a value of type {attribute.type}")

    # --- schemas: not stored; a resource has its core schema, and each extension of which it has values ---

    def _schema_presence(self, op: str, schema: Schema) -> Condition:
        if op != "pr":
            self._refuse("a schema URN can only be tested with pr")
        if schema is self.type.schema:
            return ALWAYS
        return Presence(Operand((schema.id,), ValueType.COMPLEX))

    def _having(self, condition: Condition) -> Condition:
        """Return the condition that a resource has one of the schemas whose ids satisfy ``condition``."""
        having = [schema for schema in self.type.schemas() if matches(condition, schema.id)]
        return Or(tuple(self._schema_presence("pr", schema) for schema in having))


def parse_filter(text: str, type_: ResourceType) -> Condition:
    """Return the condition that a filter states. Raises ``InvalidRequest`` (``invalidFilter``, ``tooMany``)."""
    found = Resolver(type_, ScimType.INVALID_FILTER).condition(parse(text, ScimType.INVALID_FILTER))
    _check_cost([found])
    return found


def parse_filter_of_all(text: str, types: Sequence[ResourceType]) -> Mapping[Kind, Condition]:
    """Return the condition that a filter states, for each resource type.

    An attribute that a type does not have is without a value there (RFC 7644 §3.4.2.1). Raises ``InvalidRequest``
    (``invalidFilter``, also for an attribute that no type has; ``tooMany``).
    """
    tree = parse(text, ScimType.INVALID_FILTER)
    missing: list[set[str]] = [set() for _ in types]
    found = {
        type_.kind: Resolver(type_, ScimType.INVALID_FILTER, names).condition(tree)
        for type_, names in zip(types, missing, strict=True)
    }
    for name in sorted(set().union(*missing)):
        if all(any(f"{name}.".startswith(f"{each}.") for each in names) for names in missing):
            refuse(ScimType.INVALID_FILTER, f"no resource type has the attribute {name}")
    _check_cost(found.values())
    return found


def _check_cost(conditions: Iterable[Condition]) -> None:
    """One term may become many: the presence of each sub-attribute, in each resource type."""
    if sum(map(comparisons_in, conditions)) > FILTER_COMPARISONS_MAX:
        detail = f"a filter must make at most {FILTER_COMPARISONS_MAX} comparisons, over all resource types"
        refuse(ScimType.TOO_MANY, detail)


def operand_of(path: tuple[str, ...], attribute: Attribute) -> Operand:
    """Return the operand for an attribute at a path, with its type and case rule."""
    return Operand(path, VALUE_TYPES.get(attribute.type, ValueType.STRING), attribute.case_exact)


META = every_resource().attributes["meta"]


def is_stored(attribute: Attribute, sub: Attribute) -> bool:
    """Return whether a sub-attribute is stored; ``$ref`` and ``meta.location`` are made for each answer."""
    is_made = (attribute.is_link and sub.name == "$ref") or (attribute is META and sub.name == "location")
    return not is_made


def _is_negation(op: str, value: Any) -> bool:
    """``ne`` negates ``eq``, and ``eq null`` negates presence (RFC 7643 §2.5)."""
    return op == ("eq" if value is None else "ne")


def _flat(join: type[And] | type[Or], left: Condition, right: Condition) -> Condition:
    terms: tuple[Condition, ...] = ()
    for side in (left, right):
        terms += side.terms if isinstance(side, join) else (side,)
    return join(terms)
