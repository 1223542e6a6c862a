"""Rows and JSON of PostgreSQL as dataclasses of the model. Their fields name the columns, their types the conversions.

This is worked out once for each class, when a module of the store is imported. A field that has no column, or a type
that has no conversion, raises ``TypeError`` then, and not for each row.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache, lru_cache
from itertools import takewhile
from operator import attrgetter, itemgetter
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Select, Table, select, update
from sqlalchemy.dialects import postgresql

from identity.store.tx import Tx

T = TypeVar("T")
Convert = Callable[[Any], Any]

UNCHANGED = frozenset({str, int, float, bool, Any})
FROM_JSON: Mapping[Any, Convert] = {UUID: UUID, datetime: datetime.fromisoformat, bytes: bytes.fromhex}
"""Types that the driver reads from columns, and that JSON spells as text; bytes in hexadecimal."""

KEYS: Mapping[Any, Convert] = {UUID: UUID, int: int}
"""Types that names of members of a JSON object spell."""

EMPTY: Mapping[str, Any] = {}
_is_dataclass: Callable[[Any], bool] = is_dataclass
MEMBERS_KEPT_MAX = 1_000  # of one enumeration; each resource type of a tenant adds one to the kinds of principals


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _parts(hint: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return a type without its ``NewType``, its origin and its arguments."""
    hint = getattr(hint, "__supertype__", hint)
    return hint, get_origin(hint), get_args(hint)


def _is_a(hint: Any, cls: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, cls)


# --- reading ---------------------------------------------------------------------------------------------------


def _conversion(hint: Any, *, is_json: bool) -> tuple[Convert | None, Any]:
    """Return what converts a value that is not NULL, None where it stays as it is; and the value that NULL stands for.

    A dataclass is a JSON object, a named tuple a JSON array. Raises ``TypeError``.
    """
    hint, origin, arguments = _parts(hint)
    if origin in (Union, UnionType):
        return _conversion(arguments[0], is_json=is_json)[0], None
    if origin in (tuple, frozenset):
        item, _ = _conversion(arguments[0], is_json=is_json)
        return origin if item is None else lambda values: origin(map(item, values)), origin()
    if origin is Mapping:
        return _conversion_of_members(*arguments)
    if _is_dataclass(hint):
        return json_reader(hint), None
    if _is_a(hint, tuple):
        return hint._make, None
    if _is_a(hint, StrEnum):
        return lru_cache(MEMBERS_KEPT_MAX)(hint), None
    if hint in FROM_JSON:
        return FROM_JSON[hint] if is_json else None, None
    if hint in UNCHANGED:
        return None, None
    raise TypeError(f"no conversion for {hint}")


def _conversion_of_members(key_hint: Any, hint: Any) -> tuple[Convert | None, Any]:
    key, (value, _) = KEYS.get(key_hint, str), _conversion(hint, is_json=True)
    if value is None:
        return None if key is str else lambda found: {key(name): each for name, each in found.items()}, {}
    return lambda found: {key(name): value(each) for name, each in found.items()}, {}


def _reader(
    take: Convert, hints: Iterable[Any], make: Callable[..., T], *, is_json: bool, defaults: Mapping[str, Any] = EMPTY
) -> Callable[[Any], T]:
    """Return what takes the values of a row or a JSON object, converts them by ``hints``, and makes a ``T``.

    A JSON document that an earlier version wrote may lack members that have ``defaults``.
    """
    found = (_conversion(hint, is_json=is_json) for hint in hints)
    steps = tuple((index, convert, null) for index, (convert, null) in enumerate(found) if convert is not None)

    def read(source: Any) -> T:
        try:
            values = list(take(source))
        except KeyError:
            values = list(take({**defaults, **source}))
        for index, convert, null in steps:
            value = values[index]
            values[index] = null if value is None else convert(value)
        return make(*values)

    return read


@cache
def json_reader(cls: Any) -> Callable[[Any], Any]:
    """Return what makes a ``cls`` of a JSON object."""
    defaults = {each.name: each.default for each in fields(cls) if each.default is not MISSING}
    return _reader(itemgetter(*_hints(cls)), _hints(cls).values(), cls, is_json=True, defaults=defaults)


def row_reader(cls: type[T]) -> Callable[[Any], T]:
    """Return what makes a ``cls`` of a row of a textual statement, whose columns are named as the fields are.

    Fields of a dataclass within it are columns too.
    """
    hints, make = _flat(cls, lambda name, hint: not _is_dataclass(hint))
    return _reader(attrgetter(*map(_column_name, hints)), hints.values(), make, is_json=False)


def _flat(
    cls: Any, is_column: Callable[[str, Any], bool], without: str = ""
) -> tuple[dict[str, Any], Callable[..., Any]]:
    """Return the types of the columns of ``cls`` by their paths, such as ``policy.max_age_s``, and what makes a ``cls``
    of their values in this order. What is no column itself is a dataclass of columns. Raises ``TypeError``.
    """
    columns: dict[str, Any] = {}
    parts: list[tuple[int, int, Any]] = []
    for name, hint in takewhile(lambda item: item[0] != without, _hints(cls).items()):
        if is_column(name, hint):
            columns[name] = hint
        elif _is_dataclass(hint):
            inner, make_part = _flat(hint, is_column, without)
            parts.insert(0, (len(columns), len(columns) + len(inner), make_part))
            columns |= {f"{name}.{each}": inner[each] for each in inner}
        else:
            raise TypeError(f"there is no column for {cls.__name__}.{name}")

    def make(*values: Any) -> Any:
        made = list(values)
        for start, end, make_part in parts:
            made[start:end] = [make_part(*made[start:end])]
        return cls(*made)

    return columns, make if parts else cls


def _column_name(path: str) -> str:
    return path.rpartition(".")[2]


# --- writing ---------------------------------------------------------------------------------------------------


def _writer(hint: Any) -> Convert | None:
    """Return what makes a value one that a column stores, None where it is one: a list of a tuple, a JSON object of a
    dataclass.
    """
    hint, origin, arguments = _parts(hint)
    if origin in (Union, UnionType):
        write = _writer(arguments[0])
        return write and (lambda value: None if value is None else write(value))
    if origin in (tuple, frozenset):
        item = _writer(arguments[0])
        return list if item is None else lambda values: list(map(item, values))
    if origin is Mapping:
        member = _writer(arguments[1])
        return dict if member is None else lambda found: {name: member(value) for name, value in found.items()}
    if _is_dataclass(hint):
        return fields_writer(hint)
    return None


def fields_writer(cls: Any, *without: str) -> Callable[[Any], dict[str, Any]]:
    """Return what makes a dictionary of the fields of a ``cls``, but for some, as columns store them."""
    members = {name: _writer(hint) for name, hint in _hints(cls).items() if name not in without}

    def write_all(value: Any) -> dict[str, Any]:
        found = {name: getattr(value, name) for name in members}
        return {name: write(found[name]) if write else found[name] for name, write in members.items()}

    return write_all


class RowMapper(Generic[T]):
    """The columns of a table that hold a ``cls``, in the order of its fields.

    ``expressions`` are for fields that are read from something else than the column of their name. ``without`` is the
    first field that is not read: it and those behind it keep their defaults. Raises ``TypeError``.
    """

    def __init__(self, table: Table, cls: type[T], *, without: str = "", **expressions: ColumnElement[Any]) -> None:
        hints, make = _flat(cls, lambda name, _: name in expressions or name in table.c, without)
        _check_used(cls, expressions.keys() - map(_column_name, hints))
        read = dict(table.c.items()) | {name: value.label(name) for name, value in expressions.items()}
        self.columns: tuple[ColumnElement[Any], ...] = tuple(read[_column_name(path)] for path in hints)
        self.read: Callable[[Any], T] = _reader(itemgetter(slice(len(hints))), hints.values(), make, is_json=False)
        self.table, self.cls = table, cls
        self._written = {
            _column_name(path): (attrgetter(path), _writer(hint))
            for path, hint in hints.items()
            if _column_name(path) in table.c
        }

    def first(self, found: CursorResult[Any]) -> T | None:
        """Return the value in the first row, if there is one; a row begins with ``columns``."""
        row = found.first()
        return None if row is None else self.read(row)

    def all(self, found: CursorResult[Any]) -> list[T]:
        """Return the value in each row."""
        return [self.read(row) for row in found]

    def get(self, tx: Tx, *conditions: ColumnElement[bool], is_locked: bool = False) -> T | None:
        """Return the value in the row of this tenant that meets the conditions. ``is_locked`` holds the row until the
        transaction ends.
        """
        statement = select(*self.columns).where(self.table.c.tenant_id == tx.tenant_id, *conditions)
        return self.first(tx.execute(statement.with_for_update(key_share=True) if is_locked else statement))

    def page(
        self, tx: Tx, *conditions: ColumnElement[bool] | None, key: ColumnElement[Any], after: object, limit: int
    ) -> list[T]:
        """Return at most ``limit`` values of this tenant behind the one with the key ``after``, in the order of keys.

        A condition that is None is none.
        """
        met = (condition for condition in conditions if condition is not None)
        statement = select(*self.columns).where(self.table.c.tenant_id == tx.tenant_id, *met)
        return self.all(tx.execute(page_after(statement, key, after, limit)))

    def update(self, tx: Tx, *conditions: ColumnElement[bool], **values: Any) -> T | None:
        """Write these values to the row of this tenant that meets the conditions, and return what it holds then."""
        statement = update(self.table).where(self.table.c.tenant_id == tx.tenant_id, *conditions).values(**values)
        return self.first(tx.execute(statement.returning(*self.columns)))

    def update_locked(self, tx: Tx, *conditions: ColumnElement[bool], **values: Any) -> T:
        """Do the same for a row that is locked, and therefore there."""
        written = self.update(tx, *conditions, **values)
        if written is None:
            raise AssertionError(f"no row of {self.table.name} meets the conditions")
        return written

    def values(self, value: T, *names: str) -> dict[str, Any]:
        """Return what to write of ``value``: the columns of these names, or all that are columns of the table."""
        written = {name: self._written[name] for name in names} if names else self._written
        return {name: write(get(value)) if write else get(value) for name, (get, write) in written.items()}


def page_after(statement: Select[Any], key: ColumnElement[Any], after: object, limit: int) -> Select[Any]:
    """Return the statement for at most ``limit`` rows behind that with the key ``after``, in the order of keys."""
    found = statement.order_by(key).limit(limit)
    return found if after is None else found.where(key > after)


# --- JSON that a statement builds ------------------------------------------------------------------------------


def json_of(table: Table, cls: Any, alias: str, **expressions: str) -> str:
    """Return SQL for the JSON object that ``json_reader(cls)`` reads, from a row of ``table`` that is called ``alias``.

    ``expressions`` are SQL for fields that are read from something else than the column of their name. Raises
    ``TypeError``.
    """
    _check_used(cls, expressions.keys() - _hints(cls).keys())
    found = {name: expressions.get(name) or _member(table, cls, alias, name) for name in _hints(cls)}
    members = (f"'{name}', {value}" for name, value in found.items())
    return f"json_build_object({', '.join(members)})"


def _member(table: Table, cls: Any, alias: str, name: str) -> str:
    hint = _hints(cls)[name]
    if name in table.c:
        return f"encode({alias}.{name}, 'hex')" if bytes in (hint, *get_args(hint)) else f"{alias}.{name}"
    if _is_dataclass(hint):
        return json_of(table, hint, alias)
    raise TypeError(f"{table.name} has no column for {cls.__name__}.{name}")


def column_names(table: Table, *without: str) -> str:
    """Return the names of the columns of a table as SQL lists them, but for some."""
    return ", ".join(column.name for column in table.c if column.name not in without)


def record_of(table: Table, *without: str) -> str:
    """Return names and types of the columns of a table as ``jsonb_to_recordset`` needs them, but for some."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    found = (column for column in table.c if column.name not in without)
    return ", ".join(f"{column.name} {column.type.compile(dialect)}" for column in found)


def _check_used(cls: Any, unknown: Collection[str]) -> None:
    if unknown:
        raise TypeError(f"{cls.__name__} has no field {min(unknown)}")
