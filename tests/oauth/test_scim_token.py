"""A client of a connection: the token that it gets, and all that this token is not (RFC 6749 §4.4, RFC 9068)."""

from typing import Any

import pytest

from identity.actions.connections import end_connection
from tests.fixtures import ADMINISTRATOR, ERP, EXCHANGE, TYPE, Tenant, TwoTenants, claims_in
from tests.oauth.provisioners import provisioner


@pytest.mark.rfc("9068", "2.2")
@pytest.mark.parametrize("signs", [True, False])
def test_it_gets_a_token_for_the_scim_endpoint_that_is_for_no_principal(acme: Tenant, signs: bool) -> None:
    source = provisioner(acme, signs=signs)
    for form in ({}, {"scope": "scim"}, {"resource": source.resource}, {"audience": source.resource}):
        answer = acme.ask(source.client, grant_type="client_credentials", **form).json()
        assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 300, "scim")
        claims = claims_in(answer["access_token"])
        assert (claims["sub"], claims["client_id"]) == (source.client.client_id, source.client.client_id)
        assert (claims["aud"], claims["iss"], claims["tenant"]) == (source.resource, acme.issuer, "acme")
        assert not claims.keys() & {"act", "txn", "sub_profile", "client_profile"}
    issued = acme.last_event()
    assert (issued.event.type, issued.event.subject_id) == ("token.issued", None)
    assert (issued.event.detail["client_id"], issued.caller_id) == (source.client.client_id, source.client.client_id)


@pytest.mark.rfc("8707", "2")
@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "invoices.read"}, "invalid_scope"),
        ({"scope": "scim invoices.read"}, "invalid_scope"),
        ({"scope": "SCIM"}, "invalid_scope"),
        ({"resource": ERP}, "invalid_target"),
        ({"resource": "https://identity.example/t/acme"}, "invalid_target"),
        ({"resource": "https://identity.example/t/rival/scim/v2"}, "invalid_target"),
        ({"resource": "https://identity.example/t/acme/scim/v2/"}, "invalid_target"),
        ({"resource": "https://identity.example/t/acme/scim/v2/Users"}, "invalid_target"),
    ],
)
def test_it_gets_nothing_else(acme: Tenant, form: dict[str, Any], error: str) -> None:
    answer = acme.ask(provisioner(acme).client, **({"grant_type": "client_credentials"} | form))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_it_may_not_exchange_whatever_it_presents(acme: Tenant) -> None:
    source = provisioner(acme)
    for subject in (source.token(), acme.task_token(), acme.own_token("ocr-bot")):
        answer = acme.exchange(source.client, subject)
        assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert acme.exchange(source.client).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize("asker", ["invoice-bot", "ocr-bot"])
def test_nobody_trades_its_token_for_another_or_proves_an_actor_by_it(acme: Tenant, asker: str) -> None:
    token = provisioner(acme).token()
    subject = acme.exchange(asker, token)
    assert (subject.status_code, subject.json()["error"]) == (400, "invalid_request")
    actor = acme.exchange(asker, actor_token=token, actor_token_type=f"{TYPE}access_token")
    assert (actor.status_code, actor.json()["error"]) == (400, "invalid_request")


def test_no_agent_gets_a_token_for_the_scim_endpoint(acme: Tenant) -> None:
    endpoint = provisioner(acme).resource
    own = acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials", resource=endpoint)
    assert own.json()["error"] == "invalid_target"
    for traded in (acme.exchange("invoice-bot", resource=endpoint), acme.exchange("ocr-bot", acme.task_token(),
                                                                                 resource=endpoint)):  # fmt: skip
        assert (traded.status_code, traded.json()["error"]) == (400, "invalid_target")


@pytest.mark.rfc("7662", "2.2")
def test_it_alone_may_look_at_its_token_and_revoke_it(acme: Tenant) -> None:
    source, other = provisioner(acme), provisioner(acme, name="others")
    token = source.token()
    assert acme.introspect(token, source.client)["aud"] == source.resource
    for stranger in (other.client, acme.seeded.erp, acme.agent("ocr-bot")):
        assert acme.introspect(token, stranger) == {"active": False}
    assert acme.post("revoke", other.client, token=token).status_code == 400
    assert acme.is_live(token, source.client)
    assert acme.post("revoke", source.client, token=token).status_code == 200
    assert not acme.is_live(token, source.client)


def test_an_assertion_serves_once(acme: Tenant) -> None:
    source = provisioner(acme)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": source.client.assertion(acme.issuer, acme.now),
    }
    assert [acme.ask(None, **form).status_code for _ in range(2)] == [200, 401]


def test_when_its_connection_ends_it_ends_with_it(acme: Tenant) -> None:
    source, other = provisioner(acme), provisioner(acme, name="others")
    kept = other.token()
    with acme.tx() as tx:
        end_connection(tx, source.connection_id, caller=ADMINISTRATOR, now=acme.now)
    refused = acme.ask(source.client, grant_type="client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert other.ask(kept).status_code == 200
    assert other.ask(other.token()).status_code == 200


def test_a_twin_of_the_other_tenant_proves_nothing_here(two_tenants: TwoTenants) -> None:
    mine, rivals = provisioner(two_tenants.acme), provisioner(two_tenants.rival)
    assert mine.tenant.ask(rivals.client, grant_type="client_credentials").status_code == 401
    assert two_tenants.acme.exchange("invoice-bot", rivals.token()).status_code == 400
    assert EXCHANGE not in mine.tenant.http.get("/.well-known/oauth-protected-resource/t/acme/scim/v2").text
