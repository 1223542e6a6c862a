"""Sort on any attribute (RFC 7644 §3.4.2.3): by the schema's type and case rule, the absent at the end, ties by id."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.scim.sources import AGENT, ENTERPRISE, USER, Source

PEOPLE: tuple[dict[str, Any], ...] = (
    {
        "userName": "carl", "externalId": "3", "title": "beta", "active": True, "displayName": "zoe",
        "name": {"familyName": "Ames"}, ENTERPRISE: {"department": "Sales"},
        "emails": [{"value": "z@x", "type": "home"}, {"value": "a@x", "type": "work", "primary": True}],
        "profileUrl": "https://x/B", "photos": [{"value": "https://x/2"}],
    },
    {
        "userName": "Bob", "externalId": "20", "title": "Alpha", "active": False, "displayName": "Yan",
        "name": {"familyName": "bell"}, ENTERPRISE: {"department": "engineering"},
        "emails": [{"value": "M@x", "type": "work"}, {"value": "b@x"}],
        "profileUrl": "https://x/a", "photos": [{"value": "https://x/1"}],
    },
    {"userName": "alice", "externalId": "100", "title": "alpha"},
)  # fmt: skip
# Each: what is sorted by, and the people by their place above, ascending. 2 has hardly any attributes.
ORDERS = [
    ("userName", "210"),
    ("USERNAME", "210"),
    ("urn:ietf:params:scim:schemas:core:2.0:User:userName", "210"),
    ("externalId", "210"),  # "100" < "20" < "3": texts, and case counts
    ("title", "120"),  # Alpha and alpha are equal, and 1 is older
    ("displayName", "102"),
    ("name.familyName", "012"),
    (f"{ENTERPRISE}:department", "102"),
    ("active", "102"),
    ("emails", "012"),  # by the primary one, or else the first: a@x, m@x
    ("emails.value", "012"),
    ("emails.type", "012"),
    ("photos.value", "102"),
    ("profileUrl", "012"),  # a reference: case counts, and B comes before a
    ("id", "012"),
    ("meta.created", "012"),
    ("meta.lastModified", "012"),
    ("meta.location", "012"),
    ("meta.resourceType", "012"),
    ("schemas", "012"),
]
NOBODY_HAS = frozenset({"displayName", "name.familyName", f"{ENTERPRISE}:department", "photos.value", "profileUrl"})


@pytest.fixture
def people(rfc: Source, rival: Source) -> list[str]:
    rival.user("aaron", title="aaa")
    return [rfc.post("/Users", {"schemas": [USER, ENTERPRISE], **person})["id"] for person in PEOPLE]


def listed(source: Source, path: str) -> list[str]:
    return [found["id"] for found in source.get(path)["Resources"]]


@pytest.mark.rfc("7644", "3.4.2.3", "3.4.2.3-1", "3.4.2.3-2", "3.4.2.3-3")
@pytest.mark.rfc("7643", "2.4")
def test_users_are_sorted_by_whatever_attribute_is_named(rfc: Source, people: list[str]) -> None:
    for by, order in ORDERS:
        if by == "active":
            continue  # two are equal: see below
        found = listed(rfc, f"/Users?sortBy={quote(by)}")
        assert [people.index(id_) for id_ in found] == [int(place) for place in order], by


@pytest.mark.rfc("7644", "3.4.2.3")
def test_descending_turns_values_round_and_puts_the_absent_first_but_leaves_ties_to_the_id(
    rfc: Source, people: list[str]
) -> None:
    for by, order in (
        *(("userName", "012"), ("title", "012"), ("name.familyName", "210"), ("emails.value", "210")),
        *(("active", "021"), ("id", "210"), ("photos.value", "201")),
    ):
        found = listed(rfc, f"/Users?sortBy={by}&sortOrder=descending")
        assert [people.index(id_) for id_ in found] == [int(place) for place in order], by


def test_a_false_comes_before_a_true(rfc: Source, people: list[str]) -> None:
    assert listed(rfc, "/Users?sortBy=active&sortOrder=Ascending") == [people[1], people[0], people[2]]


def test_a_sorted_list_is_filtered_and_paged_like_any_other(rfc: Source, people: list[str]) -> None:
    path = "/Users?sortBy=userName&filter=" + quote('title co "a"')
    pages = [rfc.get(f"{path}&startIndex={start}&count=1") for start in (1, 2, 3, 4)]
    assert [page["totalResults"] for page in pages] == [3, 3, 3, 3]
    assert [found["id"] for page in pages for found in page["Resources"]] == [people[2], people[1], people[0]]


def test_groups_and_agents_are_sorted_by_those_that_they_name(rfc: Source, people: list[str]) -> None:
    late, early = rfc.group("late", people[2]), rfc.group("early", people[1], people[2])
    nobody = rfc.group("Nobody")
    assert listed(rfc, "/Groups?sortBy=members.value") == [early, late, nobody]
    assert listed(rfc, "/Groups?sortBy=members") == [early, late, nobody]
    assert listed(rfc, "/Groups?sortBy=members.display") == [late, early, nobody]
    assert listed(rfc, "/Groups?sortBy=displayName&sortOrder=descending") == [nobody, late, early]
    assert listed(rfc, "/Groups?sortBy=members.type&sortOrder=descending")[0] == nobody
    body = {"schemas": [AGENT], "active": True}
    agents = [
        rfc.post("/Agents", {**body, "agentUserName": name, "owners": [{"value": owner}]})["id"]
        for name, owner in (("b", people[0]), ("a", people[1]))
    ]
    assert listed(rfc, "/Agents?sortBy=owners.value") == agents
    assert listed(rfc, "/Agents?sortBy=agentUserName") == agents[::-1]
    assert listed(rfc, "/Users?sortBy=groups.display&sortOrder=descending") == [people[0], people[2], people[1]]


@pytest.mark.parametrize(
    "query",
    [
        "sortBy=nothing",
        "sortBy=name",  # which part of it?
        "sortBy=name.nothing",
        "sortBy=urn:nobody:knows:this",
        f"sortBy={ENTERPRISE}",
        "sortBy=userName.value",
        "sortBy=password",  # never returned, so never learnt by its place either
        "sortBy=" + quote('emails[type eq "work"].value'),
        "sortBy=" + quote('userName eq "x"'),
        "sortBy=" + quote("not (userName)"),
        "sortBy=members.$ref",
        "sortBy=userName&sortBy=title",
        "sortBy=userName&sortOrder=up",
        "sortBy=%00",
        "sortBy=" + "a" * 3_000,
    ],
)
def test_what_cannot_be_sorted_by_is_an_invalid_value(rfc: Source, people: list[str], query: str) -> None:
    assert rfc.get(f"/Users?{query}", status=400)["scimType"] == "invalidValue"


def test_sort_is_advertised(rfc: Source) -> None:
    assert rfc.get("/ServiceProviderConfig")["sort"] == {"supported": True}
