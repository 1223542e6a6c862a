"""Conditions of a list on documents, resolved against a schema (RFC 7644 §3.4.2.2).

``matches`` is the meaning of a condition; what the store compiles must find exactly the same.
``ne`` is the negation of ``eq`` and ``eq null`` that of presence, so neither is a case of its own. "Any value of a
multi-valued attribute" is ``AnyElement``; conditions in one value path are in one ``AnyElement``, on one element.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

from identity.model.work import CHARACTERS_PER_UNIT


class ValueType(StrEnum):
    """How an attribute's values compare."""

    STRING = "string"
    BOOLEAN = "boolean"
    NUMBER = "number"
    INSTANT = "instant"
    COMPLEX = "complex"


class Operator(StrEnum):
    """The comparisons of RFC 7644 §3.4.2.2 that are not negations of others."""

    EQ = "eq"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


Literal: TypeAlias = "str | bool | Decimal | datetime"


@dataclass(frozen=True, slots=True)
class Operand:
    """A resolved attribute: where it is in a document or, within ``AnyElement``, in one element of it.

    An empty path is the element itself.
    """

    path: tuple[str, ...]
    type: ValueType = ValueType.STRING
    case_exact: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """True when the attribute has a value and the value compares so."""

    operand: Operand
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True)
class Presence:
    """True when the attribute has a value that is not empty."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class AnyElement:
    """True when one element of the multi-valued attribute satisfies the whole condition."""

    container: Operand
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """True when every term is; of no terms, always."""

    terms: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when some term is; of no terms, never."""

    terms: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the term is not: what has no value satisfies ``Not(Comparison)``."""

    term: "Condition"


Condition: TypeAlias = Comparison | Presence | AnyElement | And | Or | Not

ALWAYS = And(())
NEVER = Or(())


def fold(text: str) -> str:
    """Return the form in which texts are compared where case does not matter (NFKC, case folded)."""
    if text.isascii():
        return text.lower()  # the same, at a tenth of the cost
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL and halves of surrogate pairs, which no text of the database can contain."""

MARKS_MAX = 30
"""Combining marks in a row: more in no language (Unicode Standard Annex #15 §13, Stream-Safe Text Format).

To normalise a text takes the square of the longest such row, so a text with more must be refused before it is folded.
"""


def has_too_many_marks(text: str) -> bool:
    """Return whether a text has more than ``MARKS_MAX`` combining marks in a row."""
    return not text.isascii() and _marks().search(text) is not None


@lru_cache(1)
def _marks() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.combining(chr(code)))
    return re.compile(f"[{marks}]{{{MARKS_MAX + 1}}}")


Spend = Callable[[int], None]
"""Takes the units that a comparison costs (``identity.model.work``); raises when there are none left."""


def costs_nothing(_units: int) -> None:
    """Count nothing: what is compared is ours and small."""


def matches(condition: Condition, document: Any, spend: Spend = costs_nothing) -> bool:
    """Return whether a document, or one element of it, satisfies the condition; ``spend`` takes what that costs."""
    match condition:
        case And(terms):
            return all(matches(term, document, spend) for term in terms)
        case Or(terms):
            return any(matches(term, document, spend) for term in terms)
        case Not(term):
            return not matches(term, document, spend)
        case Presence(operand):
            spend(1)
            return is_present(value_at(document, operand.path))
        case AnyElement(container, inner):
            spend(1)
            elements = value_at(document, container.path)
            return isinstance(elements, list) and any(matches(inner, element, spend) for element in elements)
        case Comparison():
            return _compares(condition, value_at(document, condition.operand.path), spend)


def comparisons_in(condition: Condition) -> int:
    """Return how many comparisons and presence tests a condition is made of."""
    match condition:
        case And(terms) | Or(terms):
            return sum(map(comparisons_in, terms))
        case Not(inner) | AnyElement(condition=inner):
            return comparisons_in(inner)
    return 1


def is_present(value: Any) -> bool:
    """Return whether a value is neither null nor empty, all the way down (RFC 7644 §3.4.2.2, ``pr``)."""
    if isinstance(value, Mapping):
        return any(map(is_present, value.values()))
    if isinstance(value, list):
        return any(map(is_present, value))
    return value is not None and value != ""


def value_at(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of names, or None if there is none."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _compares(comparison: Comparison, found: Any, spend: Spend) -> bool:
    operand, wanted = comparison.operand, comparison.value
    found = _typed(operand, found)
    if found is None:
        spend(1)
        return False
    if isinstance(found, str) and isinstance(wanted, str) and not operand.case_exact:
        found, wanted = fold(found), fold(wanted)
    both_texts = len(found) + len(wanted) if isinstance(found, str) and isinstance(wanted, str) else 0
    spend(1 + both_texts // CHARACTERS_PER_UNIT)
    return bool(_OPERATIONS[comparison.operator](found, wanted))


def _typed(operand: Operand, found: Any) -> Any:
    """Return what was found as a value of the operand's type, or None when it is not one."""
    match operand.type:
        case ValueType.BOOLEAN:
            return found if isinstance(found, bool) else None
        case ValueType.NUMBER:
            is_number = isinstance(found, int | float | Decimal) and not isinstance(found, bool)
            return Decimal(str(found)) if is_number else None
        case ValueType.INSTANT:
            return datetime.fromisoformat(found) if isinstance(found, str) else None
        case _:
            return found if isinstance(found, str) else None


_OPERATIONS: Mapping[Operator, Any] = {
    Operator.EQ: lambda found, wanted: found == wanted,
    Operator.CO: lambda found, wanted: wanted in found,
    Operator.SW: lambda found, wanted: found.startswith(wanted),
    Operator.EW: lambda found, wanted: found.endswith(wanted),
    Operator.GT: lambda found, wanted: found > wanted,
    Operator.GE: lambda found, wanted: found >= wanted,
    Operator.LT: lambda found, wanted: found < wanted,
    Operator.LE: lambda found, wanted: found <= wanted,
}
