"""Lists and searches, of one resource type or of all (RFC 7644 §3.4.2, §3.4.3; cursors: RFC 9865)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from identity.actions.provisioning import ResultPage, find_principals
from identity.edge.runtime import runtime
from identity.model.listing import Listing, Position
from identity.model.principal import Kind
from identity.model.query import ALWAYS, Condition
from scim.call import ScimCall
from scim.discovery import list_response
from scim.filter.resolve import parse_filter, parse_filter_of_all
from scim.filter.sorting import parse_sort
from scim.resource.document import render
from scim.resource.locations import Endpoints
from scim.resource.projection import Projection, parse_projection
from scim.schema.resource_types import ResourceType
from scim.search.cursors import Cursor, Cursors
from scim.search.page_offsets import COUNTED_MAX, PageOffset, page_offsets
from scim.search.query import Query

Json = dict[str, Any]
Found = tuple[ResultPage, Json]
"""A page, and the members of its ListResponse by which a client continues."""


@dataclass(frozen=True, slots=True)
class Page:
    """The resources of a page, their types and projections by kind, and the paging members of its ListResponse."""

    found: ResultPage
    paging: Json
    types: Mapping[Kind, ResourceType]
    shown: Mapping[Kind, Projection]


def find_page(call: ScimCall, query: Query, types: Sequence[ResourceType]) -> Page:
    """Return the page of the resources of ``types`` that a query selects. Raises ``InvalidRequest``."""
    shown = {type_.kind: parse_projection(query.attributes, query.excluded_attributes, type_) for type_ in types}
    listing = Listing(
        wanted=_conditions(query, types),
        limit=query.count,
        order=parse_sort(query.sort_by, types, descending=query.descending) if query.sort_by else None,
        offset=query.start_index - 1,
        with_members=any(projection.shows("members") for projection in shown.values()),
    )
    find = _at_index if query.cursor is None else _at_cursor
    return Page(*find(call, query, types, listing), {type_.kind: type_ for type_ in types}, shown)


def render_page(page: Page, endpoints: Endpoints) -> Json:
    """Return a ListResponse (RFC 7644 §3.4.2)."""
    items = page.found.resources
    return list_response([render(i, page.types[i.kind], endpoints, page.shown[i.kind]) for i in items], page.paging)


def _conditions(query: Query, types: Sequence[ResourceType]) -> Mapping[Kind, Condition]:
    if query.filter is None:
        return {type_.kind: ALWAYS for type_ in types}
    if len(types) == 1:
        return {types[0].kind: parse_filter(query.filter, types[0])}
    return parse_filter_of_all(query.filter, types)


# --- indexes ---------------------------------------------------------------------------------------------------


def _at_index(call: ScimCall, query: Query, types: Sequence[ResourceType], listing: Listing) -> Found:
    """Return the page at an index. Deep in an unfiltered list, it starts where an earlier page ended."""
    index, is_deep = listing.offset, listing.offset >= COUNTED_MAX
    is_plain = query.filter is None and query.sort_by is None
    key = (call.tx.tenant_id, call.caller.connection_id, *(type_.kind for type_ in types))
    nearest = page_offsets().nearest(key, index, call.now) if is_plain and is_deep else None
    if nearest is not None:
        listing = replace(listing, beyond=Position(None, nearest.id), offset=index - nearest.index)
    found = find_principals(call.tx, listing, caller=call.caller)
    if is_plain and index + query.count >= COUNTED_MAX and found.resources:
        last = PageOffset(index + len(found.resources), found.position(-1).id, call.now)
        page_offsets().remember(key, last)
    return found, {"totalResults": found.total, "startIndex": query.start_index}


# --- cursors ---------------------------------------------------------------------------------------------------


def _at_cursor(call: ScimCall, query: Query, types: Sequence[ResourceType], listing: Listing) -> Found:
    """Return the page of a cursor. An empty cursor is that of the first page."""
    cursors = _cursors(call, query, types)
    at = cursors.decrypt(query.cursor) if query.cursor else None
    # Counting the resources of a filter costs as much as all of its pages: only the first page and a page of count 0,
    # which is a question for the total (RFC 9865 §2), have the total.
    with_total = at is None or query.filter is None or query.count == 0
    listing = replace(listing, limit=query.count + 1 if query.count else 0, with_total=with_total)
    if at is not None:
        listing = replace(listing, beyond=at.position, backward=at.backward)
    found = find_principals(call.tx, listing, caller=call.caller)
    page, is_more = _cut(found, query.count, from_the_front=listing.backward)
    paging: Json = {"totalResults": found.total} if listing.with_total else {}
    if page.resources and (is_more or listing.backward):
        paging["nextCursor"] = cursors.encrypt(Cursor(page.position(-1)))
    if page.resources and at is not None and (is_more or not at.backward):
        paging["previousCursor"] = cursors.encrypt(Cursor(page.position(0), backward=True))
    return page, paging


def _cursors(call: ScimCall, query: Query, types: Sequence[ResourceType]) -> Cursors:
    endpoints = [type_.endpoint for type_ in types]
    pages = (str(call.caller.connection_id), endpoints, query.filter, query.sort_by, query.descending)
    return Cursors(runtime().encryption, call.tx.tenant_id, pages, call.now)


def _cut(found: ResultPage, limit: int, *, from_the_front: bool) -> tuple[ResultPage, bool]:
    """Return a page without the resource beyond its limit, and whether there are more resources.

    There are more also if the page ended early because of the members that it shows.
    """
    if len(found.resources) <= limit:
        return found, found.is_cut
    kept = slice(1, None) if from_the_front else slice(None, limit)
    return ResultPage(found.total, found.resources[kept], found.sort_values[kept]), True
