"""Compile an order to SQL: the sort value of a principal, and what stands beyond a place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    DateTime,
    Numeric,
    String,
    Text,
    Uuid,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

from identity.model.lifecycle import State
from identity.model.listing import SORT_CHARACTERS_MAX, Order, Position, SortKey, SortValue
from identity.model.principal import Kind
from identity.model.query import Operand, ValueType
from identity.store.query import Clause, column_of, name_of, relation_of, shown_of
from identity.store.tables import principals

TYPES: Mapping[ValueType, TypeEngine[Any]] = {
    ValueType.BOOLEAN: Boolean(),
    ValueType.NUMBER: Numeric(),
    ValueType.INSTANT: DateTime(timezone=True),
}
NEVER_ABSENT = (
    principals.c.id,
    principals.c.name_key,
    principals.c.created_at,
    principals.c.updated_at,
)


@dataclass(frozen=True, slots=True)
class CompiledOrder:
    """The rows of ``principals`` in an order; ``value`` is None for the order of ids."""

    value: ColumnElement[Any] | None
    descending: bool
    backward: bool

    @property
    def sort_value(self) -> ColumnElement[Any]:
        """Return what a place keeps of a row."""
        return null() if self.value is None else self.value

    def order_by(self, value: ColumnElement[Any], id_: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """Return the terms of ORDER BY. PostgreSQL's default puts NULL where RFC 7644 §3.4.2.3 wants it."""
        by_id = id_.desc() if self.backward else id_.asc()
        if self.value is None:
            return [by_id]
        return [value.asc() if self._goes_up else value.desc(), by_id]

    def regions(self, position: Position | None) -> list[Clause]:
        """Return conditions that together hold all that is beyond a position; what satisfies the first comes first.

        One region is one range of an index; joined by OR they would be a walk from its beginning.
        """
        if position is None:
            return [true()]
        ids_beyond = self.beyond_id(position.id)
        if self.value is None:
            return [ids_beyond]
        if position.value is None:
            absent = and_(self.value.is_(None), ids_beyond)
            return [absent] if self._goes_up else [absent, self.value.is_not(None)]
        wanted = _bound(position.value)
        here = self.value >= wanted if self._goes_up else self.value <= wanted
        behind = self.value > wanted if self._goes_up else self.value < wanted
        regions = [and_(here, or_(behind, ids_beyond))]
        if self._goes_up and not any(self.value is known for known in NEVER_ABSENT):
            regions.append(self.value.is_(None))
        return regions

    def beyond_id(self, id_: UUID | ColumnElement[Any]) -> Clause:
        """Return the condition on those who come behind an id among equals."""
        return principals.c.id < id_ if self.backward else principals.c.id > id_

    @property
    def _goes_up(self) -> bool:
        return self.descending is self.backward


def compile_order(order: Order | None, kinds: Sequence[Kind], tenant_id: UUID, *, backward: bool) -> CompiledOrder:
    """Return the order of the principals of ``kinds``."""
    if order is None:
        return CompiledOrder(None, descending=False, backward=backward)
    values = {kind: _value(order.keys[kind], kind, tenant_id) for kind in kinds if kind in order.keys}
    found = list(values.values())
    if len(kinds) > 1:
        either = case({kind.value: value for kind, value in values.items()}, value=principals.c.kind)
        found = [either.collate("C") if isinstance(either.type, String) else either]
    return CompiledOrder(found[0], descending=order.descending, backward=backward)


def _bound(value: SortValue) -> ColumnElement[Any]:
    types: dict[type, Any] = {str: Text(), bool: Boolean(), UUID: Uuid()}
    return literal(value, types.get(type(value)))


def _value(key: SortKey, kind: Kind, tenant_id: UUID) -> ColumnElement[Any]:
    if key.container is None:
        return _of_principal(key.operand, kind)
    if relation := relation_of(kind, key.container.path):
        return _of_related(relation, key.operand, tenant_id)
    return _of_element(key.container, key.operand)


def _of_principal(operand: Operand, kind: Kind) -> ColumnElement[Any]:
    if operand.path == ("active",):
        return principals.c.state == State.ACTIVE
    if operand.path == ("meta", "resourceType"):
        return literal(name_of(kind), Text)
    found = column_of(kind, operand.path)
    return _of_json(principals.c.document, operand) if found is None else found


def _of_related(relation: tuple[Any, str, str], operand: Operand, tenant_id: UUID) -> ColumnElement[Any]:
    """Rows beside a principal are shown in the order of ids: the first is the one with the least."""
    table, ours, theirs = relation
    row, other = table.alias(), principals.alias()
    display = func.lower(func.coalesce(other.c.display_name, other.c.name))
    values: Mapping[tuple[str, ...], ColumnElement[Any]] = {
        ("value",): cast(other.c.id, Text),
        ("display",): display,
        ("type",): shown_of(other.c.kind),
    }
    return (
        select(values[operand.path].collate("C"))
        .select_from(row.join(other, (other.c.tenant_id == tenant_id) & (other.c.id == row.c[theirs])))
        .where(row.c.tenant_id == tenant_id, row.c[ours] == principals.c.id, other.c.deleted_at.is_(None))
        .order_by(row.c[theirs])
        .limit(1)
        .correlate(principals)
        .scalar_subquery()
    )


def _of_element(container: Operand, operand: Operand) -> ColumnElement[Any]:
    """Return the value in the primary element of an array or else in its first (RFC 7644 §3.4.2.3)."""
    value = func.jsonb_extract_path(principals.c.document, *container.path, type_=JSONB)
    is_array = func.jsonb_typeof(value) == "array"
    elements = func.jsonb_array_elements(case((is_array, value), else_=literal([], JSONB)))
    element = elements.table_valued(column("value", JSONB), with_ordinality="place", name="element").render_derived()
    is_primary = func.coalesce(func.jsonb_extract_path_text(element.c.value, "primary"), "") == "true"
    return (
        select(_of_json(element.c.value, operand))
        .select_from(element)
        .order_by(is_primary.desc(), element.c.place)
        .limit(1)
        .correlate(principals)
        .scalar_subquery()
    )


def _of_json(document: ColumnElement[Any], operand: Operand) -> ColumnElement[Any]:
    """Return a value as the schema's type, or NULL; texts by code point, as filters compare them."""
    value: ColumnElement[Any] = document
    text: ColumnElement[Any] = document.op("#>>", return_type=Text())(literal([], ARRAY(Text)))
    if operand.path:
        value = func.jsonb_extract_path(document, *operand.path, type_=JSONB)
        text = func.jsonb_extract_path_text(document, *operand.path, type_=Text)
    if operand.type is ValueType.INSTANT:
        return cast(text, TYPES[operand.type])
    if operand.type in TYPES:
        return case((func.jsonb_typeof(value) == operand.type.value, cast(text, TYPES[operand.type])))
    found = text if operand.case_exact else func.lower(text)
    return func.left(found, SORT_CHARACTERS_MAX, type_=Text).collate("C")
