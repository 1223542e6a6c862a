"""What a list asks for: whom, in which order, from which place on, and how many.

Without an order resources come as they were created. Whatever the order, ties are broken by id, so each resource has
exactly one place, and a list can go on from a place that nobody stands at any more.
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
"""Texts that have no column of their own are in the order of so many characters, then of id."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """Where a sort value is: at ``operand`` or, with ``container``, there in its primary or else first element."""

    operand: Operand
    container: Operand | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Who has no value comes last when ascending, first when descending (RFC 7644 §3.4.2.3).

    ``keys`` have one type; a kind that is not among them has no values.
    """

    keys: Mapping[Kind, SortKey]
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource stands in an order. Without an order, ``value`` is None."""

    value: SortValue
    id: UUID


@dataclass(frozen=True, slots=True)
class Listing:
    """A page: ``limit`` resources behind ``offset`` others, or beyond a place; ``backward`` ends just before it.

    ``wanted`` says of each kind what its resources satisfy; kinds that are not in it are not listed.
    """

    wanted: Mapping[Kind, Condition]
    limit: int
    order: Order | None = None
    offset: int = 0
    beyond: Place | None = None
    backward: bool = False
    with_total: bool = True
    with_members: bool = True
