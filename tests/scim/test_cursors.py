"""Cursors (RFC 9865): sealed, bound to whom and what they were made for, stable while rows change."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from identity.actions.connections import end_connection, list_connections
from identity.edge.runtime import Runtime
from identity.store.transaction import transaction
from tests.scim.sources import ADMINISTRATOR, LIST, Clock, Source, Sources
from tests.statement_counter import round_trips

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture
def people(rfc: Source, rival: Source) -> list[str]:
    rival.user("zero")
    titles = ["b", None, "a", "B", None, "c", "a"]
    return [rfc.user(f"u{n}", **({"title": title} if title else {})) for n, title in enumerate(titles)]


def walk(source: Source, path: str, direction: str = "nextCursor") -> Iterator[Any]:
    """Yield pages from the first one on, as long as there is a cursor to follow."""
    mark = "&" if "?" in path else "?"
    page = source.get(f"{path}{mark}cursor=")
    yield page
    while direction in page:
        page = source.get(f"{path}{mark}cursor={page[direction]}")
        yield page


def ids(*pages: Any) -> list[str]:
    return [found["id"] for page in pages for found in page["Resources"]]


@pytest.mark.rfc("9865", "2", "2-1", "2-3", "2-4", "2-5", "2-6")
def test_following_cursors_shows_everybody_once_and_the_last_page_leads_no_further(
    rfc: Source, people: list[str]
) -> None:
    pages = list(walk(rfc, "/Users?count=3"))
    assert [page["itemsPerPage"] for page in pages] == [3, 3, 1]
    assert ids(*pages) == people
    assert {page["totalResults"] for page in pages} == {7}
    assert ["nextCursor" in page for page in pages] == [True, True, False]
    assert ["previousCursor" in page for page in pages] == [False, True, True]
    assert not [page for page in pages if "startIndex" in page]


@pytest.mark.rfc("9865", "2", "2-3", "2-4", "2-5")
@pytest.mark.parametrize("count", [1, 2, 7, 8, 200])
@pytest.mark.parametrize(
    "sort", ["", "&sortBy=title", "&sortBy=title&sortOrder=descending", "&sortBy=userName&sortOrder=descending",
             "&sortBy=id", "&sortBy=active", "&sortBy=meta.created&sortOrder=descending"]
)  # fmt: skip
def test_pages_by_cursor_are_the_list_cut_in_pieces_forwards_and_backwards(
    rfc: Source, people: list[str], sort: str, count: int
) -> None:
    whole = ids(rfc.get(f"/Users?count=200{sort}"))
    pages = list(walk(rfc, f"/Users?count={count}{sort}"))
    assert ids(*pages) == whole
    backwards, page = [pages[-1]], pages[-1]
    while "previousCursor" in page:
        page = rfc.get(f"/Users?count={count}{sort}&cursor={page['previousCursor']}")
        backwards.insert(0, page)
    assert ids(*backwards) == whole


@pytest.mark.parametrize("sort", ["", "&sortBy=title"])
def test_rows_that_come_and_go_make_nobody_appear_twice_or_not_at_all(
    rfc: Source, people: list[str], sort: str
) -> None:
    whole = ids(rfc.get(f"/Users?{sort}"))
    pages = walk(rfc, f"/Users?count=3{sort}")
    seen = ids(next(pages))
    rfc.delete(f"/Users/{seen[0]}")
    rfc.delete(f"/Users/{seen[2]}")  # the very one behind which the next page begins
    rfc.user("earlier", title="A")
    rest = ids(*pages)
    assert seen + [id_ for id_ in rest if id_ in people] == whole


def test_a_search_goes_on_by_cursor_too(rfc: Source, people: list[str]) -> None:
    group = rfc.group("last")
    for path, everybody in (("/Users/.search", people), ("/.search", [*people, group])):
        query = {"schemas": [SEARCH], "count": 5}
        first = rfc.post(path, {**query, "cursor": ""}, status=200)
        second = rfc.post(path, {**query, "cursor": first["nextCursor"]}, status=200)
        assert ids(first, second) == everybody
        assert "nextCursor" not in second


def test_what_a_filter_finds_is_counted_on_the_first_page_only(rfc: Source, people: list[str]) -> None:
    pages = list(walk(rfc, "/Users?count=2&filter=" + quote("title pr")))
    assert [page.get("totalResults") for page in pages] == [5, None, None]
    assert len(ids(*pages)) == 5


def test_a_page_that_holds_nothing_leads_nowhere(rfc: Source, people: list[str]) -> None:
    page = rfc.get("/Users?cursor=&filter=" + quote('userName eq "nobody"'))
    assert (page["totalResults"], page["Resources"]) == (0, [])
    assert "nextCursor" not in page
    assert "previousCursor" not in page


@pytest.mark.rfc("9865", "2.1", "2.1-1")
@pytest.mark.rfc("9865", "5.2", "5.2-1")
def test_a_cursor_opens_only_for_whom_and_what_it_was_made(
    rfc: Source, okta: Source, rival: Source, people: list[str]
) -> None:
    cursor = rfc.get("/Users?count=2&cursor=")["nextCursor"]
    rfc.get(f"/Users?count=5&cursor={cursor}")  # the size of a page may change
    for source, path in (
        *((rival, "/Users?"), (okta, "/Users?"), (rfc, "/Groups?"), (rfc, "/Users?sortBy=userName&")),
        *((rfc, "/Users?sortOrder=descending&"), (rfc, "/Users?filter=title%20pr&")),
    ):
        assert source.get(f"{path}cursor={cursor}", status=400)["scimType"] == "invalidCursor", path


@pytest.mark.rfc("9865", "2.1", "2.1-1")
@pytest.mark.parametrize("cursor", ["x", "AAAA", "A" * 100, "%00", "é", "=", "A" * 5_000, "next page", "null"])
def test_what_we_did_not_make_is_an_invalid_cursor(rfc: Source, cursor: str) -> None:
    assert rfc.get(f"/Users?cursor={quote(cursor, safe='%')}", status=400)["scimType"] == "invalidCursor"


def test_a_changed_cursor_is_an_invalid_one(rfc: Source, people: list[str]) -> None:
    cursor = rfc.get("/Users?count=2&cursor=")["nextCursor"]
    for place in (0, len(cursor) // 2, len(cursor) - 3):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        assert rfc.get(f"/Users?cursor={changed}", status=400)["scimType"] == "invalidCursor"


@pytest.mark.rfc("9865", "2.1", "2.1-1")
def test_a_cursor_expires_after_as_long_as_is_advertised(rfc: Source, runtime: Runtime, people: list[str]) -> None:
    pagination = rfc.get("/ServiceProviderConfig")["pagination"]
    cursor = rfc.get("/Users?count=2&cursor=")["nextCursor"]
    assert isinstance(runtime.clock, Clock)
    runtime.clock.now += timedelta(seconds=pagination["cursorTimeout"] - 10)
    rfc.get(f"/Users?count=2&cursor={cursor}")
    runtime.clock.now += timedelta(seconds=20)
    assert rfc.get(f"/Users?count=2&cursor={cursor}", status=400)["scimType"] == "expiredCursor"


@pytest.mark.rfc("9865", "2.1", "2.1-1")
@pytest.mark.parametrize("count", ["many", "", "1.5", "--1", "9" * 20])
def test_a_count_that_is_no_number_is_an_invalid_count(rfc: Source, count: str) -> None:
    refused = rfc.get(f"/Users?cursor=&count={count}", status=400)
    assert (refused["scimType"], refused["detail"]) == ("invalidCount", "count: must be a whole number")


@pytest.mark.rfc("9865", "2", "2-2")
@pytest.mark.parametrize("count", [0, -1, -(10**17)])
def test_a_count_of_nothing_asks_for_the_total_alone_wherever_the_cursor_is(
    rfc: Source, people: list[str], count: int
) -> None:
    for query, total in (("", 7), ("&sortBy=title", 7), ("&filter=title%20pr", 5)):
        cursor = rfc.get(f"/Users?count=2{query}&cursor=")["nextCursor"]
        for at in ("", cursor):
            page = rfc.get(f"/Users?count={count}{query}&cursor={at}")
            assert page == {"schemas": [LIST], "totalResults": total, "itemsPerPage": 0, "Resources": []}


@pytest.mark.rfc("9865", "5.2", "5.2-4")
def test_a_cursor_that_is_anothers_is_refused_like_one_that_was_never_made(
    rfc: Source, okta: Source, rival: Source, people: list[str]
) -> None:
    forged = rfc.get("/Users?cursor=AAAA", status=400)
    mine = rfc.get("/Users?count=2&cursor=")["nextCursor"]
    rival.user("one")
    theirs = [okta.get("/Users?count=2&cursor=")["nextCursor"], rival.get("/Users?count=1&cursor=")["nextCursor"]]
    for path in (*(f"/Users?cursor={cursor}" for cursor in theirs), f"/Groups?cursor={mine}", "/Users?cursor=%00"):
        assert rfc.get(path, status=400) == forged, path


@pytest.mark.rfc("9865", "5.2", "5.2-2", "5.2-3")
@pytest.mark.promise(4)
def test_a_cursor_of_one_connection_opens_for_no_other_of_its_tenant(
    sources: Sources, rfc: Source, people: list[str]
) -> None:
    other = sources.make("acme", "rfc", "other")
    query = "/Users?count=1&cursor="
    mine, theirs = (source.get(query)["nextCursor"] for source in (rfc, other))
    assert other.get(query + mine, 400)["scimType"] == "invalidCursor"
    assert rfc.get(query + theirs, 400)["scimType"] == "invalidCursor"
    assert rfc.get(query + mine)["Resources"] == other.get(query + theirs)["Resources"]


def test_whose_connection_ends_between_two_pages_has_no_use_of_the_cursor(
    rfc: Source, sources: Sources, runtime: Runtime, people: list[str]
) -> None:
    leaving, again = sources.make("acme", "okta", "leaving"), sources.make("acme", "okta", "again")
    cursor = leaving.get("/Users?count=2&cursor=")["nextCursor"]
    leaving.get(f"/Users?count=2&cursor={cursor}")
    with transaction(runtime.engine, leaving.tenant_id) as tx:
        [ended] = [each for each in list_connections(tx, after=None, limit=100) if each.name == "leaving"]
        end_connection(tx, ended.id, caller=ADMINISTRATOR, now=runtime.clock())
    leaving.get(f"/Users?count=2&cursor={cursor}", status=401)
    assert again.get(f"/Users?count=2&cursor={cursor}", status=400)["scimType"] == "invalidCursor"


def test_a_cursor_and_an_index_exclude_each_other(rfc: Source) -> None:
    assert rfc.get("/Users?cursor=&startIndex=1", status=400)["scimType"] == "invalidValue"


@pytest.mark.rfc("9865", "4", "4-1", "4-2", "4-3")
@pytest.mark.rfc("9865", "2.4", "2.4-1")
def test_cursors_are_advertised_and_the_index_is_the_default(rfc: Source) -> None:
    pagination = rfc.get("/ServiceProviderConfig")["pagination"]
    assert (pagination["cursor"], pagination["index"], pagination["defaultPaginationMethod"]) == (True, True, "index")
    assert rfc.get("/Users")["startIndex"] == 1
    assert "nextCursor" not in rfc.get("/Users?count=0")


def test_a_long_sort_value_makes_a_cursor_that_opens(rfc: Source) -> None:
    made = [rfc.user(f"u{n}", title="日" * 3_000 + str(n)) for n in range(3)]
    assert ids(*walk(rfc, "/Users?count=1&sortBy=title")) == made


@pytest.mark.promise(10)
def test_a_page_by_cursor_costs_two_statements_at_most_beside_its_transaction(
    rfc: Source, runtime: Runtime, people: list[str], sources: Sources
) -> None:
    for path in ("/Users?count=2", "/Users?count=4&sortBy=title", "/Users?count=2&sortBy=userName"):
        cursor = rfc.get(f"{path}&cursor=")["nextCursor"]
        with round_trips(runtime.engine) as seen:
            rfc.get(f"{path}&cursor={cursor}")
        assert len(seen) <= 5, seen.statements  # BEGIN, who calls, one or two pages, COMMIT
