"""Schemas and resource types through the admin API: versions of data, never taken from under a resource."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from identity.admin.openapi import document
from tests.admin.conftest import Admin

BADGE = "urn:acme:params:scim:Badge"
DEVICE = "urn:acme:params:scim:Device"
NUMBER = {"name": "number", "type": "string"}
SERIAL = {"name": "serial", "type": "string", "required": True, "uniqueness": "server"}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.fixture
def badge(acme: Admin) -> dict[str, Any]:
    defined: dict[str, Any] = acme.post("/schemas", {"id": BADGE, "attributes": [NUMBER]})
    return defined


@pytest.fixture
def device(acme: Admin) -> dict[str, Any]:
    acme.post("/schemas", {"id": DEVICE, "attributes": [SERIAL]})
    defined: dict[str, Any] = acme.post("/resource-types", {"name": "Device", "endpoint": "/Devices", "schema": DEVICE})
    return defined


class Pushing:
    """A source that pushes resources."""

    def __init__(self, acme: Admin) -> None:
        made = acme.post("/connections", {"kind": "scim", "name": "hr"})
        self.http, self.headers = acme.http, {"Authorization": f"Bearer {made['token']}"}

    def push(self, endpoint: str, schema: str, status: int = 201, **members: Any) -> Any:
        body = {"schemas": [schema], **members}
        answer = self.http.post(f"/t/acme/scim/v2{endpoint}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return json.loads(answer.data)

    def remove(self, path: str) -> None:
        assert self.http.delete(f"/t/acme/scim/v2{path}", headers=self.headers).status_code == 204


@pytest.fixture
def source(acme: Admin) -> Pushing:
    return Pushing(acme)


def test_a_schema_is_kept_in_versions_of_which_the_newest_holds(acme: Admin, badge: dict[str, Any]) -> None:
    assert badge["version"] == 1
    assert badge["attributes"][0]["mutability"] == "readWrite"  # every default is written out
    changed = acme.patch(f"/schemas/{BADGE}", {"attributes": [NUMBER, {"name": "colour", "type": "string"}]})
    assert changed["version"] == 2
    assert acme.get(f"/schemas/{BADGE.upper()}") == changed
    assert [each["version"] for each in acme.get(f"/schemas/{BADGE}/versions")["items"]] == [2, 1]
    assert acme.patch(f"/schemas/{BADGE}", {"description": ""})["version"] == 2  # nothing changed
    assert [each["type"] for each in acme.events(type="schema.changed")] == ["schema.changed"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"attributes": [NUMBER | {"type": "integer"}]}, 409, "schema_incompatible"),
        ({"attributes": [NUMBER | {"required": True}]}, 409, "schema_incompatible"),
        ({"attributes": [{"name": "colour", "type": "string"}]}, 409, "schema_incompatible"),
        ({"attributes": []}, 400, "invalid_value"),
        ({"attributes": [{"name": "number"}]}, 400, "invalid_schema"),
        ({"id": DEVICE}, 400, "invalid_value"),
    ],
)
def test_a_version_that_would_change_what_is_stored_is_refused_and_changes_nothing(
    acme: Admin, badge: dict[str, Any], change: dict[str, Any], status: int, code: str
) -> None:
    assert acme.patch(f"/schemas/{BADGE}", change, status)["code"] == code
    assert acme.get(f"/schemas/{BADGE}") == badge


def test_who_changes_what_has_changed_meanwhile_is_told(acme: Admin, badge: dict[str, Any]) -> None:
    acme.patch(f"/schemas/{BADGE}", {"description": "On a lanyard"}, **{"If-Match": '"1"'})
    acme.patch(f"/schemas/{BADGE}", {"description": "On a belt"}, 412, **{"If-Match": '"1"'})
    extended = acme.patch("/resource-types/User", {"schemaExtensions": [{"schema": BADGE}]}, **{"If-Match": '"0"'})
    assert extended["version"] == 1
    acme.patch("/resource-types/User", {"schemaExtensions": []}, 412, **{"If-Match": '"0"'})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": BADGE, "attributes": [NUMBER]}, 409),
        ({"id": BADGE.lower(), "attributes": [NUMBER]}, 409),
        ({"id": f"{BADGE}:number", "attributes": [NUMBER]}, 400),  # that is how its attribute is named
        ({"id": BADGE.rsplit(":", 1)[0], "attributes": [NUMBER]}, 400),
        ({"id": USER, "attributes": [NUMBER]}, 400),
        ({"id": "urn:acme:x", "attributes": [NUMBER], "meta": {}}, 400),
    ],
)
def test_an_id_that_is_taken_or_not_a_tenants_is_refused(
    acme: Admin, badge: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    acme.post("/schemas", body, status)
    assert [each["id"] for each in acme.get("/schemas")["items"]] == [badge["id"]]


@pytest.mark.parametrize(
    ("changed", "status", "pointer"),
    [
        ({"name": "User"}, 400, "/name"),
        ({"name": "serviceaccount"}, 400, "/name"),
        ({"name": "Schema"}, 400, "/name"),
        ({"name": "Two words"}, 400, "/name"),
        ({"endpoint": "/Users"}, 400, "/endpoint"),
        ({"endpoint": "/bulk"}, 400, "/endpoint"),
        ({"endpoint": "/Me"}, 400, "/endpoint"),
        ({"endpoint": "Sites"}, 400, "/endpoint"),
        ({"endpoint": "/Sites/All"}, 400, "/endpoint"),
        ({"schema": "urn:acme:nothing"}, 400, "/schema"),
        ({"schema": USER}, 400, "/schema"),
        ({"schemaExtensions": [{"schema": "urn:acme:nothing"}]}, 400, "/schemaExtensions/0/schema"),
        ({"schemaExtensions": [{"schema": DEVICE}, {"schema": DEVICE.upper()}]}, 400, "/schemaExtensions/1/schema"),
        ({"schemaExtensions": [{"schema": BADGE}]}, 400, "/schemaExtensions"),  # its own core schema
        ({"name": "device"}, 409, None),
        ({"endpoint": "/devices"}, 409, None),
    ],
)
def test_a_resource_type_with_one_fault_is_refused_for_it(
    acme: Admin, badge: dict[str, Any], device: dict[str, Any], changed: dict[str, Any], status: int, pointer: str
) -> None:
    refused = acme.post("/resource-types", {"name": "Site", "endpoint": "/Sites", "schema": BADGE} | changed, status)
    assert (refused.get("errors") or [{}])[0].get("pointer") == pointer
    assert [each["name"] for each in acme.get("/resource-types")["items"]][4:] == ["Device"]


def test_ours_are_extended_and_nothing_else_of_them_changes(acme: Admin, rival: Admin, badge: dict[str, Any]) -> None:
    extended = acme.patch("/resource-types/user", {"schemaExtensions": [{"schema": BADGE.lower(), "required": False}]})
    assert (extended["name"], extended["is_built_in"]) == ("User", True)
    assert extended["schemaExtensions"] == [{"schema": BADGE, "required": False}]
    acme.patch("/resource-types/User", {"description": "People"}, 400)
    acme.delete("/resource-types/User", 409)
    assert rival.get("/resource-types/User")["schemaExtensions"] == []
    rival.patch("/resource-types/User", {"schemaExtensions": [{"schema": BADGE}]}, 400)


def test_a_schema_does_not_extend_the_type_that_it_is_the_core_of(acme: Admin, device: dict[str, Any]) -> None:
    acme.patch("/resource-types/Device", {"schemaExtensions": [{"schema": DEVICE}]}, 400)


def test_all_schemas_of_a_tenant_together_are_bounded(acme: Admin) -> None:
    values = ["x" * 1_000] * 100
    body = {"attributes": [{"name": "colour", "type": "string", "canonicalValues": values}]}
    statuses = [
        acme.ask("POST", "/schemas", {"id": f"urn:acme:params:scim:S{n}", **body}).status_code for n in range(10)
    ]
    assert statuses == [201] * 9 + [409]


def test_what_is_in_use_is_not_forgotten(acme: Admin, badge: dict[str, Any], device: dict[str, Any]) -> None:
    acme.delete(f"/schemas/{DEVICE}", 409)
    acme.patch("/resource-types/Group", {"schemaExtensions": [{"schema": BADGE}]})
    acme.delete(f"/schemas/{BADGE}", 409)
    acme.patch("/resource-types/Group", {"schemaExtensions": []})
    acme.delete(f"/schemas/{BADGE}")
    acme.get(f"/schemas/{BADGE}", 404)


def test_a_type_goes_after_its_resources_and_an_extension_after_its_values(
    acme: Admin, badge: dict[str, Any], device: dict[str, Any], source: Pushing
) -> None:
    made = source.push("/Devices", DEVICE, serial="1")
    acme.delete("/resource-types/Device", 409)
    acme.patch("/resource-types/User", {"schemaExtensions": [{"schema": BADGE}]})
    sam = source.push("/Users", USER, userName="sam", **{BADGE: {"number": "7"}})
    acme.patch("/resource-types/User", {"schemaExtensions": []}, 409)
    source.remove(f"/Users/{sam['id']}")
    acme.patch("/resource-types/User", {"schemaExtensions": []})
    source.remove(f"/Devices/{made['id']}")
    acme.delete("/resource-types/Device")
    source.push("/Devices", DEVICE, 404, serial="2")


def test_an_extension_becomes_required_when_every_resource_has_it(
    acme: Admin, badge: dict[str, Any], source: Pushing
) -> None:
    acme.patch("/resource-types/User", {"schemaExtensions": [{"schema": BADGE}]})
    sam = source.push("/Users", USER, userName="sam")
    required = {"schemaExtensions": [{"schema": BADGE, "required": True}]}
    assert acme.patch("/resource-types/User", required, 409)["code"] == "extension_missing"
    source.remove(f"/Users/{sam['id']}")
    source.push("/Users", USER, userName="sam", **{BADGE: {"number": "7"}})
    assert acme.patch("/resource-types/User", required)["schemaExtensions"] == required["schemaExtensions"]
    source.push("/Users", USER, 400, userName="kim")


def test_an_administrator_sees_the_resources_of_a_tenants_own_type(
    acme: Admin, rival: Admin, device: dict[str, Any], source: Pushing
) -> None:
    made = source.push("/Devices", DEVICE, serial="1")
    assert [each["id"] for each in acme.get("/principals?kind=custom:Device")["items"]] == [made["id"]]
    assert acme.get(f"/principals/{made['id']}")["kind"] == "custom:Device"
    acme.post("/clients", {"principal_id": made["id"]}, 400)  # it never signs in
    rival.get(f"/principals/{made['id']}", 404)
    acme.get("/principals?kind=custom:", 400)
    acme.get("/principals?kind=device", 400)
    kind = document()["components"]["schemas"]["Principal"]["properties"]["kind"]
    assert any(re.fullmatch(option.get("pattern", ""), "custom:Device") for option in kind["anyOf"])


def test_a_definition_is_made_changed_and_forgotten_with_commands(
    acme: Admin, run: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "device.json"
    file.write_text(json.dumps({"id": DEVICE, "attributes": [SERIAL]}))
    assert "serial" in run("schema", "define", "acme", str(file)).output
    assert DEVICE in run("schema", "list", "acme").output
    run("resource-type", "define", "acme", "Device", "--endpoint", "/Devices", "--schema", DEVICE)
    file.write_text(json.dumps({"attributes": [SERIAL, NUMBER]}))
    assert json.loads(run("schema", "change", "acme", DEVICE, str(file), "--json").stdout)["version"] == 2
    assert "/Devices" in run("resource-type", "list", "acme").output
    run("resource-type", "extend", "acme", "User", "--required", DEVICE)
    run("resource-type", "extend", "acme", "User")
    run("resource-type", "delete", "acme", "Device")
    run("schema", "delete", "acme", DEVICE)
    file.write_text("[")
    assert "not JSON" in run("schema", "define", "acme", str(file), exit_code=2).output
