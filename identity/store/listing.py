"""Pages of principals: a condition for each kind, an order, and a place in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import LateralFromClause

from identity.model.listing import Listing, Position, SortValue
from identity.model.principal import Kind, ListItem, kind_of
from identity.model.query import ALWAYS, Condition
from identity.store.ordering import CompiledOrder, compile_order
from identity.store.principals import KINDS_KEPT_MAX, is_of
from identity.store.query import Clause, compile_condition
from identity.store.references import (
    GROUPS_SHOWN_MAX,
    MEMBERS_SHOWN_MAX,
    OWNERS_SHOWN_MAX,
    TENANT,
    check_number,
    reference_columns,
)
from identity.store.tables import principal_counts, principals
from identity.store.tx import Tx


@dataclass(frozen=True, slots=True)
class ResultPage:
    """One page of a list with the sort value of each resource; ``total`` is 0 where the caller did not want it."""

    total: int
    resources: tuple[ListItem, ...]
    sort_values: tuple[SortValue, ...] = ()
    is_cut: bool = False
    """There are more, which would have been on the page but for the number of members that it shows."""

    def position(self, index: int) -> Position:
        """Return where one of the resources stands."""
        return Position(self.sort_values[index], UUID(self.resources[index].id))


def resource_list(tx: Tx, listing: Listing) -> ResultPage:
    """Return one page in one statement; in two, where the page goes over to those without a sort value.

    It ends before the resource with which its groups would show more than ``MEMBERS_SHOWN_MAX`` members in sum; the
    first is there in any case (RFC 7644 §3.4.2.4: a page may be shorter than requested). Raises ``LimitExceeded``
    for a single group that has more.
    """
    total, rows = _all_resources(tx, listing) if _is_of_all(listing) else _satisfying(tx, listing)
    kept = _within_bound(rows)
    is_cut = len(kept) < len(rows)
    if listing.backward:
        kept.reverse()
    return ResultPage(total, tuple(map(_item_from, kept)), tuple(row.sort_value for row in kept), is_cut)


def _within_bound(rows: list[Any]) -> list[Any]:
    """Return the rows from the first on that show as many members as a page may."""
    shown = accumulate(len(row.members or ()) for row in rows)
    return [
        row
        for place, (row, number) in enumerate(zip(rows, shown, strict=True))
        if not place or number <= MEMBERS_SHOWN_MAX
    ]


def _satisfying(tx: Tx, listing: Listing) -> tuple[int, list[Any]]:
    kinds = _kinds(listing)
    order = compile_order(listing.order, kinds, tx.tenant_id, backward=listing.backward)
    of_kinds = (
        and_(is_of(kind), compile_condition(listing.wanted[kind], kind=kind, tenant_id=tx.tenant_id)) for kind in kinds
    )
    matching = and_(LIVING, or_(false(), *of_kinds))
    rows: list[Any] = []
    total = _total(listing.wanted, matching) if listing.with_total else literal(0)
    for region in order.regions(listing.beyond):
        statement = _page(kinds, listing.with_members, matching & region, order, total)
        left = listing.limit - len(rows)
        found = tx.execute(statement, {"tenant": tx.tenant_id, "offset": listing.offset, "limit": left}).all()
        total = literal(found[0].total)
        rows += [row for row in found if row.id is not None]
        if len(rows) >= listing.limit or len(_within_bound(rows)) < len(rows):
            break
    return found[0].total, rows


def _kinds(listing: Listing) -> tuple[Kind, ...]:
    return tuple(sorted(listing.wanted, key=lambda kind: kind.sort_key))


# --- without filter and order ----------------------------------------------------------------------------------


def _is_of_all(listing: Listing) -> bool:
    return listing.order is None and all(wanted == ALWAYS for wanted in listing.wanted.values())


def _all_resources(tx: Tx, listing: Listing) -> tuple[int, list[Any]]:
    """Return total and rows of a list without filter and order: few such statements, each put together once."""
    place = listing.beyond
    statement = _page_of_all(
        _kinds(listing), listing.with_members, listing.with_total, listing.backward, place is not None
    )
    bound = {"tenant": tx.tenant_id, "offset": listing.offset, "limit": listing.limit}
    found = tx.execute(statement, bound if place is None else bound | {"beyond": place.id}).all()
    return found[0].total, [row for row in found if row.id is not None]


@lru_cache(KINDS_KEPT_MAX)
def _page_of_all(
    kinds: tuple[Kind, ...], with_members: bool, with_total: bool, backward: bool, is_beyond: bool
) -> Select[Any]:
    order = CompiledOrder(None, descending=False, backward=backward)
    region = order.beyond_id(BEYOND) if is_beyond else true()
    matching = and_(LIVING, or_(false(), *map(is_of, kinds)), region)
    total = _total(dict.fromkeys(kinds, ALWAYS), matching) if with_total else literal(0)
    return _page(kinds, with_members, matching, order, total)


# --- parts of statements ---------------------------------------------------------------------------------------

OFFSET, LIMIT = bindparam("offset", type_=BigInteger), bindparam("limit", type_=BigInteger)
BEYOND = bindparam("beyond", type_=principals.c.id.type)
OWN_FIELDS = ListItem._fields.index("groups")
LIVING = (principals.c.tenant_id == TENANT) & principals.c.deleted_at.is_(None)


def _total(wanted: Mapping[Kind, Condition], matching: Clause) -> ColumnElement[int]:
    """Return the total. Triggers on ``principals`` count whole kinds; resources under a condition are counted now."""
    if any(condition != ALWAYS for condition in wanted.values()):
        return select(func.count()).select_from(principals).where(matching).scalar_subquery()
    living = func.coalesce(func.sum(principal_counts.c.living), 0)
    counted = select(cast(living, BigInteger)).where(
        principal_counts.c.tenant_id == TENANT, principal_counts.c.kind.in_(list(wanted))
    )
    return counted.scalar_subquery()


def _page(
    kinds: tuple[Kind, ...], with_members: bool, where: Clause, order: CompiledOrder, total: ColumnElement[int]
) -> Select[Any]:
    """Return one page. Its resources are found first, and references are looked up for these alone."""
    page = (
        select(principals.c.id, order.sort_value.label("sort_value"))
        .where(where)
        .order_by(*order.order_by(order.sort_value, principals.c.id))
        .offset(OFFSET)
        .limit(LIMIT)
        .subquery()
    )
    one = select(literal(1).label("one")).subquery()
    if with_members and Kind.GROUP in kinds:
        return _page_of_groups(kinds, page, order, total, one)
    shown = _shown(kinds, with_members, page.c.id)
    return (
        select(*shown.c, total.label("total"), page.c.sort_value)
        .select_from(one.outerjoin(page.join(shown, true()), true()))
        .order_by(*order.order_by(page.c.sort_value, page.c.id))
    )


def _shown(kinds: tuple[Kind, ...], with_members: bool, id_: ColumnElement[UUID]) -> LateralFromClause:
    """Return what is shown of the resource with an id.

    A row by its id, one at a time: how long a page will be is not known to a prepared plan, which might therefore
    rather read every principal and throw most of them away.
    """
    found = _items_of(kinds, with_members).where(principals.c.tenant_id == TENANT, principals.c.id == id_)
    return found.limit(1).lateral()


@lru_cache(KINDS_KEPT_MAX)
def _items_of(kinds: tuple[Kind, ...], with_members: bool) -> Select[Any]:
    """Return the SELECT of the fields of ``ListItem``, in their order."""
    own = (principals.c[name] for name in ListItem._fields[1:OWN_FIELDS])
    return select(cast(principals.c.id, Text).label("id"), *own, *reference_columns(kinds, with_members))


ITEM_COLUMNS = len(ListItem._fields)


def _item_from(row: Any) -> ListItem:
    """Return the item in a row that begins with the columns of ``_items_of``. Raises ``LimitExceeded``."""
    found = ListItem(row[0], kind_of(row[1]), *row[2:ITEM_COLUMNS])
    if found.groups and len(found.groups) > GROUPS_SHOWN_MAX:
        found = found._replace(groups=found.groups[:GROUPS_SHOWN_MAX])
    if found.members or found.owners:
        check_number(found.members, MEMBERS_SHOWN_MAX)
        check_number(found.owners, OWNERS_SHOWN_MAX)
    return found


def _page_of_groups(
    kinds: tuple[Kind, ...], page: Subquery, order: CompiledOrder, total: ColumnElement[int], one: Subquery
) -> Select[Any]:
    """Go through a page resource by resource, and no further than to where the members are more than it may show."""
    place = func.row_number().over(order_by=order.order_by(page.c.sort_value, page.c.id)).label("place")
    placed = select(page.c.id, page.c.sort_value, place).cte("placed")
    first = _shown(kinds, True, placed.c.id)
    walked = (
        select(*first.c, placed.c.sort_value, placed.c.place, _number(first).label("number"))
        .select_from(placed.join(first, true()))
        .where(placed.c.place == 1)
        .cte("walked", recursive=True)
    )
    # Behind a limit, so that nothing is looked up of a resource before its place has come.
    following = select(*placed.c).where(placed.c.place == walked.c.place + 1).limit(1).lateral()
    shown = _shown(kinds, True, following.c.id)
    walked = walked.union_all(
        select(*shown.c, following.c.sort_value, following.c.place, walked.c.number + _number(shown))
        .select_from(walked.join(following, true()).join(shown, true()))
        .where(walked.c.number <= MEMBERS_SHOWN_MAX)
    )
    columns = [walked.c[name] for name in ListItem._fields]
    return (
        select(*columns, total.label("total"), walked.c.sort_value)
        .select_from(one.outerjoin(walked, true()))
        .order_by(walked.c.place)
    )


def _number(shown: LateralFromClause) -> ColumnElement[int]:
    return func.coalesce(func.jsonb_array_length(shown.c.members), 0)
