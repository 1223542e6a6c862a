"""Filters by the text of RFC 7644 §3.4.2.2 alone: a parser that descends, and an evaluator that walks the document.

It is naive on purpose, knows nothing of the code under test, and reads in one way only what the RFC leaves open:
those places are marked with the name that they have in docs/divergences.md.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.oracles.schema import Attr, Known

WORD = re.compile(r"[^\s\"()\[\]]+")
NAME = r"[A-Za-z$][A-Za-z0-9_$-]*"
PATH = re.compile(rf"(?:(?P<uri>[A-Za-z][A-Za-z0-9+.-]*:\S*):)?(?P<name>{NAME})(?:\.(?P<sub>{NAME}))?")
TAIL = re.compile(rf"\.({NAME})")
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,18})(?:\.\d{1,18})?(?:[eE][+-]?\d{1,2})?", re.ASCII)  # "bounded numbers"
XSD_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
COMPARE = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NoFilterError(Exception):
    """The text is no filter, or none that means anything for this resource type."""


@dataclass(frozen=True)
class AttrPath:
    uri: str | None
    name: str
    sub: str | None


@dataclass(frozen=True)
class Term:
    """``op`` is ``pr`` or a comparison with ``literal``."""

    path: AttrPath
    op: str
    literal: Any = None


@dataclass(frozen=True)
class Group:
    """A value path: one value of ``path`` satisfies ``inner``."""

    path: AttrPath
    inner: "Tree"


@dataclass(frozen=True)
class Logic:
    """``op`` is and, or, not."""

    op: str
    terms: tuple["Tree", ...]


Tree = Term | Group | Logic


# --- reading ---------------------------------------------------------------------------------------------------


class Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def blank(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):  # "blanks"
            self.at += 1

    def next_is(self, mark: str) -> bool:
        self.blank()
        return self.text[self.at : self.at + 1] == mark

    def take(self, mark: str) -> None:
        if not self.next_is(mark):
            raise NoFilterError(f"{mark} is wanted")
        self.at += 1

    def word(self) -> str:
        self.blank()
        found = WORD.match(self.text, self.at)
        if found is None:
            raise NoFilterError("a word is wanted")
        self.at = found.end()
        return found[0]

    def peek(self) -> str:
        at = self.at
        try:
            return self.word().lower()
        except NoFilterError:
            return ""
        finally:
            self.at = at

    def at_end(self) -> bool:
        self.blank()
        return self.at == len(self.text)


def parse(text: str) -> Tree:
    """Return the tree of a filter. Raises ``NoFilterError``."""
    reader = Reader(text)
    tree = _or(reader)
    if not reader.at_end():
        raise NoFilterError("something follows the filter")
    return tree


def _or(reader: Reader) -> Tree:
    terms = [_and(reader)]
    while reader.peek() == "or":
        reader.word()
        terms.append(_and(reader))
    return terms[0] if len(terms) == 1 else Logic("or", tuple(terms))


def _and(reader: Reader) -> Tree:
    terms = [_not(reader)]
    while reader.peek() == "and":
        reader.word()
        terms.append(_not(reader))
    return terms[0] if len(terms) == 1 else Logic("and", tuple(terms))


def _not(reader: Reader) -> Tree:
    negated = reader.peek() == "not"
    if negated:
        reader.word()
    if negated or reader.next_is("("):
        reader.take("(")
        inner = _or(reader)
        reader.take(")")
        return Logic("not", (inner,)) if negated else inner
    return _expression(reader)


def _expression(reader: Reader) -> Tree:
    path = read_path(reader.word())
    if reader.next_is("["):
        return _group(reader, path)
    return _term(reader, path)


def _group(reader: Reader, path: AttrPath) -> Tree:
    if path.sub is not None:
        raise NoFilterError("a sub-attribute has no values to select")
    reader.take("[")
    inner = _or(reader)
    reader.take("]")
    tail = TAIL.match(reader.text, reader.at)
    if tail is None:
        return Group(path, inner)
    reader.at = tail.end()  # "value paths with a sub-attribute": emails[type eq "work"].value eq "x"
    return Group(path, Logic("and", (inner, _term(reader, AttrPath(None, tail[1], None)))))


def _term(reader: Reader, path: AttrPath) -> Term:
    op = reader.word().lower()
    if op == "pr":
        return Term(path, op)
    if op not in COMPARE:
        raise NoFilterError(f"{op} is no operator")
    return Term(path, op, _literal(reader))


def _literal(reader: Reader) -> Any:
    if reader.next_is('"'):
        try:
            found, reader.at = json.decoder.scanstring(reader.text, reader.at + 1)
        except ValueError:
            raise NoFilterError("no JSON string") from None
        if UNSTORABLE.search(found):  # "texts that cannot be stored"
            raise NoFilterError("no stored text holds this")
        return found
    word = reader.word()
    if word.lower() in ("true", "false", "null"):  # "words in any case"
        return {"true": True, "false": False, "null": None}[word.lower()]
    if NUMBER.fullmatch(word):
        return Decimal(word)
    raise NoFilterError(f"{word} is no value")


def read_path(word: str) -> AttrPath:
    found = PATH.fullmatch(word)
    if found is None or UNSTORABLE.search(word):
        raise NoFilterError(f"{word} is no attribute path")
    return AttrPath(found["uri"], found["name"], found["sub"])


# --- meaning ---------------------------------------------------------------------------------------------------


def check(tree: Tree, known: Known) -> None:
    """Refuse what names nothing or compares what cannot be compared. Raises ``NoFilterError``."""
    holds(tree, known, {})


def holds(tree: Tree, known: Known, document: dict[str, Any]) -> bool:
    """Return whether a document satisfies a filter; every term is looked at, so that each can be refused."""
    match tree:
        case Logic("not", (inner,)):
            return not holds(inner, known, document)
        case Logic(op, terms):
            found = [holds(term, known, document) for term in terms]
            return all(found) if op == "and" else any(found)
        case Group(path, inner):
            return _group_holds(path, inner, known, document)
        case Term(path, op, literal):
            return _term_holds(path, op, literal, known, document)


def resolve(path: AttrPath, known: Known) -> tuple[dict[str, Any], Attr]:
    found = known.find(path.uri, path.name)
    if found is None or found[1].returned == "never":
        raise NoFilterError(f"there is no {path.name}")
    return found


def place_of(schema: dict[str, Any], known: Known, document: dict[str, Any]) -> dict[str, Any]:
    """Return the object in which the attributes of a schema stand (RFC 7643 §3.3)."""
    return document if schema is known.core else document.get(schema["id"], {})


def _group_holds(path: AttrPath, inner: Tree, known: Known, document: dict[str, Any]) -> bool:
    schema, attribute = resolve(path, known)
    if not attribute.many:
        raise NoFilterError("brackets select values of a multi-valued attribute")  # "brackets"
    element_holds(inner, attribute, {} if attribute.subs else None)
    elements = place_of(schema, known, document).get(attribute.name) or []
    found = [element_holds(inner, attribute, element) for element in elements]
    return any(found)


def element_holds(tree: Tree, attribute: Attr, element: Any) -> bool:
    """Return whether one value of a multi-valued attribute satisfies the filter in the brackets."""
    match tree:
        case Logic("not", (inner,)):
            return not element_holds(inner, attribute, element)
        case Logic(op, terms):
            found = [element_holds(term, attribute, element) for term in terms]
            return all(found) if op == "and" else any(found)
        case Group():
            raise NoFilterError("a value path holds no other")
        case Term(path, op, literal):
            if path.uri is not None or path.sub is not None:
                raise NoFilterError("brackets hold sub-attributes")
            if not attribute.subs and path.name.lower() == "value":
                return compare(op, literal, attribute, [element])
            sub = sub_of(attribute, path.name)
            return compare(op, literal, sub, flat(element, sub.name))


def sub_of(attribute: Attr, name: str) -> Attr:
    found = attribute.subs.get(name.lower())
    if found is None:
        raise NoFilterError(f"{attribute.name} has no {name}")
    if found.name in ("$ref", "location"):  # "addresses of resources"
        raise NoFilterError(f"{found.name} is made for each answer")
    return found


def _term_holds(path: AttrPath, op: str, literal: Any, known: Known, document: dict[str, Any]) -> bool:
    if path.uri is not None and path.sub is None and (schema := known.schema(f"{path.uri}:{path.name}")):
        if op != "pr":
            raise NoFilterError("a schema can only be present")
        return schema is known.core or present(document.get(schema["id"]))
    schema, attribute = resolve(path, known)
    where = place_of(schema, known, document)
    if path.sub is None and attribute.subs and literal is None and op in ("pr", "eq", "ne"):
        return present(where.get(attribute.name)) is (op != "eq")
    if path.sub is None and not attribute.subs:
        return compare(op, literal, attribute, flat(where, attribute.name))
    sub = sub_of(attribute, path.sub or "value")  # "a plain name of a complex attribute"
    held = [flat(element, sub.name) for element in flat(where, attribute.name)]
    return compare(op, literal, sub, [value for values in held for value in values])


def flat(holder: Any, name: str) -> list[Any]:
    """Return the values of an attribute, of one with a single value too."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else [] if value is None else [value]


def present(value: Any) -> bool:
    if isinstance(value, dict):
        return any(present(each) for each in value.values())
    if isinstance(value, list):
        return any(present(each) for each in value)
    return value is not None and value != ""


def compare(op: str, literal: Any, attribute: Attr, values: list[Any]) -> bool:
    """Any value satisfies (§3.4.2.2); "ne" and "null" are read as docs/divergences.md says."""
    if op == "pr":
        return any(present(value) for value in values)
    if literal is None:
        if op not in ("eq", "ne"):
            raise NoFilterError("null has no order")
        return any(present(value) for value in values) is (op == "ne")
    if attribute.type in ("boolean", "binary") and op in ("gt", "ge", "lt", "le"):
        raise NoFilterError(f"{attribute.type} has no order")
    if attribute.type not in ("string", "reference", "binary") and op in ("co", "sw", "ew"):
        raise NoFilterError(f"{attribute.type} is no text")
    wanted = _read_literal(attribute, literal)
    if op == "ne":
        return not any(_one(op="eq", wanted=wanted, found=_typed(attribute, value)) for value in values)
    return any(_one(op=op, wanted=wanted, found=_typed(attribute, value)) for value in values)


def _read_literal(attribute: Attr, literal: Any) -> Any:
    if attribute.type == "boolean" and isinstance(literal, str) and literal.lower() in ("true", "false"):
        return literal.lower() == "true"  # "booleans as text"
    wanted = _typed(attribute, literal)
    if wanted is None:
        raise NoFilterError(f"{attribute.name} is {attribute.type}")
    return wanted


def _typed(attribute: Attr, value: Any) -> Any:
    """Return a value in the form in which it compares, or None when it is not of the type."""
    match attribute.type:
        case "boolean":
            return value if isinstance(value, bool) else None
        case "integer" | "decimal":
            is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            return Decimal(str(value)) if is_number else None
        case "dateTime":
            return instant(value) if isinstance(value, str) else None
        case _ if not isinstance(value, str):
            return None
        case _:
            return value if attribute.exact else folded(value)


def folded(text: str) -> str:
    """ "case": compatibility characters and letter case do not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def instant(text: str) -> datetime | None:
    if XSD_DATE_TIME.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)  # "instants without an offset"
    except (ValueError, OverflowError):
        return None


def _one(*, op: str, wanted: Any, found: Any) -> bool:
    if found is None:
        return False
    match op:
        case "eq":
            return bool(found == wanted)
        case "co":
            return wanted in found
        case "sw":
            return bool(found[: len(wanted)] == wanted)
        case "ew":
            return not wanted or bool(found[-len(wanted) :] == wanted)
        case "gt":
            return bool(found > wanted)
        case "ge":
            return bool(found >= wanted)
        case "lt":
            return bool(found < wanted)
        case _:
            return bool(found <= wanted)
