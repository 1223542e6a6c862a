"""Schemas and resource types that a tenant defined: found, filtered, patched and guarded like those of the standard."""

from typing import Any

import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status

from identity.actions.definitions import change_schema, define_schema, define_type
from identity.edge.runtime import Runtime
from scim import operations
from tests.scim.defined import BADGE, BADGE_DOCUMENT, DEVICE, DEVICE_DOCUMENT, Defined, device, find
from tests.scim.generic_suite import run_suite
from tests.scim.sources import BASE_URL, ENTERPRISE, USER, Source
from tests.statement_counter import round_trips


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
    defined: Defined, runtime: Runtime, rfc: Source, rival: Source
) -> None:
    defined.badge()
    Defined(runtime, rival).badge()
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


@pytest.mark.promise(10)
def test_a_catalogue_costs_a_look_at_the_database_once_and_not_with_each_request(
    defined: Defined, runtime: Runtime, rfc: Source, rival: Source
) -> None:
    path = f"/Users/{rfc.user('sam')}"
    others = f"/Users/{rival.user('sam')}"
    with round_trips(runtime.engine) as without:
        rival.get(others)
    defined.badge()
    with round_trips(runtime.engine) as first:
        rfc.get(path)
    with round_trips(runtime.engine) as second:
        rfc.get(path)
    assert len(second) == len(without)
    assert len(first) == len(without) + 2  # its schemas, its resource types


def test_a_bulk_does_each_operation_by_the_schemas_of_that_moment(
    defined: Defined, rfc: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    defined.badge()
    create = operations.create

    def create_and_take_the_extension_away(*asked: Any) -> Any:
        made = create(*asked)
        monkeypatch.setattr(operations, "create", create)
        defined.extend("User")
        return made

    monkeypatch.setattr(operations, "create", create_and_take_the_extension_away)
    data = [{"schemas": [USER], "userName": f"sam{n}", **({BADGE: {"number": "7"}} if n else {})} for n in range(2)]
    sent = [{"method": "POST", "path": "/Users", "bulkId": str(n), "data": each} for n, each in enumerate(data)]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": sent}
    made = rfc.answer("POST", "/Bulk", body)["Operations"]
    assert [each["status"] for each in made] == ["201", "201"]
    defined.extend("User", BADGE)
    assert BADGE not in rfc.get("/Users/" + made[1]["location"].rsplit("/", 1)[-1])
    rfc.user("kim", **{BADGE: {"number": "7"}})


def test_the_next_version_of_a_schema_holds_for_the_next_request(defined: Defined, rfc: Source) -> None:
    defined.badge()
    rfc.user("sam", **{BADGE: {"colour": "red"}})
    more = [*BADGE_DOCUMENT["attributes"], {"name": "colour", "type": "string"}]
    defined.do(change_schema, BADGE, {"attributes": more}, expected_version=1)
    kim = rfc.user("kim", **{BADGE: {"colour": "red"}})
    assert rfc.get(f"/Users/{kim}")[BADGE] == {"colour": "red"}
    assert find(rfc, f'{BADGE}:colour eq "RED"') == ["kim"]


def test_scim2_tester_finds_no_error_in_what_a_tenant_defined(app: Flask, defined: Defined, rfc: Source) -> None:
    # Left out is what the suite cannot try: it expects an added number to stand alone, and writes what is immutable.
    for document, names in ((BADGE_DOCUMENT, {"number", "title"}), (DEVICE_DOCUMENT, {"serial", "active", "keeper"})):
        known = [each for each in document["attributes"] if each["name"] in names]
        defined.do(define_schema, document | {"attributes": known})
    defined.extend("User", BADGE)
    defined.do(define_type, name="Device", endpoint="/Devices", description="", core_schema=DEVICE, extensions=[])
    client = WSGISCIMClient(app, base_url=f"{BASE_URL}{rfc.url('')}", headers={"Authorization": f"Bearer {rfc.token}"})
    results = run_suite(client)
    assert {result.resource_type for result in results} >= {"User", "Device"}
    faults = [f"{r.resource_type} {r.title}: {r.reason}" for r in results if r.status is Status.ERROR]
    assert not faults, "\n".join(faults)
