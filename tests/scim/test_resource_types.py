"""Resource types that a tenant defined: their resources live, are found and are guarded like those of the standard."""

import threading

import psycopg
import pytest

from dev.postgres import SUPERUSER
from identity.actions.definitions import define_schema, define_type, delete_type
from identity.actions.provisioning import create_principal
from identity.edge.runtime import Runtime
from identity.model.errors import Refusal
from identity.model.principal import Kind, Profile
from identity.store.transaction import transaction
from tests.conftest import Server
from tests.scim.defined import DEVICE, Defined, device, find
from tests.scim.sources import ADMINISTRATOR, Source, Sources


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


@pytest.mark.rfc("7643", "3.1")
def test_every_resource_can_have_an_external_id_whether_or_not_its_schema_says_so(
    defined: Defined, rfc: Source
) -> None:
    defined.do(define_schema, {"id": DEVICE, "attributes": [{"name": "serial", "type": "string"}]})
    defined.do(define_type, name="Device", endpoint="/Devices", description="", core_schema=DEVICE, extensions=[])
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
    defined: Defined, runtime: Runtime, rfc: Source, server: Server
) -> None:
    defined.device()
    profile = Profile(document={"serial": "1"}, name="")
    refused: list[BaseException] = []

    def forget() -> None:
        try:
            defined.do(delete_type, "Device")
        except Refusal as refusal:
            refused.append(refusal)

    with transaction(runtime.engine, rfc.tenant_id) as tx:
        create_principal(tx, Kind("custom:Device"), profile, caller=ADMINISTRATOR, now=runtime.clock())
        forgetting = threading.Thread(target=forget)
        forgetting.start()
        while not waits_for_a_lock(server, str(runtime.engine.url.database)):
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
