"""Clients that speak for a SCIM connection."""

from typing import Any

import pytest

from tests.admin.conftest import Admin, Provision

NOBODY = "01890000-0000-7000-8000-000000000000"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
OIDC = {
    "kind": "oidc", "name": "login", "issuer": "https://login.example", "jwks_uri": "https://login.example/keys",
    "audiences": ["portal"],
}  # fmt: skip


@pytest.fixture
def people(acme: Admin) -> str:
    """The id of a SCIM connection of acme."""
    made: str = acme.post("/connections", {"kind": "scim", "name": "people", "dialect": "rfc"})["id"]
    return made


def test_it_is_registered_with_a_key_or_a_secret_and_holds_one_scope(
    acme: Admin, people: str, public_jwk: dict[str, Any]
) -> None:
    keyed = {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [public_jwk]}}
    for asked in (keyed, {}, {"scope": "scim"}, {"grant_types": ["client_credentials"]}):
        made = acme.post("/clients", {"connection_id": people, **asked})
        assert (made["connection_id"], made["principal_id"], made["audience"]) == (people, None, None)
        assert (made["scope"], made["grant_types"]) == ("scim", ["client_credentials"])
        assert ("client_secret" in made) is (asked is not keyed)
        assert acme.get(f"/clients/{made['client_id']}")["connection_id"] == people
    [told, *_] = acme.events(type="client.registered")
    assert told["detail"]["connection_id"] == people


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"connection_id": NOBODY}, "/connection_id"),
        ({"connection_id": "people"}, "/connection_id"),
        ({"principal_id": NOBODY}, "/principal_id"),
        ({"audience": "https://erp.example"}, "/principal_id"),
        ({"scope": "invoices.read"}, "/scope"),
        ({"scope": "scim invoices.read"}, "/scope"),
        ({"grant_types": [EXCHANGE]}, "/grant_types"),
        ({"grant_types": ["client_credentials", EXCHANGE]}, "/grant_types"),
        ({"grant_types": []}, "/grant_types"),
    ],
)
def test_what_it_cannot_be_is_refused(acme: Admin, people: str, changed: dict[str, Any], pointer: str) -> None:
    assert acme.post("/clients", {"connection_id": people, **changed}, 400)["errors"][0]["pointer"] == pointer


def test_it_is_of_a_live_scim_connection_of_the_same_tenant(acme: Admin, rival: Admin, people: str) -> None:
    assert rival.post("/clients", {"connection_id": people}, 400)["code"] == "unknown_connection"
    login = acme.post("/connections", OIDC)["id"]
    assert acme.post("/clients", {"connection_id": login}, 400)["code"] == "unknown_connection"
    acme.delete(f"/connections/{people}")
    assert acme.post("/clients", {"connection_id": people}, 409)["code"] == "connection_ended"


@pytest.mark.promise(1)
def test_ending_the_connection_revokes_its_clients_and_no_other(acme: Admin, people: str, provision: Provision) -> None:
    other = acme.post("/connections", {"kind": "scim", "name": "other", "dialect": "rfc"})["id"]
    mine = [acme.post("/clients", {"connection_id": people})["client_id"] for _ in range(2)]
    kept = [
        acme.post("/clients", {"connection_id": other})["client_id"],
        acme.post("/clients", {"principal_id": provision("acme", "agent")})["client_id"],
    ]
    acme.delete(f"/connections/{people}")
    assert all(acme.get(f"/clients/{client}")["revoked_at"] for client in mine)
    assert not any(acme.get(f"/clients/{client}")["revoked_at"] for client in kept)
    [ended] = acme.events(type="connection.ended")
    assert ended["detail"]["clients"] == 2
    assert acme.post(f"/clients/{mine[0]}/secret", {}, 409)["code"] == "client_revoked"


def test_nobody_registers_the_scim_endpoint_as_a_resource_server_of_its_own(acme: Admin) -> None:
    endpoint = acme.post("/connections", {"kind": "scim", "name": "people", "dialect": "rfc"})["scim_base_url"]
    for claimed in (endpoint, f"{endpoint}/"):
        assert acme.post("/resources", {"audience": claimed, "scopes": ["scim"]}, 400)["code"] == "own_issuer"
