"""Authlib's OAuth client, as an agent and as a resource server would use it."""

import time
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from tests.conformance.stage import ACCESS_TOKEN, ERP, EXCHANGE, ID_TOKEN, PAY, READ, Party, Registered

ASSERTION_LIFETIME_S = 60


@pytest.fixture
def metadata(acme: Party) -> dict[str, Any]:
    return fetch_metadata(acme.issuer)


def fetch_metadata(issuer: str) -> dict[str, Any]:
    """What an issuer says of itself (RFC 8414)."""
    with OAuth2Session() as session:
        answer = session.request("GET", f"{issuer}/.well-known/openid-configuration", withhold_token=True)
        found: dict[str, Any] = answer.json()
        return found


def session_of(client: Registered) -> OAuth2Session:
    if client.key is None:
        return OAuth2Session(client.client_id, client.secret, token_endpoint_auth_method="client_secret_basic")
    session = OAuth2Session(client.client_id, client.key, token_endpoint_auth_method="private_key_jwt")
    session.revocation_endpoint_auth_method = "private_key_jwt"
    return session


def signed(metadata: dict[str, Any]) -> PrivateKeyJWT:
    """How to sign one assertion: for the issuer (RFC 10070 §3), and for a minute, where Authlib would take an hour."""
    expiry = {"exp": int(time.time()) + ASSERTION_LIFETIME_S}
    header = {"typ": "client-authentication+jwt"}
    return PrivateKeyJWT(metadata["issuer"], claims=expiry, headers=header, alg="ES256")


def ask(client: Registered, metadata: dict[str, Any], **parameters: str) -> dict[str, Any]:
    with session_of(client) as session:
        session.register_client_auth_method(signed(metadata))
        found: dict[str, Any] = session.fetch_token(metadata["token_endpoint"], **parameters)
        return found


def exchange(acme: Party, metadata: dict[str, Any], **parameters: str) -> dict[str, Any]:
    """Trade Sam's ID token for a task token of invoice-bot."""
    subject = {"subject_token": acme.id_token("sam"), "subject_token_type": ID_TOKEN, "resource": ERP}
    return ask(acme.invoice_bot, metadata, grant_type=EXCHANGE, **(subject | parameters))


def introspect(client: Registered, metadata: dict[str, Any], token: str) -> dict[str, Any]:
    with session_of(client) as session:
        session.register_client_auth_method(signed(metadata))
        answer = session.introspect_token(metadata["introspection_endpoint"], token=token)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


def test_an_agent_gets_a_token_for_itself_with_its_key_or_its_secret(acme: Party, metadata: dict[str, Any]) -> None:
    for client in (acme.invoice_bot, acme.ocr_bot):
        issued = ask(client, metadata, grant_type="client_credentials", resource=ERP, scope=READ)
        assert (issued["token_type"], issued["scope"]) == ("Bearer", READ)
        assert introspect(acme.erp, metadata, issued["access_token"])["client_id"] == client.client_id


def test_a_task_token_is_traded_for_handed_on_looked_at_and_revoked(acme: Party, metadata: dict[str, Any]) -> None:
    task = exchange(acme, metadata, scope=READ)
    assert (task["issued_token_type"], task["expires_in"]) == (ACCESS_TOKEN, 120)

    subject = {"subject_token": task["access_token"], "subject_token_type": ACCESS_TOKEN}
    nested = ask(acme.ocr_bot, metadata, grant_type=EXCHANGE, resource=ERP, **subject)
    seen = introspect(acme.erp, metadata, nested["access_token"])
    assert seen["active"] is True
    assert seen["sub"] == acme.ids["sam"]
    assert (seen["act"]["sub"], seen["act"]["act"]["sub"]) == (acme.ids["ocr-bot"], acme.ids["invoice-bot"])

    with session_of(acme.invoice_bot) as session:
        session.register_client_auth_method(signed(metadata))
        assert session.revoke_token(metadata["revocation_endpoint"], token=task["access_token"]).status_code == 200
    assert introspect(acme.erp, metadata, nested["access_token"]) == {"active": False}


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": PAY}, "invalid_scope"),
        ({"resource": "https://crm.example"}, "invalid_target"),
        ({"subject_token": "no.token.atall"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_what_is_refused_is_the_error_that_authlib_raises(
    acme: Party, metadata: dict[str, Any], changed: dict[str, str], error: str
) -> None:
    right = {"grant_type": EXCHANGE, "subject_token": acme.id_token("sam"), "subject_token_type": ID_TOKEN}
    with pytest.raises(OAuthError) as refused:
        ask(acme.invoice_bot, metadata, **(right | {"resource": ERP} | changed))
    assert refused.value.error == error


def test_a_wrong_secret_and_the_rivals_client_are_both_an_invalid_client(
    acme: Party, rival: Party, metadata: dict[str, Any]
) -> None:
    for client in (Registered(acme.ocr_bot.client_id, secret="wrong"), rival.ocr_bot, rival.invoice_bot):
        with pytest.raises(OAuthError) as refused:
            ask(client, metadata, grant_type="client_credentials")
        assert refused.value.error == "invalid_client"


def test_a_token_of_acme_is_nothing_at_the_rival(acme: Party, rival: Party, metadata: dict[str, Any]) -> None:
    task = exchange(acme, metadata)
    elsewhere = {"issuer": rival.issuer, "introspection_endpoint": f"{rival.issuer}/oauth/introspect"}
    assert introspect(rival.erp, elsewhere, task["access_token"]) == {"active": False}
