"""Searches with the query in the body (RFC 7644 §3.4.3), of one resource type and of all."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.scim.sources import AGENT, Source

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ROOT, USERS = "/.search", "/Users/.search"


@pytest.fixture
def directory(rfc: Source, rival: Source) -> dict[str, str]:
    rival.user("sam", displayName="Sam")
    sam = rfc.user("sam", displayName="Sam", title="lead", externalId="7")
    finance = rfc.group("Finance", sam)
    body = {"schemas": [AGENT], "agentUserName": "sam", "displayName": "Bot", "owners": [{"value": sam}]}
    return {"sam": sam, "finance": finance, "bot": rfc.post("/Agents", body)["id"]}


def searched(source: Source, path: str, **query: Any) -> Any:
    return source.post(path, {"schemas": [SEARCH], **query}, status=200)


def ids(page: Any) -> list[str]:
    return [found["id"] for found in page["Resources"]]


@pytest.mark.rfc("7644", "3.4.3")
@pytest.mark.rfc("7644", "3.4.2.1", "3.4.2.1-1")
def test_a_search_at_the_root_finds_every_type_in_one_stable_order_of_one_tenant(
    rfc: Source, directory: dict[str, str]
) -> None:
    page = searched(rfc, ROOT)
    assert ids(page) == list(directory.values())
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 1, 3)
    assert [found["meta"]["resourceType"] for found in page["Resources"]] == ["User", "Group", "Agent"]
    user, group, agent = page["Resources"]
    assert user["groups"][0]["value"] == directory["finance"]
    assert group["members"][0]["value"] == directory["sam"]
    assert agent["owners"][0]["value"] == directory["sam"]


@pytest.mark.rfc("7644", "3.4.2.1", "3.4.2.1-3", "3.4.2.1-4")
@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-1")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('meta.resourceType eq "User"', "sam"),
        ('meta.resourceType eq "Group" or meta.resourceType eq "Agent"', "finance bot"),
        ('displayName co "a"', "sam finance"),
        ('externalId eq "7"', "sam"),
        ('meta.created gt "2020-01-01T00:00:00Z"', "sam finance bot"),
        ('schemas eq "urn:ietf:params:scim:schemas:core:2.0:Group"', "finance"),
        ('title eq "lead"', "sam"),  # what a type does not know it has no value of
        ("members pr", "finance"),
        ('title ne "lead"', "finance bot"),
        ('not (title eq "lead")', "finance bot"),
        ("title eq null", "finance bot"),
        ('members[type eq "User"] or title pr', "sam finance"),
        ('userName eq "sam" or agentUserName eq "sam"', "sam bot"),
        ('name.familyName pr and meta.resourceType eq "Agent"', ""),
    ],
)
def test_a_filter_at_the_root_asks_each_type_for_what_it_knows(
    rfc: Source, directory: dict[str, str], text: str, found: str
) -> None:
    page = searched(rfc, ROOT, filter=text)
    assert ids(page) == [directory[name] for name in found.split()]
    assert page["totalResults"] == len(page["Resources"])


@pytest.mark.rfc("7644", "3.4.2.1", "3.4.2.1-1")
def test_a_list_of_the_base_uri_is_that_search_with_the_query_in_the_url(
    rfc: Source, directory: dict[str, str]
) -> None:
    for query in ({}, {"filter": 'displayName co "a"', "sortBy": "displayName", "attributes": "displayName"},
                  {"startIndex": 2, "count": 1}, {"excludedAttributes": "members"}):  # fmt: skip
        for path in ("", "/"):
            assert rfc.get(f"{path}?{urlencode(query)}") == searched(rfc, ROOT, **query)
    first = rfc.get("?cursor=&count=2")
    assert ids(first) + ids(rfc.get(f"?cursor={first['nextCursor']}&count=2")) == list(directory.values())
    assert rfc.get("?filter=nothing%20pr", status=400)["scimType"] == "invalidFilter"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert rfc.ask(method, "", {}).headers["Allow"] == "GET"
    rfc.answer("GET", "", status=401, Authorization="Bearer nobody")


def test_a_search_at_the_root_is_sorted_paged_and_projected(rfc: Source, directory: dict[str, str]) -> None:
    def by(**more: Any) -> list[str]:
        return ids(searched(rfc, ROOT, **more))

    assert by(sortBy="displayName") == [directory[name] for name in ("bot", "finance", "sam")]
    assert by(sortBy="title") == list(directory.values())
    assert by(sortBy="title", sortOrder="descending") == [directory[name] for name in ("finance", "bot", "sam")]
    assert by(sortBy="id", sortOrder="descending") == list(directory.values())[::-1]
    assert by(sortBy="meta.resourceType") == [directory[name] for name in ("bot", "finance", "sam")]
    assert by(startIndex=2, count=1) == [directory["finance"]]
    assert by(count=0) == []
    page = searched(rfc, ROOT, attributes=["displayName", "title"])
    assert [set(found) - {"schemas", "id"} for found in page["Resources"]] == [
        {"displayName", "title"},
        {"displayName"},
        {"displayName"},
    ]
    assert not [
        found for found in searched(rfc, ROOT, excludedAttributes=["members"])["Resources"] if "members" in found
    ]


@pytest.mark.rfc("7644", "3.4.3", "3.4.3-1")
def test_a_search_of_one_type_finds_what_a_list_finds(rfc: Source, directory: dict[str, str]) -> None:
    assert ids(searched(rfc, USERS, filter='userName eq "SAM"')) == [directory["sam"]]
    assert ids(searched(rfc, "/Groups/.search", sortBy="displayName")) == [directory["finance"]]
    assert searched(rfc, USERS, startIndex=1, count=10) == rfc.get("/Users?startIndex=1&count=10")


@pytest.mark.rfc("7644", "3.4.3", "3.4.3-2", "3.4.3-6")
@pytest.mark.parametrize("path", [ROOT, USERS])
@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ({"filter": "nothing pr"}, "invalidFilter"),
        ({"filter": "userName eq"}, "invalidFilter"),
        ({"filter": 'meta.created eq "yesterday"'}, "invalidFilter"),
        ({"filter": 'emails[nothing eq "x"]'}, "invalidFilter"),
        ({"filter": ["userName pr", "title pr"]}, "invalidFilter"),
        ({"filter": 7}, "invalidValue"),
        ({"sortBy": "nothing"}, "invalidValue"),
        ({"sortBy": "name"}, "invalidValue"),
        ({"sortOrder": "sideways"}, "invalidValue"),
        ({"startIndex": "first"}, "invalidValue"),
        ({"count": True}, "invalidValue"),
        ({"attributes": ["title"], "excludedAttributes": ["title"]}, "invalidValue"),
        ({"schemas": []}, "invalidSyntax"),
        ({"schemas": "urn:ietf:params:scim:api:messages:2.0:SearchRequest"}, "invalidSyntax"),
    ],
)
def test_a_search_with_one_fault_is_refused_for_that_fault(
    rfc: Source, path: str, query: dict[str, Any], scim_type: str
) -> None:
    if path == ROOT and query == {"sortBy": "name"}:
        return  # an agent's name is a text
    assert rfc.post(path, {"schemas": [SEARCH], **query}, status=400)["scimType"] == scim_type


def test_an_attribute_of_several_types_gives_no_order_at_the_root(rfc: Source) -> None:
    assert rfc.post(ROOT, {"schemas": [SEARCH], "sortBy": "name.nothing"}, status=400)["scimType"] == "invalidValue"


@pytest.mark.rfc("7644", "3.11", "3.11-1")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_connection_is_nobody_to_whom_me_could_point(rfc: Source, method: str) -> None:
    refused = rfc.answer(method, "/Me", None if method == "GET" else {}, status=501)
    assert "connection" in refused["detail"]


def test_me_is_told_to_nobody_who_has_not_said_who_he_is(rfc: Source) -> None:
    rfc.answer("GET", "/Me", status=401, Authorization="Bearer nobody")
