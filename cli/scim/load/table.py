"""A table (CSV, RFC 4180): its first line names attributes, every further row is one resource.

``userName``, ``name.givenName``: attributes and their parts, as in SCIM. Of an attribute with several values,
``emails.work`` is the value of that type, ``emails.work.primary`` another part of it, ``emails`` or ``emails.value`` a
value without a type; a column that comes again holds a further one. An attribute of an extension is named alone, or
behind the extension's URN and a colon. An empty cell is no value.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from cli.problems import Refused, hint, printable
from cli.scim.load.file import WRONG_FILE, LineReader
from cli.scim.load.lines import Line, NotLoaded, refused_line
from cli.scim.load.schemas import Attribute, Extension, Resource
from identity.model.errors import InvalidRequest, LimitExceeded, Refusal
from scim.json_body import parse_body

Json = dict[str, Any]

COLUMNS_MAX = 500
SEPARATORS = ",;\t"
NO_UTF_8 = re.compile("[\udc80-\udcff]")  # what ``surrogateescape`` makes of such bytes


@dataclass(frozen=True, slots=True)
class Column:
    """The attribute of a column. ``kind`` is the type of a value, ``repeated`` counts earlier columns of this name."""

    header: str
    extension: Extension | None
    attribute: Attribute
    kind: str | None
    part: Attribute | None
    repeated: int

    @property
    def place(self) -> tuple[str | None, str, str | None, int]:
        """Columns of one place are parts of one value."""
        return (self.extension.urn if self.extension else None, self.attribute.name, self.kind, self.repeated)


def read_rows(file: LineReader, resource: Resource, bytes_max: int) -> Iterator[Line | NotLoaded]:
    """Yield the rows of a table. Raises ``Refused`` for a header or a quotation that cannot be read."""
    text = _Text(file, bytes_max)
    header = next((line for line in text if line.strip("\ufeff\r\n ")), "").removeprefix("\ufeff")
    separator = max(SEPARATORS, key=header.count)
    columns = columns_of(next(csv.reader([header], delimiter=separator), []), resource)
    rows = csv.reader(text, delimiter=separator, strict=True)
    while True:
        number = text.lines + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            raise Refused(f"line {number} cannot be read as CSV: {error}", 1) from error
        if cells is None:
            return
        if cells:
            yield _row(number, text.end, cells, columns, resource, bytes_max)


@dataclass(slots=True)
class _Text:
    """The lines of a file as text; ``lines`` and ``end`` say how many of them and of its bytes were read."""

    file: LineReader
    bytes_max: int
    lines: int = 0
    end: int = 0

    def __iter__(self) -> "_Text":
        return self

    def __next__(self) -> str:
        line = self.file.readline(self.bytes_max + 1)
        if not line:
            raise StopIteration
        self.lines, self.end = self.lines + 1, self.end + len(line)
        if len(line) > self.bytes_max and not line.endswith(b"\n"):
            raise Refused(f"line {self.lines} is longer than the {self.bytes_max} bytes that a resource may have", 1)
        return line.decode("utf-8", "surrogateescape")


def _row(
    number: int, end: int, cells: list[str], columns: list[Column], resource: Resource, bytes_max: int
) -> Line | NotLoaded:
    try:
        if NO_UTF_8.search("".join(cells)):
            raise InvalidRequest("the row is not UTF-8", reason="invalidSyntax")
        if len(cells) != len(columns):
            raise InvalidRequest(
                f"the row has {len(cells)} cells, and the header {len(columns)}", reason="invalidSyntax"
            )
        found = parse_body(json.dumps(resource_in(cells, columns, resource)).encode())
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) > bytes_max:
            raise LimitExceeded(f"a resource has at most {bytes_max} bytes here")
    except Refusal as refusal:
        return refused_line(number, end, ",".join(cells).encode(errors="replace"), refusal)
    return Line(number, end, text, found)


def resource_in(cells: list[str], columns: list[Column], resource: Resource) -> Json:
    """Return the resource that a row describes. Raises ``InvalidRequest`` for a cell that is not of its type."""
    found: Json = {"schemas": [resource.urn]}
    values: dict[tuple[str | None, str, str | None, int], Json] = {}
    for cell, column in zip(cells, columns, strict=True):
        if cell.strip():
            _put(found, values, column, value_of(cell.strip(), column))
    found["schemas"] += [each.urn for each in resource.extensions.values() if each.urn in found]
    return found


def _put(found: Json, values: dict[Any, Json], column: Column, value: Any) -> None:
    holder = found if column.extension is None else found.setdefault(column.extension.urn, {})
    name, part = column.attribute.name, column.part
    if part is None and column.attribute.is_array:
        holder.setdefault(name, []).append(value)
    elif part is None:
        holder[name] = value
    elif not column.attribute.is_array:
        holder.setdefault(name, {})[part.name] = value
    else:
        if column.place not in values:
            values[column.place] = {} if column.kind is None else {"type": column.kind}
            holder.setdefault(name, []).append(values[column.place])
        values[column.place][part.name] = value


def value_of(cell: str, column: Column) -> Any:
    """Return a cell as a value of the column's type. Raises ``InvalidRequest``."""
    kind = (column.part or column.attribute).type.lower()
    try:
        return READERS.get(kind, str)(cell)
    except (KeyError, ValueError):
        raise InvalidRequest(f"{column.header} is no {kind}", reason="invalidValue") from None


def _boolean(cell: str) -> bool:
    return {"true": True, "false": False}[cell.lower()]


def _number(cell: str) -> float:
    if NUMBER.fullmatch(cell) is None or not math.isfinite(number := float(cell)):
        raise ValueError(cell)
    return number


def _integer(cell: str) -> int:
    if NUMBER.fullmatch(cell) is None:  # Python also reads 1_000, and digits of every script
        raise ValueError(cell)
    return int(cell)


NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
READERS: Mapping[str, Callable[[str], Any]] = {"boolean": _boolean, "integer": _integer, "decimal": _number}


# --- the header ------------------------------------------------------------------------------------------------


def columns_of(names: list[str], resource: Resource) -> list[Column]:
    """Return what each name of the header means. Raises ``Refused`` in a sentence for one that means nothing."""
    if len(names) > COLUMNS_MAX:
        raise Refused(f"the table has more than {COLUMNS_MAX} columns", WRONG_FILE)
    columns: list[Column] = []
    for name in names:
        columns.append(_column(name.strip(), resource, [each.header.lower() for each in columns]))
    return columns


def _column(name: str, resource: Resource, before: list[str]) -> Column:
    extension, words = _split(name, resource)
    attributes = extension.attributes if extension else resource.attributes
    attribute = attributes.get(words[0].lower()) or (None if extension else resource.attribute(words[0]))
    if attribute is None:
        raise _unknown(name, resource)
    if attribute.is_read_only:
        raise Refused(f"the column {name!r} cannot be loaded: {attribute.name} is the server's own", WRONG_FILE)
    kind, part = _inside(name, attribute, words[1:])
    return Column(name, extension, attribute, kind, part, before.count(name.lower()))


def _split(name: str, resource: Resource) -> tuple[Extension | None, list[str]]:
    """Return the extension that a name belongs to, and its words."""
    if name.lower().startswith(f"{resource.urn.lower()}:"):
        return None, name[len(resource.urn) + 1 :].split(".")
    for urn, extension in resource.extensions.items():
        if name.lower().startswith(f"{urn}:"):
            return extension, name[len(urn) + 1 :].split(".")
    words = name.split(".")
    extending = resource.extending(words[0]) if resource.attribute(words[0]) is None else []
    return (extending[0] if len(extending) == 1 else None), words


def _inside(name: str, attribute: Attribute, words: list[str]) -> tuple[str | None, Attribute | None]:
    """Return the type of the value, and the part of it, that the words behind an attribute name."""
    if not attribute.is_complex:
        if words:
            raise Refused(f"the column {name!r} has no meaning: {attribute.name} has no parts", WRONG_FILE)
        return None, None
    kind, part = None, ".".join(words) or "value"
    if attribute.is_array and "type" in attribute.parts and words and words[0].lower() not in attribute.parts:
        kind, part = _kind(name, attribute, words[0]), ".".join(words[1:]) or "value"
    if part.lower() not in attribute.parts:
        parts = ", ".join(each.name for each in attribute.parts.values())
        raise Refused(f"the column {name!r} has no meaning: the parts of {attribute.name} are {parts}", WRONG_FILE)
    return kind, attribute.parts[part.lower()]


def _kind(name: str, attribute: Attribute, word: str) -> str:
    kinds = attribute.parts["type"].kinds
    found = next((kind for kind in kinds if kind.lower() == word.lower()), None)
    if kinds and found is None:
        shown = ", ".join(kinds)
        raise Refused(f"the column {name!r} has no meaning: the types of {attribute.name} are {shown}", WRONG_FILE)
    return found or word


def _unknown(name: str, resource: Resource) -> Refused:
    names = [each.name for each in resource.attributes.values()]
    names += [each.name for extension in resource.extensions.values() for each in extension.attributes.values()]
    close = get_close_matches(name.partition(".")[0], names, 1)
    return Refused(
        f"the column {printable(name)!r} is no attribute of {resource.name} at this server{hint(close)} "
        "(a file of JSON has one object a line, a table the names of attributes in its first line)",
        WRONG_FILE,
    )
