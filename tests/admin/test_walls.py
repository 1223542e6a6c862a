"""The wall: every operation, asked through the other tenant, answers as if nothing were there, and changes nothing."""

from typing import Any
from uuid import uuid4

import pytest

from identity.admin.endpoints import OPERATIONS, Operation
from identity.edge.runtime import Runtime
from tests.admin.conftest import ADMIN_TOKEN, Admin, Clock, Provision
from tests.admin.test_delegations import open_task

IDENTIFIED = [one for one in OPERATIONS if set(one.parameters) - {"tenant", "kind"}]
BODIES: dict[str, Any] = {
    "add_client_key": {"jwk": {"kty": "EC"}},
    "link_subject": {"connection_id": str(uuid4()), "subject": "x"},
}
QUERIES = {"unlink_subject": f"?connection_id={uuid4()}&subject=x"}


@pytest.fixture
def owned_objects(
    acme: Admin, provision: Provision, resource: str, runtime: Runtime, clock: Clock, public_jwk: dict[str, Any]
) -> dict[str, str]:
    """One thing of acme for every name that a path of the API may hold."""
    sam, bot = provision("acme", "user"), provision("acme", "agent")
    key = {"principal_id": bot, "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public_jwk]}}
    client = acme.post("/clients", key)["client_id"]
    grant = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}
    delegation = acme.post("/delegations", grant)
    acme.post("/resources", {"audience": "https://crm.example", "scopes": ["read"]})
    pair = acme.post(
        "/resource-pairs",
        {"from": "https://erp.example", "to": "https://crm.example", "scopes": {"invoices.read": ["read"]}},
    )
    provision_cut = provision("acme", "user")
    acme.post(f"/principals/{provision_cut}/suspend", {}, 200)
    acme.post("/schemas", {"id": "urn:acme:scim:Device", "attributes": [{"name": "serial", "type": "string"}]})
    acme.post("/resource-types", {"name": "Device", "endpoint": "/Devices", "schema": "urn:acme:scim:Device"})
    return {
        "tenant": "acme",
        "schema": "urn:acme:scim:Device",
        "resource_type": "Device",
        "connection_id": acme.post("/connections", {"kind": "scim", "name": "entra"})["id"],
        "client_id": client,
        "kid": "first",
        "resource_id": acme.get("/resources")["items"][0]["id"],
        "pair_id": pair["id"],
        "principal_id": sam,
        "delegation_id": delegation["id"],
        "txn": open_task(runtime, clock, delegation),
        "outbox_id": acme.get("/outbox?state=waiting")["items"][0]["id"],
    }


def ask(platform: Admin, one: Operation, names: dict[str, str]) -> dict[str, Any]:
    body = BODIES.get(one.name, {}) if one.body is not None else None
    answer = platform.ask(one.method, one.path.format(**names) + QUERIES.get(one.name, ""), body)
    problem: dict[str, Any] = {**(answer.json or {}), "request_id": ""}
    assert answer.status_code == 404, (one.name, answer.status_code, answer.text)
    return problem


@pytest.mark.promise(4)
def test_not_yours_and_not_there_are_the_same_answer(
    platform: Admin, acme: Admin, rival: Admin, owned_objects: dict[str, str]
) -> None:
    before = acme.events()
    for one in IDENTIFIED:
        assert set(one.parameters) <= owned_objects.keys(), f"{one.name} has a parameter that nobody classified"
        not_there = {name: str(uuid4()) for name in owned_objects} | {"tenant": "rival"}
        not_yours = owned_objects | {"tenant": "rival"}
        assert ask(platform, one, not_yours) == ask(platform, one, not_there), one.name
    assert acme.events() == before


def test_a_tenant_that_is_not_there_has_nothing(platform: Admin, owned_objects: dict[str, str]) -> None:
    for one in OPERATIONS:
        if "tenant" in one.parameters:
            ask(platform, one, owned_objects | {"tenant": "nobody"})


def test_every_operation_needs_the_administrators_token_but_those_that_describe_the_api(
    platform: Admin, acme: Admin, owned_objects: dict[str, str]
) -> None:
    before = acme.events()
    for one in OPERATIONS:
        path = f"/admin/v1{one.path.format(**owned_objects, kind='conflict')}"
        for header in ({}, {"Authorization": f"Basic {ADMIN_TOKEN}"}, {"Authorization": f"Bearer {ADMIN_TOKEN}x"}):
            status = platform.http.open(path, method=one.method, headers=header).status_code
            assert status == (200 if one.is_public else 401), one.name
    assert acme.events() == before
