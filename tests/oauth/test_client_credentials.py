"""An agent or a service account as itself (RFC 6749 §4.4)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures import CRM, ERP, Tenant, TwoTenants, claims_in


@pytest.mark.rfc("9068", "2.2")
def test_an_agent_gets_a_token_that_names_nobody_but_itself(acme: Tenant) -> None:
    bot = acme.agent("ocr-bot")
    answer = acme.ask(bot, grant_type="client_credentials")
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 300, "invoices.read")
    assert "refresh_token" not in body
    claims = claims_in(body["access_token"])
    assert (claims["sub"], claims["client_id"], claims["sub_profile"]) == (str(bot.id), bot.client_id, "ai_agent")
    assert (claims["aud"], claims["iss"], claims["tenant"]) == (acme.issuer, acme.issuer, "acme")
    assert claims["exp"] - claims["iat"] == 300
    assert not claims.keys() & {"act", "txn", "client_profile"}


def test_a_token_for_a_resource_server_has_only_the_scopes_that_are_known_there(acme: Tenant) -> None:
    claims = claims_in(acme.own_token("ocr-bot", resource=CRM, scope="invoices.read"))
    assert (claims["aud"], claims["scope"]) == (CRM, "invoices.read")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "invoices.pay"}, "invalid_scope"),  # the client is not registered for it
        ({"scope": "invoices.read invoices.pay"}, "invalid_scope"),
        ({"scope": "invoices.read invoices.read"}, "invalid_scope"),
        ({"authorization_details": '[{"type":"invoice"}]'}, "invalid_authorization_details"),  # not left out in silence
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"scope": " "}, "invalid_scope"),
        ({"scope": "é"}, "invalid_scope"),
        ({"scope": " ".join(map(str, range(51)))}, "invalid_scope"),
        ({"scope": "A" * 50_000}, "invalid_scope"),
        ({"resource": "https://nobody.example"}, "invalid_target"),
        ({"resource": ERP + "/"}, "invalid_target"),
        ({"resource": ERP, "audience": CRM}, "invalid_target"),
        ({"resource": "https://identity.example/t/acme"}, "invalid_target"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"grant_type": "Client_Credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_error_of_its_standard(
    read_only: Tenant, form: dict[str, Any], error: str
) -> None:
    answer = read_only.ask(read_only.agent("ocr-bot"), **({"grant_type": "client_credentials"} | form))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert read_only.last_event().event.type == "oauth.refused"


def test_an_agent_outside_its_window_gets_nothing_and_its_token_ends_with_it(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    acme.sql(
        "UPDATE principals SET valid_from = :begin, valid_until = :end WHERE tenant_id = :tenant AND id = :id",
        begin=acme.now + timedelta(seconds=10),
        end=acme.now + timedelta(seconds=20.5),
        id=acme.agent("ocr-bot").id,
    )
    bot = acme.agent("ocr-bot")
    assert acme.ask(bot, grant_type="client_credentials").json()["error"] == "invalid_grant"
    two_tenants.clock.forward(10)
    token = acme.own_token("ocr-bot")
    assert claims_in(token)["exp"] - claims_in(token)["iat"] == 10
    assert acme.is_live(token, bot)
    two_tenants.clock.forward(10.5)
    assert not acme.is_live(token, bot)
    refused = acme.ask(bot, grant_type="client_credentials")
    assert refused.json()["error"] == "invalid_grant"
    assert acme.last_event().event.subject_id == bot.id
