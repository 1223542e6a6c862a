"""What RFC 7644 wants of answers and of reading, where no other file says it already: named by section."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from identity.store.references import MEMBERS_SHOWN_MAX
from tests.scim.sources import AGENT, BASE_URL, ERROR, GROUP, LIST, PATCH, USER, Source
from tests.scim.test_bulk import REQUEST
from tests.scim.test_cost import fill
from tests.scim.test_search import SEARCH, USERS, searched

MESSAGES = "urn:ietf:params:scim:api:"
NOBODY = "00000000-0000-7000-8000-000000000000"


def found(source: Source, text: str, endpoint: str = "Users") -> list[str]:
    return [resource["id"] for resource in source.get(f"/{endpoint}?filter={quote(text)}")["Resources"]]


# --- messages and endpoints ---


@pytest.mark.rfc("7644", "3.1", "3.1-1", "3.1-2")
def test_every_message_has_a_schema_of_the_protocol_and_schemas_lists_none_of_those(rfc: Source) -> None:
    messages = [
        rfc.get("/Users"),
        rfc.get(f"/Users/{NOBODY}", 404),
        rfc.post("/.search", {"schemas": [SEARCH]}, 200),
        rfc.post("/Bulk", {"schemas": [REQUEST], "Operations": [{"method": "DELETE", "path": "/Users/x"}]}, 200),
    ]
    spoken = {urn for message in messages for urn in message["schemas"]}
    assert len(spoken) == 3
    assert all(urn.startswith(MESSAGES) for urn in spoken)
    assert not [schema["id"] for schema in rfc.get("/Schemas")["Resources"] if schema["id"].startswith(MESSAGES)]
    for urn in (*spoken, PATCH, SEARCH, REQUEST):
        rfc.get(f"/Schemas/{urn}", 404)


@pytest.mark.rfc("7644", "3.2", "3.2-1")
def test_the_endpoint_of_a_resource_type_is_its_name_with_an_s(rfc: Source) -> None:
    types = rfc.get("/ResourceTypes")["Resources"]
    assert types
    assert [type_["endpoint"] for type_ in types] == [f"/{type_['name']}s" for type_ in types]


@pytest.mark.rfc("7644", "3.13", "3.13-1", "3.13-2")
def test_a_version_is_spoken_or_refused(rfc: Source) -> None:
    sam = rfc.user("sam")
    assert rfc.get(f"/Users/{sam}")["meta"]["location"] == f"{BASE_URL}/t/acme/scim/v2/Users/{sam}"
    credential = {"Authorization": f"Bearer {rfc.token}"}
    for version in ("v1", "v3", "v2.1", "V2", "v", "2", ""):
        assert rfc.http.get(f"/t/acme/scim/{version}/Users/{sam}", headers=credential).status_code == 404, version


@pytest.mark.rfc("7644", "4", "4-5")
def test_discovery_refuses_a_filter_other_methods_and_other_names(rfc: Source) -> None:
    for path in ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas"):
        rfc.get(f"{path}?filter=id%20pr", 403)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            rfc.answer(method, path, status=405)
    rfc.get("/Schemas/nope", 404)
    rfc.get("/nope", 404)
    rfc.answer("PATCH", "/Users", status=405)


@pytest.mark.rfc("7644", "4", "4-1", "4-2", "4-3", "4-4")
def test_discovery_answers_whole_lists_whatever_order_or_page_is_asked_for(rfc: Source) -> None:
    assert rfc.get("/ServiceProviderConfig")["schemas"] == [
        "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
    ]
    types = rfc.get("/ResourceTypes")["Resources"]
    used = {type_["schema"] for type_ in types}
    used |= {extension["schema"] for type_ in types for extension in type_.get("schemaExtensions", ())}
    assert {schema["id"] for schema in rfc.get("/Schemas")["Resources"]} == used
    for endpoint in ("/ResourceTypes", "/Schemas"):
        whole = rfc.get(endpoint)
        assert whole["schemas"] == [LIST]
        assert whole["totalResults"] == len(whole["Resources"]) > 1
        for asked in ("startIndex=2", "count=1", "count=0", "sortBy=name&sortOrder=descending", "count=many"):
            assert rfc.get(f"{endpoint}?{asked}") == whole, asked


# --- filters ---


@pytest.mark.rfc("7644", "3.4.2.1", "3.4.2.1-2")
def test_a_group_with_more_members_than_one_answer_holds_is_too_many(rfc: Source, owner_url: str) -> None:
    group = rfc.group("Everybody")
    fill(owner_url, rfc, group, MEMBERS_SHOWN_MAX + 1)
    assert rfc.get(f"/Groups/{group}", 400)["scimType"] == "tooMany"
    assert rfc.get(f"/Groups/{group}?excludedAttributes=members")["displayName"] == "Everybody"


@pytest.mark.parametrize(
    "compared", ["active {} true", 'x509Certificates {} "AAAA"', 'x509Certificates.value {} "AA=="']
)
@pytest.mark.parametrize(
    "operator",
    [
        pytest.param("gt", marks=pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-4")),
        pytest.param("ge", marks=pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-5")),
        pytest.param("lt", marks=pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-6")),
        pytest.param("le", marks=pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-7")),
    ],
)
def test_what_has_no_order_is_not_compared_by_one(rfc: Source, operator: str, compared: str) -> None:
    refused = rfc.get(f"/Users?filter={quote(compared.format(operator))}", 400)
    assert (refused["schemas"], refused["scimType"]) == ([ERROR], "invalidFilter")


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-13")
def test_what_the_server_defaulted_is_found_by_what_it_told(rfc: Source) -> None:
    told = rfc.post("/Users", {"schemas": [USER], "userName": "sam"})
    assert told["active"] is True
    for text in ("active eq true", "active pr", "active ne false", "not (active eq false)"):
        assert found(rfc, text) == [told["id"]], text
    for text in ("active eq false", "active ne true", "not (active pr)"):
        assert found(rfc, text) == [], text


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-14")
def test_an_operator_that_nobody_knows_is_refused_in_words(rfc: Source) -> None:
    rfc.user("sam")
    refused = rfc.get("/Users?filter=" + quote('userName regex "s.*"'), 400)
    assert (refused["scimType"], refused["status"]) == ("invalidFilter", "400")
    assert "filter" in refused["detail"]


@pytest.mark.rfc("7644", "3.4.2.2", "3.4.2.2-15")
@pytest.mark.parametrize(
    "text",
    ['{} eq "{}"', '{} co "{}"', '{} sw "{}"', '{} ew "{}"', 'not ({} ne "{}")', '{0} ge "{1}" and {0} le "{1}"'],
)
def test_case_matters_to_a_filter_where_case_exact_says_so(rfc: Source, text: str) -> None:
    schema = rfc.get(f"/Schemas/{USER}")
    exact = {attribute["name"]: attribute.get("caseExact", False) for attribute in schema["attributes"]}
    sam = rfc.user("Sam", externalId="Sam", title="Sam")
    for name, spelt in (("userName", "sAM"), ("title", "sAM"), ("externalId", "sAM"), ("externalId", "Sam")):
        matches = not exact[name] or spelt == "Sam"
        assert found(rfc, text.format(name, spelt)) == ([sam] if matches else []), (name, spelt)
    assert set(exact.values()) == {True, False}


@pytest.mark.rfc("7644", "7.8", "7.8-1")
@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Zoë", "zoe\u0308"),  # composed and decomposed
        ("admin", "ＡＤＭＩＮ"),  # full width
        ("straße", "STRASSE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),  # the final sigma
    ],
)
def test_names_are_prepared_before_a_filter_or_uniqueness_compares_them(rfc: Source, stored: str, asked: str) -> None:
    user = rfc.user(stored)
    agent = rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": stored})["id"]
    for operator in ("eq", "co", "sw", "ew"):
        assert found(rfc, f'userName {operator} "{asked}"') == [user], operator
        assert found(rfc, f'agentUserName {operator} "{asked}"', "Agents") == [agent], operator
    assert rfc.post("/Users", {"schemas": [USER], "userName": asked}, 409)["scimType"] == "uniqueness"


# --- searches ---


@pytest.mark.rfc("7644", "3.4.3", "3.4.3-3", "3.4.3-4", "3.4.3-5", "3.4.3-7", "3.4.3-8")
def test_a_search_names_attributes_as_a_url_does(rfc: Source) -> None:
    zoe = rfc.user("zoe", title="VP", name={"givenName": "Zoë", "familyName": "A"})
    amy = rfc.user("amy", title="VP", name={"givenName": "Amy", "familyName": "B"})
    for by in ("userName", f"{USER}:userName", "name.givenName", f"{USER}:NAME.givenname"):
        page = searched(rfc, USERS, sortBy=by, attributes=[f"{USER}:title", "name.givenName"])
        assert [each["id"] for each in page["Resources"]] == [amy, zoe], by
        assert page["Resources"][0] == {"schemas": [USER], "id": amy, "title": "VP", "name": {"givenName": "Amy"}}
    left = searched(rfc, USERS, excludedAttributes=["id", "schemas", f"{USER}:title", "name.givenName", "meta"])
    assert left["Resources"][0] == {
        "schemas": [USER], "id": zoe, "userName": "zoe", "active": True, "name": {"familyName": "A"}
    }  # fmt: skip


# --- formats ---


@pytest.mark.rfc("7644", "3.8", "3.8-1", "3.8-2")
def test_utf_8_is_read_and_answered_without_a_mention(rfc: Source) -> None:
    body = f'{{"schemas": ["{USER}"], "userName": "Zoë", "displayName": "日本 😀"}}'.encode()
    made = rfc.ask("POST", "/Users", body)
    assert made.status_code == 201
    read = rfc.ask("GET", f"/Users/{json.loads(made.data)['id']}")
    for answer in (made, read):
        assert "charset" not in answer.content_type
        assert '"日本 😀"'.encode() in answer.data
        assert json.loads(answer.data.decode("utf-8"))["userName"] == "Zoë"


@pytest.mark.rfc("7644", "3.8", "3.8-4", "3.8-5")
@pytest.mark.rfc("7644", "8.1", "8.1-1")
@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("application/scim+json", "application/scim+json"),
        ("application/scim+json, application/json;q=0.9", "application/scim+json"),
        ("application/json, application/scim+json", "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("application/*", "application/scim+json"),
        ("", "application/scim+json"),
        ("image/png", "application/scim+json"),
        ("application/json", "application/json"),
        ("application/json, text/plain, */*;q=0.5", "application/json"),
    ],
)
def test_json_is_answered_under_the_name_that_is_asked_for(rfc: Source, accept: str, answered: str) -> None:
    for path, status in (("/Users", 200), ("/Schemas", 200), (f"/Users/{NOBODY}", 404)):
        answer = rfc.ask("GET", path, Accept=accept)
        assert (answer.status_code, answer.content_type) == (status, answered)
        assert json.loads(answer.data)["schemas"]


@pytest.mark.rfc("7644", "3.9", "3.9-1", "3.9-2", "3.9-3")
@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("attributes=userName", {"schemas", "id", "userName"}),
        ("attributes=title,name.familyName", {"schemas", "id", "title", "name"}),
        ("excludedAttributes=title,name,meta,id,schemas", {"schemas", "id", "userName", "active"}),
    ],
)
def test_every_method_that_answers_a_resource_answers_the_part_that_is_asked_for(
    rfc: Source, asked: str, keys: set[str]
) -> None:
    body: dict[str, Any] = {"schemas": [USER], "userName": "sam", "title": "VP", "name": {"familyName": "S"}}
    made = rfc.post(f"/Users?{asked}", body)
    path = f"/Users/{made['id']}?{asked}"
    answers = [
        made,
        rfc.get(path),
        rfc.put(path, {**body, "title": "CEO"}),
        rfc.patch(path, {"op": "replace", "path": "title", "value": "VP"}),
        rfc.get(f"/Users?{asked}")["Resources"][0],
    ]
    assert [set(answer) for answer in answers] == [keys] * len(answers)


@pytest.mark.rfc("7644", "3.4.2", "3.4.2-1")
def test_parameters_that_nobody_knows_are_ignored(rfc: Source) -> None:
    sam = rfc.user("sam")
    for unknown in ("x=1", "aadOptscim062020", "Filter=nothing", "sortby=nothing", "x=1&x=2", "%20=%00"):
        assert rfc.get(f"/Users?{unknown}")["totalResults"] == 1, unknown
        assert rfc.get(f"/Users/{sam}?{unknown}")["userName"] == "sam", unknown
    rfc.post("/Groups?x=1", {"schemas": [GROUP], "displayName": "G"})
