"""Lists and searches, of one resource type or of all (RFC 7644 §3.4.2, §3.4.3; cursors: RFC 9865)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from identity.actions.provisioning import ResultPage, find_principals
from identity.edge.runtime import runtime
from identity.model.listing import Listing, Place
from identity.model.principal import Kind
from identity.model.query import ALWAYS, Condition
from scim.call import ScimCall
from scim.discovery import LIST_SCHEMA
from scim.filter.resolve import parse_filter, parse_filter_of_all
from scim.filter.sorting import parse_sort
from scim.resource.document import render
from scim.resource.locations import Endpoints
from scim.resource.projection import Projection, parse_projection
from scim.schema.resource_types import ResourceType
from scim.search.cursors import Cursor, Cursors
from scim.search.page_offsets import COUNTED_OUT_MAX, Anchor, anchors
from scim.search.query import Query

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, what of it is shown, and what a client needs to go on."""

    found: ResultPage
    types: Mapping[Kind, ResourceType]
    shown: Mapping[Kind, Projection]
    paging: Json = field(default_factory=dict)


def find_page(call: ScimCall, query: Query, types: Sequence[ResourceType]) -> Page:
    """Return the page of the resources of ``types`` that a query asks for. Raises ``InvalidRequest``."""
    shown = {type_.kind: parse_projection(query.attributes, query.excluded_attributes, type_) for type_ in types}
    listing = Listing(
        wanted=_wanted(query, types),
        limit=query.count,
        order=(query.sort_by and parse_sort(query.sort_by, types, descending=query.descending)) or None,
        offset=query.start_index - 1,
        with_members=any(projection.shows("members") for projection in shown.values()),
    )
    if query.cursor is not None:
        return _page_at_cursor(call, query, types, listing, shown)
    found = _found_at_index(call, query, types, listing)
    return Page(found, _by_kind(types), shown, {"totalResults": found.total, "startIndex": query.start_index})


def render_page(page: Page, endpoints: Endpoints) -> Json:
    """Return a ListResponse (RFC 7644 §3.4.2)."""
    resources = [
        render(found, page.types[found.kind], endpoints, page.shown[found.kind]) for found in page.found.resources
    ]
    return {"schemas": [LIST_SCHEMA], **page.paging, "itemsPerPage": len(resources), "Resources": resources}


def _by_kind(types: Sequence[ResourceType]) -> Mapping[Kind, ResourceType]:
    return {type_.kind: type_ for type_ in types}


def _wanted(query: Query, types: Sequence[ResourceType]) -> Mapping[Kind, Condition]:
    if query.filter is None:
        return {type_.kind: ALWAYS for type_ in types}
    if len(types) == 1:
        return {types[0].kind: parse_filter(query.filter, types[0])}
    return parse_filter_of_all(query.filter, types)


# --- indexes ---------------------------------------------------------------------------------------------------


def _found_at_index(call: ScimCall, query: Query, types: Sequence[ResourceType], listing: Listing) -> ResultPage:
    """Return the page at an index. Deep in a list of everybody it is found from where an earlier page ended."""
    index = listing.offset
    if query.filter is not None or query.sort_by is not None or index < COUNTED_OUT_MAX - query.count:
        return find_principals(call.tx, listing, caller=call.caller)
    key = (call.tx.tenant_id, call.caller.connection_id, *(type_.kind for type_ in types))
    anchor = anchors().nearest(key, index, call.now) if index >= COUNTED_OUT_MAX else None
    if anchor is not None:
        listing = replace(listing, beyond=Place(None, anchor.id), offset=index - anchor.index)
    found = find_principals(call.tx, listing, caller=call.caller)
    if found.resources:
        anchors().remember(key, Anchor(index + len(found.resources), found.place(-1).id, call.now))
    return found


# --- cursors ---------------------------------------------------------------------------------------------------


def _page_at_cursor(
    call: ScimCall, query: Query, types: Sequence[ResourceType], listing: Listing, shown: Mapping[Kind, Projection]
) -> Page:
    cursors = _cursors(call, query, types)
    at = cursors.open(query.cursor) if query.cursor else None
    # To count what a filter finds costs as much as all of its pages together: it is told once, on the first page and
    # to who wants nothing but that (RFC 9865 §2: a count of 0).
    with_total = at is None or query.filter is None or query.count == 0
    listing = replace(listing, limit=query.count + 1 if query.count else 0, with_total=with_total)
    if at is not None:
        listing = replace(listing, beyond=at.place, backward=at.backward)
    found = find_principals(call.tx, listing, caller=call.caller)
    page, is_more = _cut(found, query.count, from_the_front=listing.backward)
    paging: Json = {"totalResults": found.total} if listing.with_total else {}
    if page.resources and (is_more or listing.backward):
        paging["nextCursor"] = cursors.close(Cursor(page.place(-1)))
    if page.resources and at is not None and (is_more or not at.backward):
        paging["previousCursor"] = cursors.close(Cursor(page.place(0), backward=True))
    return Page(page, _by_kind(types), shown, paging)


def _cursors(call: ScimCall, query: Query, types: Sequence[ResourceType]) -> Cursors:
    endpoints = [type_.endpoint for type_ in types]
    asked = (str(call.caller.connection_id), endpoints, query.filter, query.sort_by, query.descending)
    return Cursors(runtime().encryption, call.tx.tenant_id, asked, call.now)


def _cut(found: ResultPage, limit: int, *, from_the_front: bool) -> tuple[ResultPage, bool]:
    """Return a page without the one resource that was asked for only to know whether there are more.

    ``True`` beside it says that there are: also where the page ended early, for the members that it shows.
    """
    if len(found.resources) <= limit:
        return found, found.is_cut
    kept = slice(1, None) if from_the_front else slice(None, limit)
    return ResultPage(found.total, found.resources[kept], found.sort_values[kept]), True
