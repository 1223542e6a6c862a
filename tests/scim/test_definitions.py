"""Schemas and resource types that a tenant defined: found, filtered, patched and guarded like those of the standard."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from config.postgres import SUPERUSER
from identity.actions.definitions import change_schema, change_type, define_schema, define_type, delete_type
from identity.actions.provisioning import create_principal
from identity.http import House
from identity.model.errors import Refusal
from identity.model.principal import Kind, Profile
from identity.model.resource_type import Extension
from identity.store.transaction import transaction
from tests.conftest import Server
from tests.scim.sources import ADMINISTRATOR, BASE_URL, ENTERPRISE, USER, Source, Sources
from tests.trips import round_trips

BADGE = "urn:example:params:scim:Badge"
DEVICE = "urn:example:params:scim:Device"

BADGE_DOCUMENT = {
    "id": BADGE,
    "attributes": [
        {"name": "number", "type": "string", "uniqueness": "server"},
        {"name": "floors", "type": "integer", "multiValued": True},
        {"name": "issuedOn", "type": "dateTime", "mutability": "immutable",
         "canonicalValues": ["2026-01-01T00:00:00Z"]},
        {"name": "note", "type": "string", "returned": "request"},
        {"name": "title", "type": "string"},
        {"name": "locks", "type": "complex", "multiValued": True, "subAttributes": [
            {"name": "value", "type": "string", "required": True},
            {"name": "location", "type": "string", "caseExact": True},
            {"name": "weight", "type": "decimal"},
        ]},
    ],
}  # fmt: skip
DEVICE_DOCUMENT = {
    "id": DEVICE,
    "attributes": [
        {"name": "serial", "type": "string", "required": True, "uniqueness": "server", "caseExact": True},
        {"name": "displayName", "type": "string"},
        {"name": "externalId", "type": "string", "caseExact": True},
        {"name": "active", "type": "boolean"},
        {"name": "colour", "type": "string", "returned": "always"},
        {"name": "keeper", "type": "complex", "subAttributes": [
            {"name": "value", "type": "string", "caseExact": True},
            {"name": "$ref", "type": "reference", "referenceTypes": ["User"]},
        ]},
        {"name": "members", "type": "string", "multiValued": True},
    ],
}  # fmt: skip


class Defined:
    """A tenant's definitions, made as its administrator makes them."""

    def __init__(self, house: House, source: Source) -> None:
        self.house, self.source = house, source

    def do(self, verb: Callable[..., Any], *positional: Any, **named: Any) -> Any:
        with transaction(self.house.engine, self.source.tenant_id) as tx:
            return verb(tx, *positional, **named, caller=ADMINISTRATOR, now=self.house.clock())

    def extend(self, name: str, *ids: str, required: bool = False) -> None:
        extensions = [Extension(id_, required) for id_ in ids]
        self.do(change_type, name, description=None, extensions=extensions, expected_version=None)

    def badge(self) -> None:
        self.do(define_schema, BADGE_DOCUMENT)
        self.extend("User", BADGE)

    def device(self) -> None:
        self.do(define_schema, DEVICE_DOCUMENT)
        self.do(define_type, name="Device", endpoint="/Devices", description="", schema=DEVICE, extensions=[])


@pytest.fixture
def defined(house: House, rfc: Source) -> Defined:
    return Defined(house, rfc)


def device(source: Source, serial: str, status: int = 201, **more: Any) -> Any:
    return source.post("/Devices", {"schemas": [DEVICE], "serial": serial, **more}, status)


def find(source: Source, where: str, endpoint: str = "/Users") -> list[str]:
    page = source.ask("GET", endpoint, None)
    assert page.status_code == 200
    found = source.answer("POST", f"{endpoint}/.search", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": where,
    })  # fmt: skip
    return [each.get("userName") or each.get("serial") for each in found["Resources"]]


@pytest.mark.rfc("7643", "6")
def test_a_definition_is_discovered_by_its_tenant_at_once_and_by_no_other(
    defined: Defined, rfc: Source, rival: Source
) -> None:
    rfc.user("before")
    defined.badge()
    defined.device()
    types = {each["name"]: each for each in rfc.get("/ResourceTypes")["Resources"]}
    assert types["User"]["schemaExtensions"] == [
        {"schema": ENTERPRISE, "required": False},
        {"schema": BADGE, "required": False},
    ]
    assert (types["Device"]["endpoint"], types["Device"]["schema"]) == ("/Devices", DEVICE)
    shown = rfc.get(f"/Schemas/{BADGE}")
    assert [each["name"] for each in shown["attributes"]] == [each["name"] for each in BADGE_DOCUMENT["attributes"]]
    rival.get(f"/Schemas/{BADGE}", 404)
    rival.get("/ResourceTypes/Device", 404)
    rival.get("/Devices", 404)
    device(rival, "1", 404)


def test_an_extension_is_written_read_patched_and_taken_away_like_one_of_the_standard(
    defined: Defined, rfc: Source
) -> None:
    defined.badge()
    values = {"NUMBER": "7", "floors": [1, 2], "locks": [{"value": "front", "weight": 1.5}]}
    sam = rfc.user("sam", **{BADGE.upper(): values})
    shown = rfc.get(f"/Users/{sam}")
    assert shown["schemas"] == [USER, BADGE]
    assert shown[BADGE] == {"number": "7", "floors": [1, 2], "locks": [{"value": "front", "weight": 1.5}]}
    changed = rfc.patch(
        f"/Users/{sam}",
        {"op": "add", "path": f"{BADGE}:floors", "value": 3},
        {"op": "replace", "path": f'{BADGE}:locks[value eq "front"].location', "value": "Hall"},
        {"op": "replace", "path": "number", "value": "8"},  # no other schema has it, so it is meant
    )
    assert changed[BADGE] == {
        "number": "8", "floors": [1, 2, 3], "locks": [{"value": "front", "weight": 1.5, "location": "Hall"}],
    }  # fmt: skip
    assert BADGE not in rfc.patch(f"/Users/{sam}", {"op": "remove", "path": BADGE})


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"floors": ["1"]}, "floors"),
        ({"floors": 1}, "floors"),
        ({"issuedOn": "yesterday"}, "issuedOn"),
        ({"locks": [{"weight": 1}]}, "locks.value"),
        ({"number": "x" * 513}, "number"),
        ([], BADGE),
    ],
)
def test_a_value_that_the_schema_does_not_allow_is_refused_by_name(
    defined: Defined, rfc: Source, values: Any, fault: str
) -> None:
    defined.badge()
    refused = rfc.post("/Users", {"schemas": [USER], "userName": "sam", BADGE: values}, 400)
    assert fault in refused["detail"]


@pytest.mark.rfc("7644", "3.4.2.2")
@pytest.mark.parametrize(
    ("where", "names"),
    [
        (f'{BADGE}:number eq "A7"', ["sam"]),
        (f'{BADGE}:number eq "a7"', ["sam"]),
        (f"{BADGE}:floors eq 2", ["sam", "kim"]),
        (f"{BADGE}:floors gt 2", ["kim"]),
        (f'{BADGE}:issuedOn lt "2026-01-01T00:00:00Z"', ["sam"]),
        (f'{BADGE}:locks[value eq "front" and location eq "Hall"]', ["sam"]),
        (f'{BADGE}:locks[value eq "front" and location eq "hall"]', []),  # caseExact
        (f"{BADGE}:locks.weight ge 2", ["kim"]),
        (f"{BADGE} pr", ["sam", "kim"]),
        (f'schemas eq "{BADGE}"', ["sam", "kim"]),
        (f"not ({BADGE} pr)", ["lee"]),
    ],
)
def test_an_extension_is_filtered_by_like_one_of_the_standard(
    defined: Defined, rfc: Source, where: str, names: list[str]
) -> None:
    defined.badge()
    rfc.user("sam", **{BADGE: {
        "number": "A7", "floors": [1, 2], "issuedOn": "2025-06-01T00:00:00Z", "locks": [
            {"value": "front", "location": "Hall"}, {"value": "back", "weight": 1.5},
        ]}})  # fmt: skip
    rfc.user("kim", **{BADGE: {"floors": [2, 3], "locks": [{"value": "front", "weight": 2}]}})
    rfc.user("lee")
    assert find(rfc, where) == names
    rfc.answer("GET", f"/Users?filter={BADGE}:nothing pr", status=400)


def test_a_list_is_sorted_by_what_a_tenant_defined(defined: Defined, rfc: Source) -> None:
    defined.badge()
    for name, number in (("sam", "b"), ("kim", "C"), ("lee", "a")):
        rfc.user(name, **{BADGE: {"number": number}})
    page = rfc.get(f"/Users?sortBy={BADGE}:number&sortOrder=descending")
    assert [each["userName"] for each in page["Resources"]] == ["kim", "sam", "lee"]


@pytest.mark.rfc("7643", "2.2")
def test_a_value_that_is_unique_is_taken_until_it_is_given_up_and_only_in_its_tenant(
    defined: Defined, house: House, rfc: Source, rival: Source
) -> None:
    defined.badge()
    Defined(house, rival).badge()
    sam, kim = rfc.user("sam", **{BADGE: {"number": "Ä7"}}), rfc.user("kim")
    rival.user("sam", **{BADGE: {"number": "Ä7"}})
    taken = {"op": "add", "path": f"{BADGE}:number", "value": "ä7"}
    assert rfc.patch(f"/Users/{kim}", taken, status=409)["scimType"] == "uniqueness"
    body = {"schemas": [USER, BADGE], "userName": "lee", BADGE: {"number": "ä7"}}
    assert rfc.post("/Users", body, 409)["scimType"] == "uniqueness"
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": f"{BADGE}:number", "value": "8"})
    rfc.patch(f"/Users/{kim}", taken)
    rfc.delete(f"/Users/{kim}")
    rfc.post("/Users", body)


@pytest.mark.rfc("7644", "3.5.1", "3.5.1-4", "3.5.1-5")
def test_what_is_immutable_is_set_once_and_a_put_that_leaves_it_out_keeps_it(defined: Defined, rfc: Source) -> None:
    defined.badge()
    sam = rfc.user("sam")
    issued = {"op": "add", "path": f"{BADGE}:issuedOn", "value": "2026-01-01T00:00:00Z"}
    rfc.patch(f"/Users/{sam}", issued)
    rfc.patch(f"/Users/{sam}", issued)
    later = {"issuedOn": "2026-02-01T00:00:00Z"}
    for change in (
        issued | {"value": later["issuedOn"]},
        {"op": "remove", "path": f"{BADGE}:issuedOn"},
        {"op": "remove", "path": BADGE},
        {"op": "replace", "path": BADGE, "value": later},
    ):
        assert rfc.patch(f"/Users/{sam}", change, status=400)["scimType"] == "mutability"
    put = {"schemas": [USER], "userName": "sam"}
    assert rfc.put(f"/Users/{sam}", put | {BADGE: later}, 400)["scimType"] == "mutability"
    assert rfc.put(f"/Users/{sam}", put)[BADGE] == {"issuedOn": "2026-01-01T00:00:00Z"}


@pytest.mark.rfc("7643", "2.2")
def test_what_is_returned_on_request_or_always_is(defined: Defined, rfc: Source) -> None:
    defined.badge()
    defined.device()
    sam = rfc.user("sam", **{BADGE: {"number": "7", "note": "left-handed"}})
    assert rfc.get(f"/Users/{sam}")[BADGE] == {"number": "7"}
    assert rfc.get("/Users")["Resources"][0][BADGE] == {"number": "7"}
    assert rfc.get(f"/Users/{sam}?attributes={BADGE}:note")[BADGE] == {"note": "left-handed"}
    red = device(rfc, "1", colour="red", displayName="Printer")["id"]
    assert rfc.get(f"/Devices/{red}?attributes=serial").keys() == {"schemas", "id", "serial", "colour"}
    assert rfc.get(f"/Devices/{red}?excludedAttributes=colour,serial,meta").keys() == {
        "schemas", "id", "colour", "displayName", "active",
    }  # fmt: skip


@pytest.mark.rfc("7643", "6")
def test_a_required_extension_is_required_of_every_resource(defined: Defined, rfc: Source) -> None:
    defined.do(define_schema, BADGE_DOCUMENT)
    defined.extend("User", BADGE, required=True)
    assert BADGE in rfc.post("/Users", {"schemas": [USER], "userName": "sam"}, 400)["detail"]
    sam = rfc.user("sam", **{BADGE: {"number": "7"}})
    rfc.patch(f"/Users/{sam}", {"op": "remove", "path": BADGE}, status=400)
    rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "sam"}, 400)
    assert rfc.get(f"/Users/{sam}")[BADGE] == {"number": "7"}


def test_a_resource_of_a_tenants_own_type_lives_as_others_do(defined: Defined, rfc: Source) -> None:
    defined.device()
    sam = rfc.user("sam")
    made = device(rfc, "AB-1", displayName="Printer", externalId="e1", keeper={"value": sam}, members=["a", "b"])
    path = f"/Devices/{made['id']}"
    assert made["meta"]["resourceType"] == "Device"
    assert made["meta"]["location"].endswith(path)
    assert made["keeper"]["$ref"].endswith(f"/Users/{sam}")
    assert (made["active"], made["members"]) == (True, ["a", "b"])
    replaced = rfc.put(path, {"schemas": [DEVICE], "serial": "AB-1", "colour": "red"}, If_Match='W/"1"')
    assert "displayName" not in replaced
    rfc.put(path, {"schemas": [DEVICE], "serial": "AB-1"}, 412, If_Match='W/"1"')
    assert rfc.patch(path, {"op": "add", "path": "members", "value": ["c"]})["members"] == ["c"]
    rfc.patch(path, {"op": "remove", "path": "serial"}, status=400)
    assert rfc.patch(path, {"op": "replace", "path": "active", "value": False})["active"] is False
    rfc.delete(path)
    rfc.get(path, 404)
    assert device(rfc, "AB-1")["id"] != made["id"]


def test_resources_of_a_tenants_own_type_are_listed_sorted_paged_and_found_by_what_they_have(
    defined: Defined, rfc: Source
) -> None:
    defined.device()
    rfc.user("sam")
    for number in range(5):
        device(rfc, f"s{number}", displayName=f"d{9 - number}", members=[f"m{number}"])
    assert find(rfc, 'serial eq "S1"', "/Devices") == []  # caseExact
    assert find(rfc, 'serial eq "s1" or displayName eq "D7"', "/Devices") == ["s1", "s2"]
    assert find(rfc, 'members eq "m3" and meta.resourceType eq "Device"', "/Devices") == ["s3"]
    assert find(rfc, "active eq true", "/Devices") == [f"s{number}" for number in range(5)]
    page = rfc.get("/Devices?sortBy=displayName&count=2&cursor=")
    assert (page["totalResults"], [each["serial"] for each in page["Resources"]]) == (5, ["s4", "s3"])
    rest = rfc.get(f"/Devices?sortBy=displayName&count=200&cursor={page['nextCursor']}")
    assert [each["serial"] for each in rest["Resources"]] == ["s2", "s1", "s0"]
    everything = rfc.answer("POST", "/.search", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'serial eq "s1" or userName eq "sam"', "sortBy": "meta.resourceType", "sortOrder": "descending",
    })  # fmt: skip
    assert [each["meta"]["resourceType"] for each in everything["Resources"]] == ["User", "Device"]


def test_a_bulk_and_a_group_take_resources_of_a_tenants_own_type(defined: Defined, rfc: Source) -> None:
    defined.device()
    done = rfc.answer("POST", "/Bulk", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Printers",
                "members": [{"value": "bulkId:d"}]}},
            {"method": "POST", "path": "/Devices", "bulkId": "d", "data": {"schemas": [DEVICE], "serial": "1"}},
        ],
    })  # fmt: skip
    assert [each["status"] for each in done["Operations"]] == ["201", "201"]
    [member] = rfc.get("/Groups/" + done["Operations"][0]["location"].rsplit("/", 1)[-1])["members"]
    assert member["type"] == "Device"
    assert member["$ref"] == done["Operations"][1]["location"]
    assert find_groups(rfc, 'members[type eq "Device"]') == ["Printers"]


def find_groups(source: Source, where: str) -> list[str]:
    return [each["displayName"] for each in source.get(f"/Groups?filter={where}")["Resources"]]


def test_what_is_no_principal_of_the_four_kinds_owns_nothing(defined: Defined, rfc: Source) -> None:
    defined.device()
    made = device(rfc, "1")["id"]
    agent = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"], "name": "bot", "owners": [{"value": made}]}
    rfc.post("/Agents", agent, 400)


@pytest.mark.promise(4)
def test_a_connection_changes_no_resource_of_a_tenants_own_type_that_another_made(
    defined: Defined, sources: Sources, rfc: Source
) -> None:
    defined.device()
    other = sources.make("acme", "rfc", "other")
    made = device(rfc, "1")["id"]
    other.get(f"/Devices/{made}")
    other.delete(f"/Devices/{made}", 403)


@pytest.mark.promise(10)
def test_a_catalogue_costs_a_look_at_the_database_once_and_not_with_each_request(
    defined: Defined, house: House, rfc: Source, rival: Source
) -> None:
    path = f"/Users/{rfc.user('sam')}"
    others = f"/Users/{rival.user('sam')}"
    with round_trips(house.engine) as without:
        rival.get(others)
    defined.badge()
    with round_trips(house.engine) as first:
        rfc.get(path)
    with round_trips(house.engine) as second:
        rfc.get(path)
    assert len(second) == len(without)
    assert len(first) == len(without) + 2  # its schemas, its resource types


def test_the_next_version_of_a_schema_holds_for_the_next_request(defined: Defined, rfc: Source) -> None:
    defined.badge()
    rfc.user("sam", **{BADGE: {"colour": "red"}})
    more = [*BADGE_DOCUMENT["attributes"], {"name": "colour", "type": "string"}]
    defined.do(change_schema, BADGE, {"attributes": more}, expected_version=1)
    kim = rfc.user("kim", **{BADGE: {"colour": "red"}})
    assert rfc.get(f"/Users/{kim}")[BADGE] == {"colour": "red"}
    assert find(rfc, f'{BADGE}:colour eq "RED"') == ["kim"]


@pytest.mark.rfc("7643", "3.1")
def test_every_resource_can_have_an_external_id_whether_or_not_its_schema_says_so(
    defined: Defined, rfc: Source
) -> None:
    defined.do(define_schema, {"id": DEVICE, "attributes": [{"name": "serial", "type": "string"}]})
    defined.do(define_type, name="Device", endpoint="/Devices", description="", schema=DEVICE, extensions=[])
    device(rfc, "1", externalId="e1")
    assert find(rfc, 'externalId eq "e1"', "/Devices") == ["1"]
    device(rfc, "2", 409, externalId="e1")
    assert "externalId" in [each["name"] for each in rfc.get(f"/Schemas/{DEVICE}")["attributes"]]


def test_a_forgotten_type_is_not_there_any_more(defined: Defined, rfc: Source) -> None:
    defined.device()
    made = device(rfc, "1")["id"]
    rfc.delete(f"/Devices/{made}")
    defined.do(delete_type, "Device")
    device(rfc, "2", 404)
    rfc.get("/ResourceTypes/Device", 404)


def test_a_type_waits_to_be_forgotten_until_who_is_creating_one_of_it_is_done(
    defined: Defined, house: House, rfc: Source, server: Server
) -> None:
    defined.device()
    profile = Profile(document={"serial": "1"}, name="")
    refused: list[BaseException] = []

    def forget() -> None:
        try:
            defined.do(delete_type, "Device")
        except Refusal as refusal:
            refused.append(refusal)

    with transaction(house.engine, rfc.tenant_id) as tx:
        create_principal(tx, Kind("custom:Device"), profile, caller=ADMINISTRATOR, now=house.clock())
        forgetting = threading.Thread(target=forget)
        forgetting.start()
        while not waits_for_a_lock(server, str(house.engine.url.database)):
            pass
    forgetting.join()
    assert [each.reason for each in refused if isinstance(each, Refusal)] == ["resource_type_in_use"]
    rfc.get("/ResourceTypes/Device")


def waits_for_a_lock(server: Server, database: str) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
    superuser = psycopg.connect(host=server.socket_folder, user=SUPERUSER, dbname="identity", autocommit=True)
    with superuser as connection:
        row = connection.execute(waiting, [database]).fetchone()
    return bool(row and row[0])


def test_scim2_tester_finds_no_error_in_what_a_tenant_defined(app: Flask, defined: Defined, rfc: Source) -> None:
    # Left out is what the suite cannot try: it expects an added number to stand alone, and writes what is immutable.
    for document, names in ((BADGE_DOCUMENT, {"number", "title"}), (DEVICE_DOCUMENT, {"serial", "active", "keeper"})):
        known = [each for each in document["attributes"] if each["name"] in names]
        defined.do(define_schema, document | {"attributes": known})
    defined.extend("User", BADGE)
    defined.do(define_type, name="Device", endpoint="/Devices", description="", schema=DEVICE, extensions=[])
    client = WSGISCIMClient(app, base_url=f"{BASE_URL}{rfc.url('')}", headers={"Authorization": f"Bearer {rfc.token}"})
    results = check_server(client)
    assert {result.resource_type for result in results} >= {"User", "Device"}
    faults = [f"{r.resource_type} {r.title}: {r.reason}" for r in results if r.status is Status.ERROR]
    assert not faults, "\n".join(faults)
