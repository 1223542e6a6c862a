"""SCIM over HTTP: what every source may rely on, and what none may do."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from identity.edge.runtime import Runtime
from scim.limits import PAGE_SIZE_MAX
from tests.scim.sources import (
    AGENT,
    BASE_URL,
    ENTERPRISE,
    ERROR,
    GROUP,
    LIST,
    PATCH,
    SERVICE_ACCOUNT,
    USER,
    Source,
)

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
NOBODY = "00000000-0000-7000-8000-000000000000"

Make = Callable[[Source, str], str]
KINDS: dict[str, dict[str, Any]] = {
    "Users": {"schemas": [USER], "userName": "name"},
    "Groups": {"schemas": [GROUP], "displayName": "name"},
    "Agents": {"schemas": [AGENT], "agentUserName": "name"},
    "ServiceAccounts": {"schemas": [SERVICE_ACCOUNT], "userName": "name"},
}


def found(source: Source, endpoint: str, text: str) -> list[str]:
    return [resource["id"] for resource in source.get(f"/{endpoint}?filter={quote(text)}")["Resources"]]


# --- one resource ---


@pytest.mark.rfc("7644", "3.1", "3.1-4")
@pytest.mark.rfc("7644", "3.3", "3.3-3", "3.3-4", "3.3-5")
@pytest.mark.rfc("7644", "3.3.1", "3.3.1-1")
@pytest.mark.rfc("7644", "3.5", "3.5-1", "3.5-2")
@pytest.mark.rfc("7644", "3.5.2", "3.5.2-15")
@pytest.mark.rfc("7644", "3.6", "3.6-1", "3.6-2", "3.6-3", "3.6-5")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
@pytest.mark.rfc("7644", "3.14", "3.14-1", "3.14-2")
@pytest.mark.parametrize(("endpoint", "body"), KINDS.items())
def test_a_resource_of_every_type_lives_its_life(rfc: Source, endpoint: str, body: dict[str, Any]) -> None:
    response = rfc.ask("POST", f"/{endpoint}", body)
    assert response.status_code == 201
    made = json.loads(response.data)
    path = f"/{endpoint}/{made['id']}"
    assert response.headers["Location"] == made["meta"]["location"] == f"{BASE_URL}{rfc.url(path)}"
    assert response.headers["ETag"] == made["meta"]["version"] == 'W/"1"'
    assert made["meta"]["resourceType"] == endpoint.rstrip("s")
    assert rfc.get(path) == made
    assert rfc.patch(path, {"op": "add", "path": "displayName", "value": "Shown"})["displayName"] == "Shown"
    replaced = rfc.put(path, {**body, "displayName": "Again"})
    assert (replaced["id"], replaced["displayName"]) == (made["id"], "Again")
    assert [resource["id"] for resource in rfc.get(f"/{endpoint}")["Resources"]] == [made["id"]]
    rfc.delete(path)
    change = {"op": "add", "path": "displayName", "value": "Shown"}
    for answer in (
        *(rfc.get(path, 404), rfc.delete(path, 404), rfc.put(path, body, 404)),
        rfc.patch(path, change, status=404),
    ):
        assert (answer["schemas"], answer["status"]) == ([ERROR], "404")
    assert rfc.get(f"/{endpoint}")["totalResults"] == 0
    assert rfc.post(f"/{endpoint}", body)["id"] != made["id"]


def test_an_agent_is_named_in_either_drafts_way(rfc: Source) -> None:
    made = rfc.post("/Agents", {"schemas": [AGENT], "name": "invoice-bot"})
    assert (made["name"], made["agentUserName"]) == ("invoice-bot", "invoice-bot")
    assert found(rfc, "Agents", 'agentUserName eq "INVOICE-bot"') == [made["id"]]
    assert found(rfc, "Agents", 'name eq "invoice-bot"') == [made["id"]]
    rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": "Invoice-Bot"}, 409)


def test_an_agent_has_owners_and_a_validity_window(rfc: Source) -> None:
    dana, finance = rfc.user("dana"), rfc.group("Finance")
    owners = [{"value": dana, "type": "User"}, {"$ref": f"{BASE_URL}/t/acme/scim/v2/Groups/{finance}"}]
    body = {"schemas": [AGENT], "agentUserName": "bot", "owners": owners, "validUntil": "2027-01-01T00:00:00+01:00"}
    path = f"/Agents/{rfc.post('/Agents', body)['id']}"
    agent = rfc.get(path)
    assert agent["owners"] == [
        {"value": dana, "$ref": f"{BASE_URL}/t/acme/scim/v2/Users/{dana}", "type": "User"},
        {"value": finance, "$ref": f"{BASE_URL}/t/acme/scim/v2/Groups/{finance}", "type": "Group"},
    ]
    assert agent["validity"] == {"until": "2026-12-31T23:00:00Z"}
    assert found(rfc, "Agents", f'owners.value eq "{dana}"') == [agent["id"]]
    assert found(rfc, "Agents", 'validity.until lt "2027-01-01T00:00:00Z"') == [agent["id"]]
    assert rfc.put(path, {"schemas": [AGENT], "agentUserName": "bot"})["owners"] == agent["owners"], "never guessed"
    left = rfc.patch(path, {"op": "remove", "path": "owners", "value": [{"value": dana}]})
    assert [owner["value"] for owner in left["owners"]] == [finance]
    moved = rfc.patch(path, {"op": "replace", "path": "validUntil", "value": "2028-01-01T00:00:00Z"})
    assert moved["validity"] == {"until": "2028-01-01T00:00:00Z"}
    rfc.patch(path, {"op": "add", "path": "validFrom", "value": "2029-01-01T00:00:00Z"}, status=400)
    rfc.patch(path, {"op": "add", "path": "owners", "value": [{"value": NOBODY}]}, status=400)


def test_an_agent_whose_last_owner_is_taken_away_is_not_active(rfc: Source) -> None:
    dana = rfc.user("dana")
    body = {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": dana}]}
    agent = rfc.post("/Agents", body)["id"]
    assert rfc.patch(f"/Agents/{agent}", {"op": "remove", "path": "owners"})["active"] is False


def test_a_user_shows_the_groups_it_is_in(rfc: Source) -> None:
    sam = rfc.user("sam")
    group = rfc.group("Finance", sam)
    assert rfc.get(f"/Users/{sam}")["groups"] == [
        {"value": group, "$ref": f"{BASE_URL}/t/acme/scim/v2/Groups/{group}", "type": "direct", "display": "Finance"}
    ]
    assert found(rfc, "Users", f'groups.value eq "{group}"') == [sam]
    assert found(rfc, "Users", 'groups.display sw "FIN"') == [sam]
    assert found(rfc, "Groups", f'members[value eq "{sam}" and type eq "User"]') == [group]
    assert found(rfc, "Groups", f'not (members.value eq "{sam}")') == []
    assert found(rfc, "Groups", "members pr") == [group]


def test_a_put_of_a_group_sets_its_members_only_when_it_names_them(rfc: Source) -> None:
    sam, dana = rfc.user("sam"), rfc.user("dana")
    group = rfc.group("Finance", sam)
    body = {"schemas": [GROUP], "displayName": "Finance"}
    rfc.put(f"/Groups/{group}", body)
    assert rfc.members(group) == {sam}
    rfc.put(f"/Groups/{group}", {**body, "members": [{"value": dana}]})
    assert rfc.members(group) == {dana}
    rfc.put(f"/Groups/{group}", {**body, "members": []})
    assert rfc.members(group) == set()


def test_a_put_that_does_not_speak_of_active_does_not_change_it(rfc: Source) -> None:
    sam = rfc.user("sam", active=False)
    assert rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "sam"})["active"] is False


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-15", "3.5.2-16")
def test_a_patch_of_members_answers_with_them_only_when_asked(rfc: Source) -> None:
    sam, group = rfc.user("sam"), rfc.group("Finance")
    add = {"op": "add", "path": "members", "value": [{"value": sam}]}
    rfc.patch(f"/Groups/{group}", add, status=204)
    asked = rfc.patch(f"/Groups/{group}?attributes=members", add)
    assert [member["value"] for member in asked["members"]] == [sam]
    assert "display" not in asked["members"][0]
    shown = rfc.get(f"/Groups/{group}?attributes=members.display,members.value")
    assert shown["members"] == [{"value": sam, "display": "sam"}]


# --- entity tags ---


@pytest.mark.requirement("S18")
@pytest.mark.rfc("7644", "3.14")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
def test_if_match_is_honoured_and_of_two_changes_from_one_version_one_wins(rfc: Source) -> None:
    sam = f"/Users/{rfc.user('sam')}"
    change = {"op": "replace", "path": "title", "value": "A"}
    assert rfc.patch(sam, change, If_Match='W/"1"')["meta"]["version"] == 'W/"2"'
    assert rfc.patch(sam, {**change, "value": "B"}, status=412, If_Match='W/"1"')["status"] == "412"
    rfc.put(sam, {"schemas": [USER], "userName": "sam"}, status=412, If_Match='"7", W/"8"')
    rfc.delete(sam, status=412, If_Match="nonsense")
    assert rfc.get(sam)["title"] == "A"
    rfc.patch(sam, {**change, "value": "C"}, If_Match='"1", W/"2"')
    rfc.delete(sam, If_Match="*")


@pytest.mark.requirement("S18")
def test_of_many_changes_at_once_from_one_version_one_wins(app: Flask, rfc: Source) -> None:
    sam = f"/Users/{rfc.user('sam')}"

    def change(n: int) -> int:
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": str(n)}]}
        own = Source(app.test_client(), rfc.tenant, rfc.token, rfc.tenant_id)
        return own.ask("PATCH", sam, body, If_Match='W/"1"').status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [412] * 7
    assert rfc.get(sam)["meta"]["version"] == 'W/"2"'


def test_of_many_members_added_at_once_none_is_lost(app: Flask, rfc: Source) -> None:
    people, group = [rfc.user(f"user-{n}") for n in range(8)], rfc.group("Finance")

    def join(member: str) -> int:
        add = {"op": "add", "path": "members", "value": [{"value": member}]}
        own = Source(app.test_client(), rfc.tenant, rfc.token, rfc.tenant_id)
        body = {"schemas": [PATCH], "Operations": [add]}
        return own.ask("PATCH", f"/Groups/{group}", body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(join, people)) == {204}
    assert rfc.members(group) == set(people)


@pytest.mark.requirement("S14")
@pytest.mark.rfc("7644", "3.3", "3.3-6")
@pytest.mark.rfc("7644", "3.12", "3.12-3")
def test_a_create_that_is_repeated_makes_one_resource_and_leads_to_it(rfc: Source) -> None:
    body = {"schemas": [USER], "userName": "sam", "externalId": "7"}
    sam = rfc.post("/Users", body)["id"]
    assert rfc.post("/Users", body, 409)["scimType"] == "uniqueness"
    for text in ('userName eq "sam"', 'externalId eq "7"'):
        assert found(rfc, "Users", text) == [sam]


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-11", "3.5.2-12", "3.5.2-13")
def test_a_patch_is_all_or_nothing(rfc: Source) -> None:
    sam, group = rfc.user("sam"), rfc.group("Finance")
    good = {"op": "replace", "path": "title", "value": "VP"}
    for bad in ({"op": "replace", "path": "id", "value": "x"}, {"op": "replace", "path": "userName", "value": ""}):
        rfc.patch(f"/Users/{sam}", good, bad, status=400)
    assert rfc.get(f"/Users/{sam}")["meta"]["version"] == 'W/"1"'
    both = [{"value": sam}, {"value": NOBODY}]
    rfc.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": both}, status=400)
    assert rfc.members(group) == set()


def test_what_changes_nothing_makes_no_new_version(rfc: Source) -> None:
    sam = f"/Users/{rfc.user('sam', title='A')}"
    assert rfc.patch(sam, {"op": "replace", "path": "title", "value": "A"})["meta"]["version"] == 'W/"1"'


def test_a_known_version_is_answered_with_304(rfc: Source) -> None:
    sam = f"/Users/{rfc.user('sam')}"
    rfc.answer("GET", sam, status=304, If_None_Match='W/"1"')
    rfc.answer("GET", sam, status=200, If_None_Match='W/"2"')


LIST_PARAMETERS = "count=x&startIndex=y&sortOrder=up&cursor=z&count=1"


def test_parameters_of_a_list_mean_nothing_to_a_single_resource(rfc: Source) -> None:
    sam = f"/Users/{rfc.user('sam')}"
    assert rfc.get(f"{sam}?{LIST_PARAMETERS}&attributes=userName")["userName"] == "sam"
    path, change = f"{sam}?{LIST_PARAMETERS}&attributes=title", {"op": "replace", "path": "title", "value": "VP"}
    assert rfc.patch(path, change)["title"] == "VP"
    rfc.put(f"{sam}?{LIST_PARAMETERS}", {"schemas": [USER], "userName": "sam"})
    for parameter in ("attributes", "excludedAttributes"):
        rfc.get(f"{sam}?{parameter}=title&{parameter}=userName", status=400)


# --- lists ---


@pytest.mark.rfc("7644", "3.4.2", "3.4.2-2", "3.4.2-3", "3.4.2-4", "3.4.2-5", "3.4.2-6")
@pytest.mark.rfc("7644", "3.4.2.4", "3.4.2.4-2", "3.4.2.4-3", "3.4.2.4-4")
def test_a_page_echoes_where_it_starts_and_says_how_many_there_are(rfc: Source) -> None:
    made = [rfc.user(f"user-{n}") for n in range(5)]
    page = rfc.get("/Users?startIndex=2&count=2")
    assert page["schemas"] == [LIST]
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert [user["id"] for user in page["Resources"]] == made[1:3]
    past = rfc.get("/Users?startIndex=100&count=2")
    assert (past["totalResults"], past["startIndex"], past["Resources"]) == (5, 100, [])
    none = rfc.get("/Users?count=0")
    assert (none["totalResults"], none["itemsPerPage"], none["Resources"]) == (5, 0, [])
    assert [user["id"] for user in rfc.get("/Users?startIndex=-3&count=2")["Resources"]] == made[:2]
    assert rfc.get("/Users?startIndex=-3&count=-1") == {**none, "startIndex": 1}
    assert rfc.get(f"/Users?startIndex={10**17}")["Resources"] == []
    assert len(rfc.get(f"/Users?count={PAGE_SIZE_MAX + 1}")["Resources"]) == 5


def test_a_page_that_no_number_names_is_refused(rfc: Source) -> None:
    for parameters in ("count=x", "startIndex=1.5", "count=1&count=2", "startIndex=%D9%A1", "count=1_0", "count="):
        assert rfc.get(f"/Users?{parameters}", 400)["scimType"] == "invalidValue"


def test_a_search_in_the_body_finds_what_a_filter_in_the_url_finds(rfc: Source) -> None:
    rfc.user("dana")
    sam = rfc.user("sam", title="VP")
    asked = {"schemas": [SEARCH], "filter": "title pr", "attributes": ["userName"], "startIndex": 1, "count": 10}
    page = rfc.answer("POST", "/Users/.search", asked)
    assert page["Resources"] == [{"schemas": [USER], "id": sam, "userName": "sam"}]
    assert rfc.answer("POST", "/.search", asked) == page


@pytest.mark.rfc("7644", "3.4.2.5", "3.4.2.5-1", "3.4.2.5-2", "3.4.2.5-3", "3.4.2.5-4", "3.4.2.5-5")
@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ("attributes=userName", {"userName"}),
        ("attributes=USERNAME,name.givenName", {"userName", "name"}),
        (f"attributes={ENTERPRISE}:department", {ENTERPRISE}),
        (f"attributes={ENTERPRISE}", {ENTERPRISE}),
        ("attributes=meta.version", {"meta"}),
        ("attributes=nope", set()),
        ("excludedAttributes=name,emails,meta,externalId,active", {"userName", ENTERPRISE}),
        (f"excludedAttributes=name,emails,meta,externalId,active,{ENTERPRISE}:department", {"userName", ENTERPRISE}),
        ("excludedAttributes=id,schemas,name,emails,meta,externalId,active", {"userName", ENTERPRISE}),
    ],
)
def test_attributes_asked_for_and_left_out(rfc: Source, parameters: str, keys: set[str]) -> None:
    sam = rfc.user(
        "sam",
        externalId="7",
        name={"givenName": "Sam", "familyName": "S"},
        emails=[{"value": "s@x", "type": "work"}],
        **{ENTERPRISE: {"department": "D", "division": "V"}},
    )
    shown = rfc.get(f"/Users/{sam}?{parameters}")
    assert shown.keys() == keys | {"schemas", "id"}
    if "givenName" in parameters:
        assert shown["name"] == {"givenName": "Sam"}
    if f"{ENTERPRISE}:department" in parameters:
        assert len(shown[ENTERPRISE]) == 1
    rfc.get(f"/Users/{sam}?attributes=userName&excludedAttributes=name", 400)


# --- discovery ---


def test_every_attribute_that_is_answered_is_in_the_schemas(rfc: Source) -> None:
    schemas = {schema["id"]: schema for schema in rfc.get("/Schemas")["Resources"]}
    types = rfc.get("/ResourceTypes")["Resources"]
    assert {type_["endpoint"] for type_ in types} == {"/Users", "/Groups", "/Agents", "/ServiceAccounts"}
    for type_ in types:
        assert type_["schema"] in schemas
        assert rfc.get(f"/ResourceTypes/{type_['id']}") == type_
    for urn, schema in schemas.items():
        assert rfc.get(f"/Schemas/{urn}") == schema
    for name in ("userName", "externalId", "active", "emails", "groups"):
        assert name in {attribute["name"] for attribute in schemas[USER]["attributes"]}


def test_a_fault_of_ours_tells_nothing(app: Flask, runtime: Runtime, rfc: Source) -> None:
    runtime.engine.dispose()
    app.extensions["identity"] = None
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = rfc.get("/Users", 500)
    assert answer == {"schemas": [ERROR], "status": "500", "detail": "internal error; it was logged"}
