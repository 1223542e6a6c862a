"""Principals in the order of creation, as an administrator selects them, each list by an index of its own."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true

from identity.model.errors import InvalidRequest
from identity.model.lifecycle import State
from identity.model.principal import ACTORS, Kind, Principal, canonical_name, shown_name
from identity.model.selection import PrincipalSelection
from identity.store.principals import PRINCIPALS, is_of
from identity.store.rows import page_after
from identity.store.tables import principal_counts, principals
from identity.store.tx import Tx

NAMED_KINDS = (Kind.USER, *sorted(ACTORS))
"""A principal of one of these has its name alone; groups may share one, and other kinds are not found by name."""


def principal_list(tx: Tx, wanted: PrincipalSelection, *, after: UUID | None, limit: int) -> list[Principal]:
    """Return at most ``limit`` living principals in the order of creation."""
    statement = select(*PRINCIPALS.columns).where(
        principals.c.tenant_id == tx.tenant_id, principals.c.deleted_at.is_(None)
    )
    statement = page_after(statement, principals.c.id, after, limit)
    if wanted.ids is not None:
        statement = statement.where(principals.c.id.in_(wanted.ids))
    if wanted.name is not None:
        statement = statement.where(_is_called(wanted.name, wanted.kind))
    elif wanted.kind is not None:
        statement = statement.where(principals.c.kind == wanted.kind)
    if wanted.is_protected:
        statement = statement.where(principals.c.is_protected)
    if wanted.state is not None:
        statement = _in_state(tx, statement, wanted.state, wanted.kind, limit)
    return PRINCIPALS.all(tx.execute(statement))


def _is_called(name: str, kind: Kind | None) -> ColumnElement[bool]:
    """Return the condition that a principal has a name, written so that the indexes over names are used."""
    kinds = (Kind.GROUP, *NAMED_KINDS) if kind is None else (kind,)
    return or_(false(), *(_is_called_as(name, each) for each in kinds))


def _is_called_as(name: str, kind: Kind) -> ColumnElement[bool]:
    try:
        key = shown_name(name) if kind is Kind.GROUP else canonical_name(name)
    except InvalidRequest:
        return false()  # no principal of the kind can have that name
    return and_(is_of(kind), principals.c.name_key == key)


def _in_state(tx: Tx, statement: Select[Any], state: State, kind: Kind | None, limit: int) -> Select[Any]:
    """Return the statement for one state. The index over states begins with the kind: each kind is read by itself."""
    if kind is not None:
        return statement.where(principals.c.state == state)
    kinds = select(principal_counts.c.kind).where(principal_counts.c.tenant_id == tx.tenant_id).distinct().cte("kinds")
    of_kind = statement.where(principals.c.kind == kinds.c.kind, principals.c.state == state)
    found = of_kind.correlate(kinds).lateral("found")
    columns = [found.c[column.name] for column in PRINCIPALS.columns]
    return select(*columns).select_from(kinds.join(found, true())).order_by(found.c.id).limit(limit)
