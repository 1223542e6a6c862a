"""A list request: which resources, in which order, from which position on, and how many.

Without an order, resources are in the order of creation. Ties are broken by id in any order, so each resource has
exactly one position, and a list can continue from the position of a deleted resource.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from identity.model.principal import Kind
from identity.model.query import Condition, Operand

SortValue: TypeAlias = "str | bool | Decimal | datetime | UUID | None"

SORT_CHARACTERS_MAX = 256
"""Texts without a column of their own are ordered by this many characters, then by id."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """The sort value at ``operand`` or, with ``container``, there in its primary or else first element."""

    operand: Operand
    container: Operand | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order. Resources without a value are last when ascending, first when descending (RFC 7644 §3.4.2.3).

    The ``keys`` have one type. A kind that is not among them has no values.
    """

    keys: Mapping[Kind, SortKey]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a resource in an order. Without an order, ``value`` is None."""

    value: SortValue
    id: UUID


@dataclass(frozen=True, slots=True)
class Listing:
    """A page: ``limit`` resources after ``offset`` others, or after a position; ``backward`` ends just before it.

    ``wanted`` holds the condition of each kind; other kinds are not listed.
    """

    wanted: Mapping[Kind, Condition]
    limit: int
    order: Order | None = None
    offset: int = 0
    beyond: Position | None = None
    backward: bool = False
    with_total: bool = True
    with_members: bool = True
