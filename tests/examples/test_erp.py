"""The example service through HTTP: what a token opens, and what each refusal says."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import cedarpy
import pytest
from flask.testing import FlaskClient
from identity_verifier import FetchError, Introspector
from local_issuer import ACTOR, AUDIENCE, ISSUER, NOW, RIVAL, LocalIssuer, chain_of, changed_claims

from examples.erp import policy
from examples.erp.erp import create_app
from tests.house.sources import ROOT

ACME = LocalIssuer()
RIVALS = LocalIssuer()
PUBLISHED = {f"{ISSUER}/jwks": ACME.key_set(), f"{RIVAL}/jwks": RIVALS.key_set()}


def fetch(url: str) -> bytes:
    return json.dumps(PUBLISHED[url]).encode()


def erp(issuer: str = ISSUER, **options: Any) -> FlaskClient:
    return create_app(issuer, AUDIENCE, **{"fetch": fetch, "clock": lambda: NOW, **options}).test_client()


def token(scope: str = "invoices.read", signer: LocalIssuer = ACME, **changed: Any) -> str:
    facts = {"act": chain_of(1), "authorization_details": ..., "scope": scope, **changed}
    return signer.sign(changed_claims(**facts))


def bearer(unverified_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {unverified_token}"}


def test_an_agent_reads_an_invoice_for_its_person():
    response = erp().get("/invoices/17", headers=bearer(token()))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["amount_usd"] == 420
    assert (response.json["for"], response.json["by"], response.json["txn"]) == ("2819c223-7f76", ["agent-1"], "tsk_01")


def test_reading_may_be_handed_on_and_the_whole_chain_is_recorded():
    response = erp().get("/invoices/17", headers=bearer(token(act=chain_of(2))))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["by"] == ["agent-2", "agent-1"]


def test_an_agent_with_the_scope_pays_an_invoice():
    response = erp().post("/invoices/17/pay", headers=bearer(token("invoices.pay")))
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["paid"] is True


@pytest.mark.parametrize(
    ("facts", "error", "reason"),
    [
        ({"scope": "invoices.read"}, "insufficient_scope", "paying needs the scope invoices.pay"),
        ({"act": chain_of(2)}, "denied_by_policy", "paying is not handed on from agent to agent"),
        ({"act": ...}, "denied_by_policy", "no policy permits this"),
        ({"act": {**ACTOR, "sub_profile": "service"}}, "denied_by_policy", "no policy permits this"),
        ({"act": {"sub": "a", "iss": ISSUER}}, "denied_by_policy", "no policy permits this"),
        ({"sub_profile": "ai_agent"}, "denied_by_policy", "no policy permits this"),
        ({"sub_profile": ...}, "denied_by_policy", "no policy permits this"),
    ],
)
def test_paying_is_refused_for_one_named_reason(facts, error, reason):
    response = erp().post("/invoices/17/pay", headers=bearer(token(**{"scope": "invoices.pay", **facts})))
    assert response.status_code == 403
    assert response.json == {"error": error, "reason": reason}


def test_a_missing_scope_is_named_in_the_challenge():
    response = erp().post("/invoices/17/pay", headers=bearer(token("invoices.read")))
    assert response.headers["WWW-Authenticate"] == (
        'Bearer realm="erp", error="insufficient_scope", scope="invoices.pay"'
    )


ENTRY = {"type": "task_resource_access", "resource": AUDIENCE, "actions": ["invoices.read"]}


@pytest.mark.parametrize(
    ("details", "status"),
    [
        (..., 200),
        ([ENTRY], 200),
        ([{**ENTRY, "constraints": {"max_amount_usd": 420}, "delegation": {"max_depth": 2}}], 200),
        ([{**ENTRY, "actions": ["invoices.pay"]}, ENTRY], 200),
        ([{**ENTRY, "constraints": {"max_amount_usd": 419}}], 403),
        ([{**ENTRY, "constraints": {"max_amount_usd": True}}], 403),
        ([{**ENTRY, "constraints": {"max_amount_usd": "500"}}], 403),
        ([{**ENTRY, "constraints": {"weekdays": ["mon"]}}], 403),  # not understood, so not met
        ([{**ENTRY, "constraints": None}], 403),
        ([{**ENTRY, "locations": ["eu"]}], 403),
        ([{**ENTRY, "resource": "https://hr.example"}], 403),
        ([{**ENTRY, "actions": ["invoices.pay"]}], 403),
        ([{**ENTRY, "actions": 5}], 403),
        ([{**ENTRY, "actions": "invoices.read"}], 403),
        ([{"type": "payment_initiation"}], 403),
        ([{**ENTRY, "type": "payment_initiation"}, {**ENTRY, "actions": ["invoices.pay"]}], 403),
    ],
)
def test_authorization_details_narrow_what_the_scope_opens(details, status):
    response = erp().get("/invoices/17", headers=bearer(token(authorization_details=details)))
    assert response.status_code == status
    if status == 403:
        assert response.json is not None
        assert response.json["reason"] == "the authorization details do not reach this invoice"


def test_an_empty_list_of_authorization_details_is_refused_and_not_read_as_no_limit():
    response = erp().get("/invoices/17", headers=bearer(token(authorization_details=[])))
    assert (response.status_code, response.json) == (401, {"error": "invalid_token", "reason": "authorization_details"})


@pytest.mark.parametrize(
    ("details", "status"),
    [
        ([ENTRY], 200),
        ([{**ENTRY, "constraints": {"max_amount_usd": 419}}], 403),
        ([{**ENTRY, "actions": ["invoices.pay"]}], 403),
        ([{"type": "payment_initiation"}], 403),
        (..., 403),
    ],
)
def test_authorization_details_without_a_scope_stand_alone(details, status):
    response = erp().get("/invoices/17", headers=bearer(token(scope=..., authorization_details=details)))
    assert response.status_code == status


def test_a_rival_tenants_token_is_refused_at_each_lock():
    rivals = {"iss": RIVAL, "tenant": "rival"}
    for unverified_token, rule in (
        (token(signer=RIVALS, **rivals), "issuer"),
        (token(signer=RIVALS), "signature"),
        (token(**rivals), "issuer"),
        (token(tenant="rival"), "tenant"),
    ):
        response = erp().get("/invoices/17", headers=bearer(unverified_token))
        assert (response.status_code, response.json) == (401, {"error": "invalid_token", "reason": rule})
    at_home = erp(RIVAL).get("/invoices/17", headers=bearer(token(signer=RIVALS, **rivals)))
    assert at_home.status_code == 200


@pytest.mark.parametrize(
    ("unverified_token", "rule"),
    [
        (token(aud="https://hr.example"), "audience"),
        (token(exp=int(NOW.timestamp()) - 31, iat=int(NOW.timestamp()) - 100), "expired"),
        (token(act=chain_of(5)), "depth"),
        ("rubbish", "shape"),
        ("é", "shape"),
        ("a" * 20_000, "size"),
    ],
)
def test_a_bad_token_is_a_401_that_names_the_rule(unverified_token, rule):
    response = erp().get("/invoices/17", headers=bearer(unverified_token))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="erp", error="invalid_token", error_description="{rule}"'
    )


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}])
def test_without_a_token_the_challenge_names_no_error(headers):
    response = erp().get("/invoices/17", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="erp"'


def test_a_token_in_the_address_is_not_looked_at():
    assert erp().get(f"/invoices/17?access_token={token()}").status_code == 401


def test_an_unknown_invoice_is_a_404_only_for_who_may_come_in():
    assert erp().get("/invoices/99").status_code == 401
    assert erp().get("/invoices/99", headers=bearer(token())).status_code == 404


def introspector_by(fetch: Callable[..., bytes]) -> Introspector:
    return Introspector(f"{ISSUER}/oauth/introspect", "019b0f6e-1111-7000-8000-000000000001", "secret", fetch=fetch)


def introspector(answer: Callable[[], bytes]) -> Introspector:
    return introspector_by(lambda *_: answer())


def test_a_live_token_is_refused_the_moment_its_person_is_deprovisioned():
    state = {"active": True}
    client = erp(introspector=introspector(lambda: json.dumps(state).encode()))
    same_token = bearer(token())
    assert client.get("/invoices/17", headers=same_token).status_code == 200
    state["active"] = False
    response = client.get("/invoices/17", headers=same_token)
    assert (response.status_code, response.json) == (401, {"error": "invalid_token", "reason": "inactive"})


def test_a_token_that_does_not_verify_never_reaches_the_issuer():
    asked: list[None] = []

    def answer() -> bytes:
        asked.append(None)
        return b'{"active":true}'

    client = erp(introspector=introspector(answer))
    assert client.get("/invoices/17", headers=bearer(token(aud="https://hr.example"))).status_code == 401
    assert not asked


def test_when_the_issuer_cannot_be_asked_nothing_is_opened():
    def unreachable(*_: Any) -> bytes:
        raise FetchError("ConnectError")

    for client, rule in (
        (erp(introspector=introspector(unreachable)), "introspection_unavailable"),
        (erp(fetch=unreachable), "keys_unavailable"),
    ):
        response = client.get("/invoices/17", headers=bearer(token()))
        assert response.status_code == 503
        assert response.json == {"error": "temporarily_unavailable", "reason": rule}
        assert response.headers["Retry-After"] == "10"


@pytest.mark.parametrize(
    ("status", "issuers", "introspections"),
    [(404, "not_found", "not_found"), (401, "refused", "client_refused"), (302, "redirected", "redirected")],
)
def test_a_wrong_configuration_is_a_500_and_is_logged(caplog, status, issuers, introspections):
    def wrong(*_: Any) -> bytes:
        raise FetchError(f"status {status}", status=status)

    for client, code in ((erp(fetch=wrong), issuers), (erp(introspector=introspector_by(wrong)), introspections)):
        response = client.get("/invoices/17", headers=bearer(token()))
        assert (response.status_code, response.json) == (500, {"error": "misconfigured", "reason": code})
        assert f"the service is set up wrongly: {code}" in caplog.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--issuer", f"{ISSUER}/"], "ends with a slash"),
        (["--issuer", "http://id.example/t/acme"], "must be https"),
        (["--issuer", ISSUER, "--audience", ""], "audience must be"),
        (["--issuer", ISSUER, "--client-id", "erp"], "client_secret must be given"),
    ],
)
def test_the_program_says_in_one_line_what_is_set_up_wrongly(words, said):
    command = [sys.executable, "-m", "examples.erp", "--port", "1", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, said in ended.stderr, ended.stderr.count("\n")) == (1, True, 1), ended.stderr


def test_a_policy_that_asks_for_what_no_request_carries_stops_the_start(monkeypatch):
    monkeypatch.setattr(policy, "POLICY_TEXT", "permit (principal, action, resource) when { context.mood };")
    with pytest.raises(ValueError, match="mood"):
        erp()


def test_a_policy_that_cannot_be_evaluated_refuses(monkeypatch):
    broken = "forbid (principal, action, resource) when { context.depth + 9223372036854775807 > 0 };"
    monkeypatch.setattr(policy, "POLICIES", cedarpy.PolicySet.from_str(policy.POLICY_TEXT + broken))
    response = erp().get("/invoices/17", headers=bearer(token()))
    assert response.status_code == 403
    assert response.json == {"error": "denied_by_policy", "reason": "a policy could not be evaluated"}


def test_the_clock_is_the_real_one_unless_told_otherwise():
    issued_at = int(datetime.now(UTC).timestamp())
    fresh = token(iat=issued_at, exp=issued_at + 120)
    client = create_app(ISSUER, AUDIENCE, fetch=fetch).test_client()
    assert client.get("/invoices/17", headers=bearer(fresh)).status_code == 200
