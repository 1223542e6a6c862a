"""openid-client (npm), the client of the JavaScript world, as an agent and as a resource server would use it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.stage import ACCESS_TOKEN, ERP, EXCHANGE, ID_TOKEN, PAY, READ, Party, Registered

FOLDER = Path(__file__).parent / "node"

Ask = Callable[..., dict[str, Any]]


def _run(command: list[str], *, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=FOLDER, input=given, capture_output=True, text=True, timeout=30)


@pytest.fixture
def ask(node: str, acme: Party) -> Ask:
    """Ask one question as one client of acme; return the answer, or the error that openid-client throws."""

    def run(client: Registered, question: str, *, issuer: str = acme.issuer, **more: Any) -> dict[str, Any]:
        proof = {"secret": client.secret} if client.key is None else {"jwk": client.key.as_dict(private=True)}
        asked = {"issuer": issuer, "client_id": client.client_id, "ask": question} | proof | more
        done = _run([node, "ask.mjs"], given=json.dumps(asked))
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def exchange(ask: Ask, client: Registered, subject_token: str, subject_token_type: str, **more: str) -> dict[str, Any]:
    subject = {"subject_token": subject_token, "subject_token_type": subject_token_type, "resource": ERP}
    return ask(client, "grant", grant_type=EXCHANGE, parameters=subject | more)


@pytest.mark.parametrize("algorithm", ["oidc", "oauth2"])
def test_it_discovers_the_issuer_at_both_well_known_urls(ask: Ask, acme: Party, algorithm: str) -> None:
    found = ask(acme.erp, "metadata", algorithm=algorithm)["answer"]
    assert found["issuer"] == acme.issuer
    assert EXCHANGE in found["grant_types_supported"]


def test_an_agent_gets_a_token_for_itself_with_its_key_or_its_secret(ask: Ask, acme: Party) -> None:
    for client in (acme.invoice_bot, acme.ocr_bot):
        issued = ask(client, "clientCredentials", parameters={"resource": ERP, "scope": READ})["answer"]
        assert issued["scope"] == READ
        seen = ask(acme.erp, "introspection", token=issued["access_token"])["answer"]
        assert (seen["active"], seen["client_id"]) == (True, client.client_id)


def test_a_task_token_is_traded_for_handed_on_looked_at_and_revoked(ask: Ask, acme: Party) -> None:
    task = exchange(ask, acme.invoice_bot, acme.id_token("sam"), ID_TOKEN, scope=READ)["answer"]
    assert (task["issued_token_type"], task["expires_in"]) == (ACCESS_TOKEN, 120)

    nested = exchange(ask, acme.ocr_bot, task["access_token"], ACCESS_TOKEN)["answer"]
    seen = ask(acme.erp, "introspection", token=nested["access_token"])["answer"]
    assert seen["sub"] == acme.ids["sam"]
    assert (seen["act"]["sub"], seen["act"]["act"]["sub"]) == (acme.ids["ocr-bot"], acme.ids["invoice-bot"])

    assert ask(acme.invoice_bot, "revocation", token=task["access_token"]) == {"answer": None}
    assert ask(acme.erp, "introspection", token=nested["access_token"])["answer"] == {"active": False}


def test_what_is_refused_is_the_error_that_openid_client_throws(ask: Ask, acme: Party) -> None:
    refused = exchange(ask, acme.invoice_bot, acme.id_token("sam"), ID_TOKEN, scope=PAY)
    assert (refused["kind"], refused["error"], refused["status"]) == ("ResponseBodyError", "invalid_scope", 400)


def test_a_wrong_secret_and_the_rivals_client_are_challenged(ask: Ask, acme: Party, rival: Party) -> None:
    for client in (Registered(acme.ocr_bot.client_id, secret="wrong"), rival.ocr_bot):
        refused = ask(client, "clientCredentials", parameters={})
        assert (refused["kind"], refused["challenge"]) == ("WWWAuthenticateChallengeError", "basic")
    refused = ask(rival.invoice_bot, "clientCredentials", parameters={})  # by an assertion: nothing to challenge for
    assert (refused["kind"], refused["error"], refused["status"]) == ("ResponseBodyError", "invalid_client", 401)
