"""A span of time of rows whose ids are in the order of creation, read from either end."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table

from identity.model.selection import Order, Span


def in_span(statement: Select[Any], table: Table, span: Span, *, order: Order, after: UUID | None) -> Select[Any]:
    """Return the statement for the rows of ``table`` in a span and behind ``after``, in the order of their ids.

    The ids bound what is read, for they are what indexes are ordered by; ``at`` says exactly what belongs to the span.
    """
    ids, at = table.c.id, table.c.at
    if span.since is not None:
        statement = statement.where(ids >= span.first_id, at >= span.since)
    if span.until is not None:
        statement = statement.where(ids < span.end_id, at < span.until)
    is_descending = order is Order.DESCENDING
    if after is not None:
        statement = statement.where(ids < after if is_descending else ids > after)
    return statement.order_by(ids.desc() if is_descending else ids)
