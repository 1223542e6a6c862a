"""What a tenant's issuer publishes (RFC 8414, OpenID Connect Discovery, RFC 7517)."""

from dataclasses import replace

import pytest

from identity.actions.signing_keys import rotate_keys
from identity.model.signing_key import JWKS_LIFETIME_S
from identity.oauth.discovery import metadata_of
from tests.fixtures import ADMINISTRATOR, Tenant, TwoTenants, claims_in

PLACES = (
    "/t/{slug}/.well-known/openid-configuration",
    "/.well-known/openid-configuration/t/{slug}",
    "/.well-known/oauth-authorization-server/t/{slug}",
    "/t/{slug}/.well-known/oauth-authorization-server",  # where RFC 8414 has none, and some clients look first
)
KEY_SETS = ("/t/{slug}/jwks", "/t/{slug}/.well-known/jwks.json")
METHODS = ["private_key_jwt", "client_secret_basic", "client_secret_post"]


@pytest.mark.rfc("8414", "3.1")
@pytest.mark.parametrize("place", PLACES)
def test_the_issuer_is_the_same_string_wherever_a_client_looks_for_it(two_tenants: TwoTenants, place: str) -> None:
    for tenant in (two_tenants.acme, two_tenants.rival):
        answer = two_tenants.http.get(place.format(slug=tenant.slug))
        assert answer.status_code == 200
        assert answer.json()["issuer"] == tenant.issuer == claims_in(tenant.task_token())["iss"]
        assert answer.content == two_tenants.http.get(PLACES[0].format(slug=tenant.slug)).content


@pytest.mark.rfc("8414", "2")
def test_every_endpoint_and_way_of_authenticating_is_published(acme: Tenant) -> None:
    found = acme.http.get(PLACES[0].format(slug="acme")).json()
    endpoints = {name: f"{acme.issuer}/oauth/{path}" for name, path in
                 (("token", "token"), ("introspection", "introspect"), ("revocation", "revoke"))}  # fmt: skip
    for name, url in endpoints.items():
        assert found[f"{name}_endpoint"] == url
        assert found[f"{name}_endpoint_auth_methods_supported"] == METHODS
    assert found["authorization_endpoint"] == f"{acme.issuer}/oauth/authorize"
    assert found["response_types_supported"] == ["none"]
    assert found["jwks_uri"] == f"{acme.issuer}/jwks"
    assert found["max_stale_seconds"] == 300


@pytest.mark.rfc("8414", "2")
def test_no_metadata_is_published_that_names_an_endpoint_without_tls(two_tenants: TwoTenants) -> None:
    assert two_tenants.http.get(PLACES[0].format(slug="acme")).status_code == 200
    runtime = two_tenants.runtime
    tenant = runtime.tenants.get("acme")
    assert tenant is not None
    assert metadata_of(tenant, replace(runtime, external_url="http://127.0.0.1:8080"))["issuer"].startswith("http:")
    with pytest.raises(ValueError, match="https"):
        metadata_of(tenant, replace(runtime, external_url="http://id.example"))


@pytest.mark.rfc("8414", "3.2")
@pytest.mark.parametrize("place", PLACES)
def test_no_member_is_an_empty_list(acme: Tenant, place: str) -> None:
    assert [] not in acme.http.get(place.format(slug="acme")).json().values()


@pytest.mark.rfc("9396", "10")
def test_no_empty_list_claims_that_authorization_details_are_not_understood(acme: Tenant) -> None:
    assert acme.http.get(PLACES[0].format(slug="acme")).json().get("authorization_details_types_supported") != []


@pytest.mark.parametrize("place", [*PLACES, *KEY_SETS])
@pytest.mark.parametrize("slug", ["nobody", "ACME", "acme.", "a" * 64, "acme%00", "%61cme%20", "é"])
def test_a_tenant_that_is_not_there_has_neither_metadata_nor_keys(
    two_tenants: TwoTenants, place: str, slug: str
) -> None:
    assert two_tenants.http.get(place.format(slug=slug)).status_code == 404


def test_both_places_hold_one_key_set(two_tenants: TwoTenants) -> None:
    for tenant in (two_tenants.acme, two_tenants.rival):
        first, second = (tenant.http.get(place.format(slug=tenant.slug)) for place in KEY_SETS)
        assert (second.status_code, second.content) == (200, first.content)
        assert second.headers["Cache-Control"] == first.headers["Cache-Control"]


def test_the_key_set_holds_public_keys_alone_and_may_be_kept(two_tenants: TwoTenants) -> None:
    sets = {}
    for tenant in (two_tenants.acme, two_tenants.rival):
        answer = two_tenants.http.get(f"/t/{tenant.slug}/jwks")
        assert answer.headers["Cache-Control"] == f"public, max-age={JWKS_LIFETIME_S}"
        [key] = answer.json()["keys"]
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}
        sets[tenant.slug] = key["x"]
    assert sets["acme"] != sets["rival"]


def test_a_new_key_is_published_at_once_and_signs_only_when_every_copy_of_the_set_has_it(
    two_tenants: TwoTenants,
) -> None:
    acme = two_tenants.acme
    [first] = kids(acme)
    before = acme.task_token()
    with acme.tx() as tx:
        second = rotate_keys(tx, encryption=two_tenants.runtime.encryption, caller=ADMINISTRATOR, now=acme.now).kid
    assert kids(acme) == [first, second]
    assert signer(acme.task_token()) == first

    two_tenants.clock.forward(JWKS_LIFETIME_S - 1)
    late = acme.task_token()
    assert signer(late) == first
    assert not acme.is_live(before)  # it expired; its key did not

    two_tenants.clock.forward(1)
    assert signer(acme.task_token()) == second
    assert acme.is_live(late), "no live token is refused for a rotation"

    two_tenants.clock.forward(600)
    assert kids(acme) == [first, second], "a verifier that fetched the set just before may still hold a live token"
    two_tenants.clock.forward(60)
    assert kids(acme) == [second]
    assert kids(two_tenants.rival) != [second], "the other tenant's keys have nothing to do with it"


def kids(tenant: Tenant) -> list[str]:
    return [key["kid"] for key in tenant.http.get(f"/t/{tenant.slug}/jwks").json()["keys"]]


def signer(token: str) -> str:
    from joserfc.jws import extract_compact

    return str(extract_compact(token.encode()).headers()["kid"])
