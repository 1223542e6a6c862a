"""A source that knows nothing but the URL of the SCIM endpoint and its own key: Authlib gets the token, and Authlib's
session or scim2-client provisions with it."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import SearchRequest

from tests.conformance.stage import ERP, Party, Registered

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def issuer_for(scim_url: str) -> dict[str, Any]:
    """Follow the challenge of the endpoint to its metadata, and from there to those of its issuer (RFC 9728 §5)."""
    with httpx2.Client(trust_env=False, timeout=20) as http:
        challenge = http.get(f"{scim_url}/Users").headers["WWW-Authenticate"]
        [metadata_url] = re.findall(r'resource_metadata="([^"]+)"', challenge)
        resource = http.get(metadata_url).json()
        assert resource["resource"] == scim_url  # RFC 9728 §3.3: else it could be another's
        [issuer] = resource["authorization_servers"]
        head, _, path = issuer.partition("/t/")
        metadata: dict[str, Any] = http.get(f"{head}/.well-known/oauth-authorization-server/t/{path}").json()
        assert metadata["issuer"] == issuer
        assert scim_url in metadata["protected_resources"]
        return metadata


def session_of(client: Registered, metadata: dict[str, Any]) -> OAuth2Session:
    session = OAuth2Session(client.client_id, client.key, token_endpoint_auth_method="private_key_jwt", scope="scim")
    expiry, header = {"exp": int(time.time()) + 60}, {"typ": "client-authentication+jwt"}
    session.register_client_auth_method(PrivateKeyJWT(metadata["issuer"], claims=expiry, headers=header, alg="ES256"))
    return session


@pytest.fixture
def session(acme: Party) -> Iterator[OAuth2Session]:
    """Authlib's session of acme's source, with its token."""
    metadata = issuer_for(acme.scim.base_url)
    with session_of(acme.people, metadata) as session:
        endpoint = metadata["token_endpoint"]
        session.fetch_token(endpoint, grant_type="client_credentials", resource=acme.scim.base_url)
        yield session


@pytest.mark.rfc("9728", "5")
def test_authlib_finds_the_issuer_gets_a_token_and_provisions_a_user(session: OAuth2Session, acme: Party) -> None:
    assert session.token["scope"] == "scim"
    user = {"schemas": [USER], "userName": "by-oauth@example.com", "active": True}
    made = session.post(f"{acme.scim.base_url}/Users", json=user)
    assert made.status_code == 201, made.text
    url = f"{acme.scim.base_url}/Users/{made.json()['id']}"
    assert session.get(url).json()["userName"] == "by-oauth@example.com"
    assert acme.scim.call("DELETE", f"/Users/{made.json()['id']}").status == 204  # the token beside it: one connection
    assert session.get(url).status_code == 404


def test_scim2_client_provisions_with_that_token(session: OAuth2Session, acme: Party) -> None:
    headers = {"Authorization": f"Bearer {session.token['access_token']}"}
    with httpx2.Client(base_url=acme.scim.base_url, headers=headers, trust_env=False, timeout=20) as http:
        scim = SyncSCIMClient(http)
        scim.discover()
        assert scim.provider.config is not None
        assert {scheme.type for scheme in scim.provider.config.authentication_schemes} == {"oauthbearertoken", "oauth2"}
        user_model = scim.get_resource_model("User")
        made = scim.create(user_model(user_name="by-oauth-2@example.com"))
        found = scim.query(user_model, query_parameters=SearchRequest(filter='userName eq "by-oauth-2@example.com"'))
        assert [each.id for each in found.resources] == [made.id]
        scim.delete(user_model, made.id)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "scim admin"}, "invalid_scope"),
        ({"resource": ERP}, "invalid_target"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}, "invalid_request"),
    ],
)
def test_what_it_may_not_have_is_the_error_that_authlib_raises(
    acme: Party, changed: dict[str, str], error: str
) -> None:
    metadata = issuer_for(acme.scim.base_url)
    with session_of(acme.people, metadata) as session, pytest.raises(OAuthError) as refused:
        session.fetch_token(metadata["token_endpoint"], **({"grant_type": "client_credentials"} | changed))
    assert refused.value.error == error


def test_its_token_is_nothing_at_the_rivals_endpoint(session: OAuth2Session, rival: Party) -> None:
    refused = session.get(f"{rival.scim.base_url}/Users")
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
