"""The second service of the story through HTTP: what a token opens there, and what each refusal says."""

import json
from functools import partial
from typing import Any

import httpx2
import pytest
from flask.testing import FlaskClient
from identity_verifier import Introspector, Verifier
from local_issuer import AUDIENCE, ISSUER, NOW, RIVAL, LocalIssuer, chain_of, changed_claims

from dev.demo import resource_servers
from dev.demo.api import ServiceClient
from dev.demo.resource_servers import LEDGER

ACME = LocalIssuer()
RIVALS = LocalIssuer()
PUBLISHED = {f"{ISSUER}/jwks": ACME.key_set(), f"{RIVAL}/jwks": RIVALS.key_set()}
CLIENT_ID = "01a22d77-722c-7a7b-9867-ced25ee249fe"


@pytest.fixture
def ended() -> set[str]:
    """The tokens that the issuer says have ended."""
    return set()


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, ended: set[str]) -> FlaskClient:
    monkeypatch.setattr(resource_servers, "Verifier", partial(Verifier, fetch=fetch, clock=lambda: NOW))
    monkeypatch.setattr(Introspector, "is_active", lambda _, token: token not in ended)
    with httpx2.Client(trust_env=False) as http:
        return resource_servers.ledger(ServiceClient(http, ISSUER, CLIENT_ID, "secret")).test_client()


def fetch(url: str) -> bytes:
    return json.dumps(PUBLISHED[url]).encode()


def token(**changed: Any) -> str:
    facts = {"aud": LEDGER, "scope": "entries.read", "act": chain_of(2), "authorization_details": ...}
    return ACME.sign(changed_claims(**facts | changed))


def bearer(unverified_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {unverified_token}"}


def test_it_says_for_whom_and_by_whom_it_was_asked(ledger: FlaskClient) -> None:
    response = ledger.get("/entries/17", headers=bearer(token()))
    assert response.status_code == 200
    assert response.json == {
        "invoice": "17", "is_booked": True, "for": "2819c223-7f76", "by": ["agent-2", "agent-1"], "txn": "tsk_01",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({"aud": AUDIENCE}, 401, "audience"),  # the token that the first service received
        ({"aud": [LEDGER, AUDIENCE]}, 401, "audience"),
        ({"iss": RIVAL, "tenant": "rival"}, 401, "issuer"),
        ({"scope": "invoices.read"}, 403, "reading needs the scope entries.read"),
        ({"scope": ...}, 403, "reading needs the scope entries.read"),
    ],
)
def test_a_token_with_one_fault_is_refused_for_that_fault(
    ledger: FlaskClient, facts: dict[str, Any], status: int, reason: str
) -> None:
    response = ledger.get("/entries/17", headers=bearer(token(**facts)))
    assert response.json is not None
    assert (response.status_code, response.json["reason"]) == (status, reason)
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="ledger", error="in')


def test_a_token_that_was_ended_is_refused_before_it_expires(ledger: FlaskClient, ended: set[str]) -> None:
    unverified_token = token()
    assert ledger.get("/entries/17", headers=bearer(unverified_token)).status_code == 200
    ended.add(unverified_token)
    response = ledger.get("/entries/17", headers=bearer(unverified_token))
    assert (response.status_code, response.json) == (401, {"error": "invalid_token", "reason": "inactive"})


def test_no_token_opens_nothing(ledger: FlaskClient) -> None:
    response = ledger.get("/entries/17")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="ledger"'
