"""OAuth clients."""

import base64
import warnings
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from identity.actions.clients import get_client
from identity.actions.tenants import resolve_tenant
from identity.edge.runtime import Runtime
from identity.model.client import CLIENTS_MAX
from identity.model.credential import same_secret
from identity.model.ids import PLATFORM
from identity.store.transaction import transaction
from tests.admin.conftest import Admin, Provision

NOBODY = "01890000-0000-7000-8000-000000000000"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
BASIC = "client_secret_basic"


def secret_is(runtime: Runtime, tenant: str, client_id: str, secret: str) -> bool:
    with transaction(runtime.engine, PLATFORM) as tx:
        tenant_id = resolve_tenant(tx, tenant).id
    with transaction(runtime.engine, tenant_id) as tx:
        return same_secret(secret, get_client(tx, client_id).secret_hash)


def keyed(principal_id: str, *jwks: dict[str, Any]) -> dict[str, Any]:
    return {
        "principal_id": principal_id,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": list(jwks)},
    }


def test_a_client_with_a_secret_is_shown_it_once(acme: Admin, provision: Provision, runtime: Runtime) -> None:
    bot = provision("acme", "agent")
    made = acme.post("/clients", {"principal_id": bot, "client_name": "invoice-bot", "scope": "invoices.read x"})
    assert made["client_secret"].startswith("idf_client_")
    assert made["client_secret_expires_at"] == 0
    assert made["grant_types"] == ["client_credentials", EXCHANGE]
    assert (made["token_endpoint_auth_method"], made["scope"]) == (BASIC, "invoices.read x")
    assert secret_is(runtime, "acme", made["client_id"], made["client_secret"])
    assert "client_secret" not in acme.get(f"/clients/{made['client_id']}")
    assert made["client_secret"] not in str(acme.get("/clients")) + str(acme.events())


def test_a_client_that_sends_its_secret_in_the_body_is_shown_it_once_and_may_have_another(
    acme: Admin, provision: Provision, runtime: Runtime, public_jwk: dict[str, Any]
) -> None:
    post = {"principal_id": provision("acme", "agent"), "token_endpoint_auth_method": "client_secret_post"}
    made = acme.post("/clients", post)
    assert made["token_endpoint_auth_method"] == "client_secret_post"
    assert secret_is(runtime, "acme", made["client_id"], made["client_secret"])
    assert acme.get(f"/clients/{made['client_id']}")["token_endpoint_auth_method"] == "client_secret_post"
    assert [one["token_endpoint_auth_method"] for one in acme.get("/clients")["items"]] == ["client_secret_post"]
    again = acme.post(f"/clients/{made['client_id']}/secret", {})
    assert again["token_endpoint_auth_method"] == "client_secret_post"
    assert secret_is(runtime, "acme", made["client_id"], again["client_secret"])
    refused = acme.post("/clients", post | {"jwks": {"keys": [public_jwk]}}, 400)
    assert refused["errors"][0]["pointer"] == "/jwks"


def test_a_client_with_a_key_has_no_secret(acme: Admin, provision: Provision, public_jwk: dict[str, Any]) -> None:
    made = acme.post("/clients", keyed(provision("acme", "service_account"), public_jwk))
    assert "client_secret" not in made
    assert made["jwks"] == {"keys": [public_jwk]}


def test_a_resource_servers_client_only_introspects(acme: Admin, rival: Admin, resource: str) -> None:
    made = acme.post("/clients", {"audience": resource, "token_endpoint_auth_method": BASIC})
    assert (made["grant_types"], made["scope"], made["principal_id"]) == ([], "", None)
    refused = acme.post("/clients", {"audience": resource, "grant_types": [EXCHANGE]}, 400)
    assert refused["errors"][0]["pointer"] == "/grant_types"
    assert rival.post("/clients", {"audience": resource}, 400)["code"] == "unknown_resource"


def ed25519(encoded: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()}


WEAK: dict[str, dict[str, Any]] = {
    "Ed25519 of small order": ed25519(bytes(32)),
    "Ed25519 not canonical": ed25519(b"\xee" + b"\xff" * 30 + b"\x7f"),
    "RSA exponent 3": RSAKey.generate_key(2048).as_dict(private=False) | {"e": "Aw"},
    "RSA even modulus": RSAKey.generate_key(2048).as_dict(private=False) | {"n": "_" * 341 + "A"},
}


@pytest.mark.parametrize("jwk", WEAK.values(), ids=WEAK.keys())
def test_a_weak_key_is_refused_beside_a_good_one_too(acme: Admin, provision: Provision, jwk: dict[str, Any]) -> None:
    good = ECKey.generate_key("P-256").as_dict(private=False)
    asked = keyed(provision("acme", "agent"), good)
    asked["jwks"]["keys"].append(jwk)
    problem = acme.post("/clients", asked, 400)
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("unusable_jwks", "/jwks/keys/1")


def weak_and_foreign_keys() -> list[Any]:
    with warnings.catch_warnings(action="ignore"):  # the library warns of what this row is about
        small = RSAKey.generate_key(1024).as_dict(private=False)
    private = ECKey.generate_key("P-256").as_dict(private=True)
    return [
        pytest.param(private, "private_key_sent", id="a private EC key"),
        pytest.param(OKPKey.generate_key("Ed25519").as_dict(private=True), "private_key_sent", id="a private OKP key"),
        pytest.param(OctKey.generate_key(256).as_dict(private=True), "private_key_sent", id="a shared secret"),
        pytest.param(small, "unusable_jwks", id="RSA of 1024 bits"),
        pytest.param(ECKey.generate_key("secp256k1").as_dict(private=False), "unusable_jwks", id="another curve"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "unusable_jwks", id="no point of the curve"),
        pytest.param({"kty": "EC", "kid": "1"}, "unusable_jwks", id="members missing"),
        pytest.param({"kty": "XX"}, "unusable_jwks", id="unknown type"),
        pytest.param({"kty": {"a": 1}}, "unusable_jwks", id="a type that is no text"),
        pytest.param(
            {**ECKey.generate_key("P-256").as_dict(private=False), "use": "enc"}, "unusable_jwks", id="for encryption"
        ),
        pytest.param("key", "invalid_value", id="no object"),
        *(pytest.param(jwk, "unusable_jwks", id=name) for name, jwk in WEAK.items()),
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("jwk", "code"), weak_and_foreign_keys())
def test_a_key_that_could_never_verify_is_refused_when_it_is_registered(
    acme: Admin, provision: Provision, jwk: Any, code: str
) -> None:
    assert acme.post("/clients", keyed(provision("acme", "agent"), jwk), 400)["code"] == code


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"principal_id": None}, "/principal_id"),
        ({"principal_id": NOBODY}, "/principal_id"),
        ({"principal_id": "dana"}, "/principal_id"),
        ({"audience": "https://erp.example"}, "/principal_id"),
        ({"token_endpoint_auth_method": "none"}, "/token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "/jwks"),
        ({"jwks": {"keys": []}}, "/jwks"),
        ({"jwks_uri": "https://bot.example/keys"}, "/jwks_uri"),
        ({"grant_types": ["password"]}, "/grant_types/0"),
        ({"grant_types": "client_credentials"}, "/grant_types"),
        ({"scope": "a a"}, "scope"),
        ({"scope": 'a"b'}, "scope"),
        ({"redirect_uris": ["https://bot.example"]}, "/redirect_uris"),
        ({"client_id": "mine"}, "/client_id"),
    ],
)
def test_client_metadata_with_one_fault_is_refused_for_it(
    acme: Admin, provision: Provision, resource: str, changed: dict[str, Any], pointer: str
) -> None:
    problem = acme.post("/clients", {"principal_id": provision("acme", "agent"), **changed}, 400)
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("kind", ["user", "group"])
def test_only_an_agent_or_a_service_account_has_a_client(acme: Admin, provision: Provision, kind: str) -> None:
    assert acme.post("/clients", {"principal_id": provision("acme", kind)}, 400)["code"] == "unknown_principal"


def test_a_client_is_of_an_active_principal_of_the_same_tenant(acme: Admin, rival: Admin, provision: Provision) -> None:
    bot = provision("acme", "agent")
    assert rival.post("/clients", {"principal_id": bot}, 400)["code"] == "unknown_principal"
    acme.post(f"/principals/{bot}/suspend", {}, 200)
    assert acme.post("/clients", {"principal_id": bot}, 409)["code"] == "principal_not_active"


@pytest.mark.promise(1)
def test_a_principal_has_at_most_fifty_live_clients(acme: Admin, provision: Provision) -> None:
    """All of them end with it, in one transaction."""
    bot = provision("acme", "agent")
    clients = [acme.post("/clients", {"principal_id": bot})["client_id"] for _ in range(CLIENTS_MAX)]
    assert acme.post("/clients", {"principal_id": bot}, 409)["code"] == "too_many_clients"
    acme.delete(f"/clients/{clients[0]}")
    acme.post("/clients", {"principal_id": bot})


def test_revoking_is_final_and_writes_a_cutoff(acme: Admin, rival: Admin, provision: Provision) -> None:
    client = acme.post("/clients", {"principal_id": provision("acme", "agent")})["client_id"]
    rival.delete(f"/clients/{client}", 404)
    for _ in range(2):
        acme.delete(f"/clients/{client}")
    [cutoff] = acme.get("/cutoffs")["items"]
    assert (cutoff["kind"], cutoff["key"], cutoff["reason"]) == ("client", client, "client_revoked")
    assert len(acme.events(type="client.revoked")) == 1
    assert acme.post(f"/clients/{client}/secret", {}, 409)["code"] == "client_revoked"
    assert rival.get("/cutoffs")["items"] == []


def test_a_rotated_secret_replaces_the_old_one_at_once(acme: Admin, provision: Provision, runtime: Runtime) -> None:
    made = acme.post("/clients", {"principal_id": provision("acme", "agent")})
    new = acme.post(f"/clients/{made['client_id']}/secret")
    assert new["version"] == 2
    assert secret_is(runtime, "acme", made["client_id"], new["client_secret"])
    assert not secret_is(runtime, "acme", made["client_id"], made["client_secret"])


def test_keys_are_added_and_removed_one_by_one_and_the_last_one_stays(
    acme: Admin, provision: Provision, public_jwk: dict[str, Any]
) -> None:
    client = acme.post("/clients", keyed(provision("acme", "agent"), public_jwk))["client_id"]
    second = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "second"}
    for _ in range(2):
        added = acme.post(f"/clients/{client}/keys", {"jwk": second})
    assert [key["kid"] for key in added["jwks"]["keys"]] == ["first", "second"]
    assert added["version"] == 2
    assert acme.post(f"/clients/{client}/keys", {"jwk": {**public_jwk, "kid": "second"}}, 409)["code"] == "kid_taken"
    acme.delete(f"/clients/{client}/keys/first")
    acme.delete(f"/clients/{client}/keys/first", 404)
    assert acme.delete(f"/clients/{client}/keys/second", 409)["code"] == "last_key"
    assert acme.post(f"/clients/{client}/secret", {}, 409)["code"] == "client_has_no_secret"


def test_clients_are_listed_for_one_principal(acme: Admin, rival: Admin, provision: Provision) -> None:
    one, other = provision("acme", "agent"), provision("acme", "agent")
    mine = [acme.post("/clients", {"principal_id": one})["client_id"] for _ in range(3)]
    acme.post("/clients", {"principal_id": other})
    first = acme.get(f"/clients?principal={one}&limit=2")
    rest = acme.get(f"/clients?principal={one}&limit=2&after={first['next_cursor']}")
    assert [client["client_id"] for client in first["items"] + rest["items"]] == mine
    assert rest["next_cursor"] is None
    assert rival.get(f"/clients?principal={one}")["items"] == []


@pytest.fixture
def service(acme: Admin, provision: Provision) -> str:
    """The agent that runs a resource server of acme."""
    bot = provision("acme", "agent", "ledger-bot")
    acme.post("/resources", {"audience": LEDGER, "principal_id": bot, "scopes": ["read"]})
    return bot


LEDGER = "https://ledger.example"


def test_a_service_that_is_an_agent_too_has_one_client(acme: Admin, service: str) -> None:
    made = acme.post("/clients", {"principal_id": service, "audience": LEDGER, "scope": "read"})
    assert (made["principal_id"], made["audience"]) == (service, LEDGER)
    assert made["grant_types"] == ["client_credentials", EXCHANGE]
    [event] = acme.events(type="client.registered")
    assert (event["subject_id"], event["detail"]["audience"]) == (service, LEDGER)


def test_only_the_principal_that_runs_a_resource_server_has_a_client_with_its_audience(
    acme: Admin, rival: Admin, provision: Provision, service: str, resource: str
) -> None:
    other = provision("acme", "agent")
    for principal, audience in ((other, LEDGER), (service, resource)):
        problem = acme.post("/clients", {"principal_id": principal, "audience": audience}, 400)
        assert (problem["code"], problem["errors"][0]["pointer"]) == ("not_run_by_principal", "/principal_id")
    assert rival.post("/clients", {"principal_id": service, "audience": LEDGER}, 400)["code"] == "unknown_principal"
    acme.post(f"/principals/{service}/suspend", {}, 200)
    refused = acme.post("/clients", {"principal_id": service, "audience": LEDGER}, 409)
    assert refused["code"] == "principal_not_active"


@pytest.mark.parametrize("of", ["principal_id", "audience", "both"])
def test_a_connections_client_is_of_nothing_else(acme: Admin, service: str, of: str) -> None:
    connection = acme.post("/connections", {"kind": "scim", "name": "directory"})["id"]
    parties = {"principal_id": service, "audience": LEDGER}
    more = parties if of == "both" else {of: parties[of]}
    problem = acme.post("/clients", {"connection_id": connection, **more}, 400)
    assert problem["errors"][0]["pointer"] == "/principal_id"
