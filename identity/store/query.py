"""Compile a condition on documents to SQL over ``principals`` and the rows beside them.

Attributes with a column use it, and its index; everything else reads the stored document. Texts are matched with
position(), starts_with() and right(): there is no pattern language, so no character of a value means anything.
A comparison with nothing is NULL, which counts as false everywhere but under NOT; so NOT alone turns it into false.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Numeric,
    Text,
    and_,
    case,
    cast,
    column,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from identity.model.ids import parse_id
from identity.model.lifecycle import State
from identity.model.principal import CUSTOM, NAME_ATTRIBUTES, Kind
from identity.model.query import (
    And,
    AnyElement,
    Comparison,
    Condition,
    Not,
    Operand,
    Operator,
    Or,
    Presence,
    ValueType,
    fold,
)
from identity.model.resource_type import BUILT_IN
from identity.store.tables import group_members, principal_emails, principal_owners, principals

Clause = ColumnElement[bool]
TYPE_NAMES = {kind: name for name, kind in BUILT_IN.items()}
ORDER: Mapping[Operator, Callable[[ColumnElement[Any], Any], Clause]] = {
    Operator.EQ: lambda found, wanted: found == wanted,
    Operator.GT: lambda found, wanted: found > wanted,
    Operator.GE: lambda found, wanted: found >= wanted,
    Operator.LT: lambda found, wanted: found < wanted,
    Operator.LE: lambda found, wanted: found <= wanted,
}
MEMBERSHIP = "direct"
"""The ``type`` of every group that a principal is shown to be in (RFC 7643 §4.1.2); a group within a group is not."""
RELATIONS: Mapping[tuple[str, ...], tuple[Any, str, str]] = {
    ("members",): (group_members, "group_id", "member_id"),
    ("groups",): (group_members, "member_id", "group_id"),
    ("owners",): (principal_owners, "principal_id", "owner_id"),
}
"""Attributes that are rows beside a principal: the table, our column in it, and theirs."""


def compile_condition(condition: Condition, *, kind: Kind, tenant_id: UUID) -> Clause:
    """Return the clause on ``principals`` that is true for exactly the principals that satisfy ``condition``.

    The statement around it must name the tenant and the kind of ``principals``; every subquery in it does too.
    """
    return _compile(condition, _Principal(kind, tenant_id))


def _compile(condition: Condition, scope: "_Scope") -> Clause:
    match condition:
        case And(terms):
            return and_(true(), *(_compile(term, scope) for term in terms))
        case Or(terms):
            return or_(false(), *(_compile(term, scope) for term in terms))
        case Not(term):
            return not_(func.coalesce(_compile(term, scope), false()))
        case Comparison():
            return scope.compare(condition)
        case Presence(operand):
            return scope.has(operand)
        case AnyElement(container, inner):
            return scope.any_element(container, inner)


# --- comparing one value ---------------------------------------------------------------------------------------


def _compare_text(found: ColumnElement[Any], operator: Operator, wanted: ColumnElement[Any]) -> Clause:
    match operator:
        case Operator.EQ:
            return found == wanted
        case Operator.CO:
            return func.position(wanted.op("IN")(found)) > 0
        case Operator.SW:
            return func.starts_with(found, wanted)
        case Operator.EW:
            return func.right(found, func.char_length(wanted)) == wanted
        case _:
            return _compare_order(found.collate("C"), operator, wanted)


def _compare_order(found: ColumnElement[Any], operator: Operator, wanted: Any) -> Clause:
    return ORDER[operator](found, wanted)


def _compare_json(comparison: Comparison, value: ColumnElement[Any], text: ColumnElement[Any]) -> Clause:
    """Compare a JSON value, given also as text. A value of another type than the schema's never matches."""
    operand, wanted = comparison.operand, comparison.value
    match operand.type:
        case ValueType.BOOLEAN:
            return value == literal(wanted, JSONB)
        case ValueType.NUMBER:
            number = case((func.jsonb_typeof(value) == "number", cast(text, Numeric)))
            return _compare_order(number, comparison.operator, literal(wanted, Numeric))
        case ValueType.INSTANT:
            return _compare_order(cast(text, DateTime(timezone=True)), comparison.operator, wanted)
        case _ if operand.case_exact:
            return _compare_text(text, comparison.operator, literal(wanted, Text))
        case _:
            # The server folds both sides: what is not a column of ours has no folded form stored.
            return _compare_text(func.lower(text), comparison.operator, func.lower(literal(wanted, Text)))


# --- where values are ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Json:
    """A document, or one element of a multi-valued attribute of it."""

    document: ColumnElement[Any]
    depth: int = 0

    def value(self, path: tuple[str, ...]) -> ColumnElement[Any]:
        return func.jsonb_extract_path(self.document, *path, type_=JSONB) if path else self.document

    def text(self, path: tuple[str, ...]) -> ColumnElement[Any]:
        if not path:
            return self.document.op("#>>", return_type=Text())(literal([], ARRAY(Text)))
        return func.jsonb_extract_path_text(self.document, *path, type_=Text)

    def compare(self, comparison: Comparison) -> Clause:
        path = comparison.operand.path
        return _compare_json(comparison, self.value(path), self.text(path))

    def has(self, operand: Operand) -> Clause:
        return func.coalesce(self.text(operand.path), "") != ""

    def any_element(self, container: Operand, inner: Condition) -> Clause:
        value = self.value(container.path)
        is_array = func.jsonb_typeof(value) == "array"
        elements = func.jsonb_array_elements(case((is_array, value), else_=literal([], JSONB)))
        name = f"element_{self.depth}"
        element = elements.table_valued(column("value", JSONB), name=name)
        scope = _Json(element.c.value, self.depth + 1)
        return exists(select(literal(1)).select_from(element).where(_compile(inner, scope)))


@dataclass(frozen=True, slots=True)
class _Related:
    """One principal that rows beside the outer one name: a member, an owner, a group it is in."""

    other_id: ColumnElement[Any]
    other: Any
    is_group: bool

    def compare(self, comparison: Comparison) -> Clause:
        return _compare_column(comparison, self._column(comparison.operand))

    def has(self, operand: Operand) -> Clause:
        return self._column(operand).found.is_not(None)

    def any_element(self, container: Operand, inner: Condition) -> Clause:
        raise AssertionError(f"{container.path} of {inner} is not multi-valued")

    def _column(self, operand: Operand) -> "_Column":
        match operand.path:
            case ("value",):
                return _Column(self.other_id, is_id=True)
            case ("display",):
                return _Column(func.lower(func.coalesce(self.other.c.display_name, self.other.c.name)), func.lower)
            case ("type",) if self.is_group:
                return _Column(literal(MEMBERSHIP, Text), func.lower)
            case ("type",):
                return _Column(func.lower(shown_of(self.other.c.kind)), func.lower)
            case _:
                raise AssertionError(f"{operand.path} has no column")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column, and how a wanted value is brought into its form."""

    found: ColumnElement[Any]
    prepare: Callable[[str], Any] | None = None
    is_id: bool = False


def _compare_column(comparison: Comparison, where: _Column) -> Clause:
    wanted = comparison.value
    if where.is_id:
        return _compare_id(where.found, comparison.operator, str(wanted))
    if not isinstance(wanted, str):
        return _compare_order(where.found, comparison.operator, wanted)
    prepared = where.prepare(wanted) if where.prepare else wanted
    bound = literal(prepared, Text) if isinstance(prepared, str) else prepared
    return _compare_text(where.found, comparison.operator, bound)


def _compare_id(found: ColumnElement[Any], operator: Operator, wanted: str) -> Clause:
    if operator is not Operator.EQ:
        return _compare_text(cast(found, Text), operator, literal(wanted, Text))
    parsed = parse_id(wanted)
    return false() if parsed is None else found == parsed


@dataclass(frozen=True, slots=True)
class _Principal:
    """The outer principal: columns where there are any, rows beside it, and its document."""

    kind: Kind
    tenant_id: UUID

    def compare(self, comparison: Comparison) -> Clause:
        operand = comparison.operand
        if operand.path == ("active",):
            return (principals.c.state == State.ACTIVE) == literal(comparison.value)
        if operand.path == _name_path(self.kind):
            return _compare_column(comparison, _Column(principals.c.name_key, fold))
        if found := _column(self.kind, operand.path):
            return _compare_column(comparison, found)
        if operand.path == ("meta", "resourceType"):
            return _compare_text(
                literal(name_of(self.kind), Text), comparison.operator, literal(comparison.value, Text)
            )
        return _Json(principals.c.document).compare(comparison)

    def has(self, operand: Operand) -> Clause:
        if operand.path == ("active",) or operand.path[0] == "meta":
            return true()
        if found := _column(self.kind, operand.path):
            return found.found.is_not(None)
        return _Json(principals.c.document).has(operand)

    def any_element(self, container: Operand, inner: Condition) -> Clause:
        if relation := relation_of(self.kind, container.path):
            return self._related(*relation, inner)
        if self.kind is Kind.USER and container.path == ("emails",) and (keyed := _email_key(inner)) is not None:
            return self._email(keyed)
        return _Json(principals.c.document).any_element(container, inner)

    def _email(self, terms: Mapping[str, str]) -> Clause:
        rows = principal_emails.alias()
        where = [
            rows.c.tenant_id == self.tenant_id,
            rows.c.principal_id == principals.c.id,
            rows.c.value_key == terms["value"].casefold(),
        ]
        if "type" in terms:
            where.append(func.lower(rows.c.type) == func.lower(terms["type"]))
        return exists(select(literal(1)).select_from(rows).where(*where))

    def _related(self, table: Any, ours: str, theirs: str, inner: Condition) -> Clause:
        row, other = table.alias(), principals.alias()
        scope = _Related(row.c[theirs], other, is_group=theirs == "group_id")
        where = (
            row.c.tenant_id == self.tenant_id,
            row.c[ours] == principals.c.id,
            other.c.deleted_at.is_(None),  # the rows of a deleted group or owner stay; it is not shown any more
        )
        source = row.join(other, (other.c.tenant_id == self.tenant_id) & (other.c.id == row.c[theirs]))
        return exists(select(literal(1)).select_from(source).where(*where, _compile(inner, scope)))


def column_of(kind: Kind, path: tuple[str, ...]) -> ColumnElement[Any] | None:
    """Return the column that holds an attribute in the form in which it is compared, or None."""
    if path == _name_path(kind):
        return principals.c.name_key
    found = _column(kind, path)
    return None if found is None else found.found


def relation_of(kind: Kind, path: tuple[str, ...]) -> tuple[Any, str, str] | None:
    """Return the rows beside a principal that an attribute is. What a tenant's own type has is in its document."""
    return None if kind.is_custom else RELATIONS.get(path)


def name_of(kind: Kind) -> str:
    """Return the name of a kind's resource type."""
    return TYPE_NAMES.get(kind) or kind.value.removeprefix(CUSTOM)


def shown_of(kind: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the name of a kind's resource type."""
    names = {kind.value: name for kind, name in TYPE_NAMES.items()}
    return case(names, value=kind, else_=func.substr(kind, len(CUSTOM) + 1))


def _column(kind: Kind, path: tuple[str, ...]) -> _Column | None:
    return None if kind.is_custom and path[0] == "validity" else _COLUMNS.get(path)


def _name_path(kind: Kind) -> tuple[str | None]:
    return (NAME_ATTRIBUTES.get(kind),)


_Scope = _Principal | _Json | _Related

_COLUMNS: Mapping[tuple[str, ...], _Column] = {
    ("id",): _Column(principals.c.id, is_id=True),
    ("externalId",): _Column(principals.c.external_id),
    ("displayName",): _Column(principals.c.display_name_key, str.casefold),
    ("validity", "from"): _Column(principals.c.valid_from),
    ("validity", "until"): _Column(principals.c.valid_until),
    ("meta", "created"): _Column(principals.c.created_at),
    ("meta", "lastModified"): _Column(principals.c.updated_at),
    ("meta", "version"): _Column(func.concat('W/"', principals.c.version, '"', type_=Text)),
}


def _email_key(inner: Condition) -> Mapping[str, str] | None:
    """Return value and type where the condition compares nothing else of one address: then the index answers."""
    terms = inner.terms if isinstance(inner, And) else (inner,)
    wanted: dict[str, str] = {}
    for term in terms:
        if not isinstance(term, Comparison) or term.operator is not Operator.EQ:
            return None
        name = term.operand.path[-1]
        if name not in ("value", "type") or name in wanted:
            return None
        wanted[name] = str(term.value)
    return wanted if "value" in wanted else None
