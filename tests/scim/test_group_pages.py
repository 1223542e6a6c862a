"""A page of groups shows a bounded number of members in sum, and however a client pages, it finds every group."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from dev.postgres import SUPERUSER
from identity.store.references import MEMBERS_SHOWN_MAX
from tests.conftest import Server
from tests.scim.conftest import running, scim_app
from tests.scim.sources import Source, Sources

SIZES = (1, MEMBERS_SHOWN_MAX // 2, MEMBERS_SHOWN_MAX // 2 - 1, 1, MEMBERS_SHOWN_MAX, 0, 2)
NAMES = [f"g{place}" for place in range(len(SIZES))]
PEOPLE = """
INSERT INTO principals SELECT (jsonb_populate_record(one, jsonb_build_object(
    'id', '01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), 'name', 'p' || n, 'name_key', 'p' || n))).*
  FROM principals AS one, generate_series(1, %s) AS n WHERE one.tenant_id = %s AND one.name = 'sam'
"""
MEMBERS = """
INSERT INTO group_members SELECT (jsonb_populate_record(one, jsonb_build_object('group_id', g.id, 'member_id', p.id))).*
  FROM group_members AS one, principals AS g, (SELECT id FROM principals WHERE name LIKE 'p%%' LIMIT %s) AS p
 WHERE one.ctid = (SELECT min(ctid) FROM group_members WHERE tenant_id = %s)
   AND g.tenant_id = one.tenant_id AND g.name = %s
"""


@pytest.fixture(scope="module")
def directories(server: Server) -> Iterator[tuple[Source, Source]]:
    """A source with groups of ``SIZES`` members, and a rival that has one of its own: here they are only read."""
    name = server.copy()
    with running(server.url(name, role="identity_app")) as runtime:
        sources = Sources(scim_app(runtime), runtime)
        rfc, rival = sources.make("acme", "rfc"), sources.make("rival", "rfc")
        rival.group("g0", rival.user("sam"))
        rfc.group("first", rfc.user("sam"))
        for group in NAMES:
            rfc.group(group)
        superuser = psycopg.connect(host=server.socket_folder, user=SUPERUSER, dbname=name, autocommit=True)
        with superuser as connection:
            connection.execute("SET session_replication_role = replica")  # the rows alone are looked at
            connection.execute(PEOPLE, (MEMBERS_SHOWN_MAX, rfc.tenant_id))
            for group, size in zip(NAMES, SIZES, strict=True):
                connection.execute(MEMBERS, (size, rfc.tenant_id, group))
        yield rfc, rival
    server.drop(name)


@pytest.fixture
def groups(directories: tuple[Source, Source]) -> Source:
    return directories[0]


@pytest.fixture
def rival(directories: tuple[Source, Source]) -> Source:
    return directories[1]


def told(page: Any) -> list[tuple[str, int]]:
    return [(each["displayName"], len(each.get("members", ()))) for each in page["Resources"]]


ALL = [("first", 1), *zip(NAMES, SIZES, strict=True)]


def by_index(source: Source, query: str) -> Iterator[Any]:
    start = 1
    while True:
        page = source.get(f"/Groups?startIndex={start}{query}")
        yield page
        start += page["itemsPerPage"]
        if start > page["totalResults"]:
            return


def by_cursor(source: Source, query: str, onwards: str = "nextCursor", cursor: str = "") -> Iterator[Any]:
    while True:
        page = source.get(f"/Groups?cursor={cursor}{query}")
        yield page
        if (cursor := page.get(onwards, "")) == "":
            return


@pytest.mark.promise(8)
@pytest.mark.parametrize("paging", [by_index, by_cursor])
@pytest.mark.parametrize("query", ["", "&sortBy=displayName", "&count=3", f"&filter={quote('displayName pr')}"])
def test_a_page_of_groups_ends_before_it_shows_too_many_members(groups: Source, paging: Any, query: str) -> None:
    pages = [told(page) for page in paging(groups, query)]
    assert all(sum(number for _, number in page) <= MEMBERS_SHOWN_MAX for page in pages)
    assert sorted(group for page in pages for group in page) == sorted(ALL)
    assert len(pages) > 1


def test_a_page_of_all_resource_types_ends_likewise(groups: Source) -> None:
    page = groups.get("/?count=200&filter=" + quote('displayName pr and meta.resourceType eq "Group"'))
    assert told(page) == ALL[:3]
    assert (page["totalResults"], page["itemsPerPage"]) == (len(ALL), 3)


def test_pages_are_found_backward_too(groups: Source) -> None:
    pages = list(by_cursor(groups, "&sortBy=displayName"))
    last = pages[-1]["previousCursor"]
    backward = [told(page) for page in by_cursor(groups, "&sortBy=displayName", "previousCursor", last)]
    assert all(sum(number for _, number in page) <= MEMBERS_SHOWN_MAX for page in backward)
    found = sorted(group for page in [*backward, told(pages[-1])] for group in page)
    assert found == sorted(ALL)


def test_without_members_a_page_is_as_long_as_asked_for(groups: Source) -> None:
    page = groups.get("/Groups?excludedAttributes=members")
    assert [name for name, _ in told(page)] == [name for name, _ in ALL]


@pytest.mark.promise(4)
def test_what_a_page_shows_of_one_tenant_is_not_counted_for_another(groups: Source, rival: Source) -> None:
    assert told(rival.get("/Groups")) == [("g0", 1)]
