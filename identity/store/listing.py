"""Pages of principals: a condition for each kind, an order, and a place in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, and_, cast, false, func, literal, or_, select, true

from identity.model.listing import Listing, Place
from identity.model.principal import Kind, Resource
from identity.model.query import ALWAYS
from identity.store.ordering import Sorted, compile_order
from identity.store.principals import TENANT, is_of, resource_from, resources_of
from identity.store.query import Clause, compile_condition
from identity.store.tables import principal_counts, principals
from identity.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a list, where each of its resources stands, and how many there are in all, if that was asked."""

    total: int
    resources: tuple[Resource, ...]
    places: tuple[Place, ...] = ()


def resource_list(tx: Tx, listing: Listing) -> Found:
    """Return one page in one statement; in two, where the page goes over to those without a sort value."""
    kinds = tuple(sorted(listing.wanted, key=lambda kind: kind.place))
    order = compile_order(listing.order, kinds, tx.tenant_id, backward=listing.backward)
    matching = _matching(listing, kinds, tx.tenant_id)
    rows: list[Any] = []
    total = _total(listing, kinds, matching) if listing.with_total else literal(0)
    for region in order.regions(listing.beyond):
        statement = _page(listing, kinds, matching & region, order, total, listing.limit - len(rows))
        found = tx.execute(statement, {"tenant": tx.tenant_id}).all()
        total = literal(found[0].total)
        rows += [row for row in found if row.id is not None]
        if len(rows) >= listing.limit:
            break
    if listing.backward:
        rows.reverse()
    return Found(
        found[0].total,
        tuple(resource_from(row) for row in rows),
        tuple(Place(row.sort_value, row.id) for row in rows),
    )


def _matching(listing: Listing, kinds: Sequence[Kind], tenant_id: UUID) -> Clause:
    of_kinds = (
        and_(is_of(kind), compile_condition(listing.wanted[kind], kind=kind, tenant_id=tenant_id)) for kind in kinds
    )
    return and_(principals.c.tenant_id == TENANT, principals.c.deleted_at.is_(None), or_(false(), *of_kinds))


def _total(listing: Listing, kinds: Sequence[Kind], matching: Clause) -> ColumnElement[int]:
    """Everybody is counted already (see the triggers on ``principals``); what a condition finds is counted now."""
    if any(listing.wanted[kind] != ALWAYS for kind in kinds):
        return select(func.count()).select_from(principals).where(matching).scalar_subquery()
    living = func.coalesce(func.sum(principal_counts.c.living), 0)
    counted = select(cast(living, BigInteger)).where(
        principal_counts.c.tenant_id == TENANT, principal_counts.c.kind.in_(kinds)
    )
    return counted.scalar_subquery()


def _page(
    listing: Listing, kinds: tuple[Kind, ...], where: Clause, order: Sorted, total: ColumnElement[int], limit: int
) -> Select[Any]:
    """Which resources are on the page is found first: what is named beside those before it is not looked up."""
    page = (
        select(principals.c.id, order.sort_value.label("sort_value"))
        .where(where)
        .order_by(*order.order_by(order.sort_value, principals.c.id))
        .offset(listing.offset)
        .limit(limit)
        .subquery()
    )
    shown = page.join(principals, (principals.c.tenant_id == TENANT) & (principals.c.id == page.c.id))
    one = select(literal(1).label("one")).subquery()
    return (
        resources_of(kinds, listing.with_members)
        .add_columns(total.label("total"), page.c.sort_value)
        .select_from(one.outerjoin(shown, true()))
        .order_by(*order.order_by(page.c.sort_value, page.c.id))
    )
