"""What others are told of a change (RFC 9967 §2): in the transaction of the change, by names and never by values."""

import json
from typing import Any

import psycopg
import pytest

from identity.edge.runtime import Runtime
from identity.model.provisioning_event import ENDPOINTS, EventUri
from scim.schema.resource_types import resource_types
from tests.scim.defined import Defined, device
from tests.scim.sources import AGENT, ENTERPRISE, GROUP, USER, Source
from tests.scim.test_bulk import bulk, group, patched, user
from tests.statement_counter import round_trips

PROV = "urn:ietf:params:scim:event:prov:"

Told = tuple[str, str, Any]


@pytest.fixture
def told(owner_url: str) -> Any:
    """Return what a source's tenant was told since the last look: path, event without its prefix, payload."""
    seen: set[str] = set()

    def look(source: Source) -> list[Told]:
        rows = [row for row in recorded(owner_url, source) if row["id"] not in seen]
        seen.update(row["id"] for row in rows)
        return [
            (row["sub_id"]["uri"], uri.removeprefix(PROV), payload)
            for row in rows
            for uri, payload in row["payloads"].items()
        ]

    return look


def recorded(owner_url: str, source: Source) -> list[Any]:
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute(f"SET app.tenant = '{source.tenant_id}'")
        rows = owner.execute("SELECT to_jsonb(e) FROM provisioning_events e ORDER BY id").fetchall()
    return [row[0] for row in rows]


def test_the_model_knows_every_endpoint() -> None:
    assert {type_.kind: type_.endpoint for type_ in resource_types().values()} == ENDPOINTS


@pytest.mark.rfc("9967", "2.4.1")
@pytest.mark.rfc("9967", "2.1", "2.1-3")
@pytest.mark.rfc("9967", "2.2", "2.2-1", "2.2-3")
@pytest.mark.rfc("9967", "2.4", "2.4-1", "2.4-2", "2.4-3")
def test_a_create_is_told_with_the_names_of_what_was_given(rfc: Source, told: Any) -> None:
    more = {"name": {"familyName": "Doe"}, ENTERPRISE: {"department": "Tools"}, "emails": [{"value": "s@x"}]}
    sam = rfc.user("sam", **more, password="t1meMa$heen")
    named = ["emails", "id", "name.familyName", f"{ENTERPRISE}:department", "userName"]
    assert told(rfc) == [(f"/Users/{sam}", "create:notice", {"attributes": named, "version": 'W/"1"'})]


@pytest.mark.rfc("9967", "2.4.2")
@pytest.mark.rfc("9967", "2.2", "2.2-1", "2.2-3")
@pytest.mark.rfc("9967", "2.4", "2.4-1", "2.4-2", "2.4-3")
def test_a_patch_is_told_with_the_paths_of_what_changed(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam", name={"familyName": "Doe", "givenName": "Sam"}, title="VP")
    told(rfc)
    rfc.patch(
        f"/Users/{sam}",
        {"op": "replace", "path": "name.familyName", "value": "Roe"},
        {"op": "replace", "path": "name.givenName", "value": "Sam"},  # as it was
        {"op": "remove", "path": "title"},
    )
    named = ["name.familyName", "title"]
    assert told(rfc) == [(f"/Users/{sam}", "patch:notice", {"attributes": named, "version": 'W/"2"'})]


@pytest.mark.rfc("9967", "2.4.3")
@pytest.mark.rfc("9967", "2.4", "2.4-1", "2.4-2", "2.4-3")
def test_a_put_is_told_as_one(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam", title="VP")
    told(rfc)
    rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "sam", "displayName": "Sam"})
    named = ["displayName", "title"]
    assert told(rfc) == [(f"/Users/{sam}", "put:notice", {"attributes": named, "version": 'W/"2"'})]


@pytest.mark.rfc("9967", "2.4.4", "2.4.4-1", "2.4.4-2")
def test_a_delete_is_told_without_a_payload_and_is_no_deactivation_besides(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam")
    told(rfc)
    rfc.delete(f"/Users/{sam}")
    assert told(rfc) == [(f"/Users/{sam}", "delete", {})]


@pytest.mark.rfc("9967", "2.4.5")
@pytest.mark.rfc("9967", "2.4.6")
def test_active_is_told_as_what_changed_and_as_what_it_means(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam", active=True)
    told(rfc)
    for version, active, meaning in ((2, False, "deactivate"), (3, True, "activate")):
        rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "active", "value": active})
        assert rfc.get(f"/Users/{sam}")["meta"]["version"] == f'W/"{version}"'
        assert told(rfc) == [
            (f"/Users/{sam}", "patch:notice", {"attributes": ["active"], "version": f'W/"{version}"'}),
            (f"/Users/{sam}", meaning, {}),
        ]


def test_members_and_owners_are_told_by_their_names(rfc: Source, told: Any) -> None:
    sam, dana = rfc.user("sam"), rfc.user("dana")
    told(rfc)
    finance = rfc.group("Finance", sam)
    bot = rfc.post("/Agents", {"schemas": [AGENT], "agentUserName": "bot", "owners": [{"value": sam}]})["id"]
    rfc.patch(f"/Groups/{finance}", {"op": "add", "path": "members", "value": [{"value": dana}]}, status=204)
    rfc.patch(f"/Agents/{bot}", {"op": "replace", "path": "owners", "value": [{"value": dana}]})
    assert [(uri, event, payload["attributes"]) for uri, event, payload in told(rfc)] == [
        (f"/Groups/{finance}", "create:notice", ["displayName", "id", "members"]),
        (f"/Agents/{bot}", "create:notice", ["agentUserName", "id", "owners"]),
        (f"/Groups/{finance}", "patch:notice", ["members"]),
        (f"/Agents/{bot}", "patch:notice", ["owners"]),
    ]


@pytest.mark.promise(6)
def test_what_changed_nothing_or_was_refused_is_not_told(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam")
    told(rfc)
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "userName", "value": "sam"})
    rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "sam"})
    rfc.post("/Users", {"schemas": [USER], "userName": "sam"}, status=409)
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "title", "value": "x"}, status=412, If_Match='W/"7"')
    rfc.delete(f"/Users/{sam}", status=412, If_Match='W/"7"')
    assert told(rfc) == []


@pytest.mark.rfc("9967", "2.1", "2.1-1", "2.1-6")
def test_who_it_is_about_is_told_by_path_and_by_the_name_that_the_source_gave(rfc: Source, owner_url: str) -> None:
    sam, dana = rfc.user("sam", externalId="7"), rfc.user("dana")
    assert [row["sub_id"] for row in recorded(owner_url, rfc)] == [
        {"format": "scim", "uri": f"/Users/{sam}", "externalId": "7"},
        {"format": "scim", "uri": f"/Users/{dana}"},
    ]


@pytest.mark.rfc("9967", "2.2", "2.2-2")
def test_events_of_one_transaction_share_a_txn_and_each_has_a_jti_of_its_own(rfc: Source, owner_url: str) -> None:
    sam = rfc.user("sam")
    rfc.patch(f"/Users/{sam}", {"op": "replace", "path": "active", "value": False})
    create, patch, deactivate = recorded(owner_url, rfc)
    assert create["txn"] != patch["txn"] == deactivate["txn"]
    assert len({row["id"] for row in (create, patch, deactivate)}) == 3


def test_the_operations_of_a_bulk_are_told_as_single_ones_are(rfc: Source, told: Any) -> None:
    sam = rfc.user("sam")
    told(rfc)
    reports = bulk(
        rfc,
        group("Finance", "finance", "bulkId:dana"),
        user("dana", "dana"),
        patched(f"/Users/{sam}", {"op": "add", "path": "title", "value": "VP"}),
        user("sam", "taken"),
        {"method": "DELETE", "path": f"/Users/{sam}"},
    )
    finance, dana = (reports[n]["location"].rsplit("/", 1)[-1] for n in (0, 1))
    assert [(uri, event) for uri, event, _ in told(rfc)] == [
        (f"/Users/{dana}", "create:notice"),
        (f"/Groups/{finance}", "create:notice"),
        (f"/Users/{sam}", "patch:notice"),
        (f"/Users/{sam}", "delete"),
    ]


@pytest.mark.promise(4)
def test_no_value_is_told_and_nothing_to_another_tenant(rfc: Source, rival: Source, owner_url: str) -> None:
    rfc.post("/Users", {"schemas": [USER], "userName": "canary-name", "title": "canary-title", "password": "canary"})
    rfc.post("/Groups", {"schemas": [GROUP], "displayName": "canary-group"})
    assert "canary" not in json.dumps(recorded(owner_url, rfc))
    assert recorded(owner_url, rival) == []


@pytest.mark.promise(10)
def test_telling_costs_no_round_trip(rfc: Source, runtime: Runtime) -> None:
    rfc.user("first")
    with round_trips(runtime.engine) as seen:
        rfc.user("sam")
    assert [s for s in seen.statements if "provisioning_events" in s] == [
        s for s in seen.statements if "provisioning_requests" in s
    ]


def test_a_resource_of_a_type_that_the_tenant_defined_is_told_at_its_endpoint(
    runtime: Runtime, rfc: Source, told: Any
) -> None:
    Defined(runtime, rfc).device()
    made = device(rfc, "7", colour="red")["id"]
    rfc.patch(f"/Devices/{made}", {"op": "replace", "path": "colour", "value": "blue"})
    rfc.delete(f"/Devices/{made}")
    assert [(uri, event, payload.get("attributes")) for uri, event, payload in told(rfc)] == [
        (f"/Devices/{made}", "create:notice", ["colour", "id", "serial"]),
        (f"/Devices/{made}", "patch:notice", ["colour"]),
        (f"/Devices/{made}", "delete", None),
    ]


@pytest.mark.rfc("9967", "4")
def test_what_is_advertised_is_what_is_done(rfc: Source) -> None:
    asked = rfc.ask("GET", "/ServiceProviderConfig", Accept="application/scim+json")
    advertised = asked.get_json(force=True)["securityEvents"]
    assert advertised == {"asyncRequest": "request", "eventUris": [str(uri) for uri in EventUri]}
    assert all(uri.startswith("urn:ietf:params:scim:event:") for uri in advertised["eventUris"])


@pytest.mark.parametrize(
    ("accepted", "is_stated"),
    [
        ("application/scim+json", True),
        ("application/scim+json, application/json;q=0.5", True),
        ("application/json", False),
        ("*/*", False),  # scim2-client 0.13 sends it, and would refuse all of discovery for what it does not know
    ],
)
def test_what_only_newer_clients_can_read_is_said_to_those_that_ask_for_scim_by_name(
    rfc: Source, accepted: str, is_stated: bool
) -> None:
    told = rfc.ask("GET", "/ServiceProviderConfig", Accept=accepted).get_json(force=True)
    assert ("securityEvents" in told) is is_stated
