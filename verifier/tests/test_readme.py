"""Every example of the README, run as it stands against an issuer; only its host is another one."""

import asyncio
import json
import re
from pathlib import Path
from time import time
from typing import Any

import httpx2
import pytest
from identity_verifier import Misconfiguration, Rule, VerificationError
from local_issuer import LocalIssuer, changed_claims
from loopback import Answer, LoopbackServer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python[^\n]*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
HOST = "https://id.example"
SIGNERS = {"acme": LocalIssuer("of-acme"), "rival": LocalIssuer("of-rival")}
DETAILS = [{"type": "invoice", "actions": ["invoices.pay"], "constraints": {"max_amount": 500}}]


class Stage:
    """An issuer with two tenants, and the README's examples pointed at it."""

    def __init__(self, server: LoopbackServer) -> None:
        self.server = server
        server.answer = Answer(b"", 404)
        for tenant, signer in SIGNERS.items():
            server.paths[f"/t/{tenant}/jwks"] = Answer(json.dumps(signer.key_set()).encode())
        self.says_active(True)

    def says_active(self, is_active: bool) -> None:
        self.server.paths["/t/acme/oauth/introspect"] = Answer(json.dumps({"active": is_active}).encode())

    def token(self, tenant: str = "acme", **changed: Any) -> str:
        now = int(time())
        claims = {"iss": f"{self.server.url}/t/{tenant}", "tenant": tenant, "iat": now, "exp": now + 120, **changed}
        return SIGNERS[tenant].sign(changed_claims(**claims))

    def run(self, words: str) -> dict[str, Any]:
        """Run the one example that has these words in it; return its names."""
        [example] = [example for example in EXAMPLES if words in example]
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(example.replace(HOST, self.server.url), words, "exec", dont_inherit=True), names)
        return names


@pytest.fixture
def stage(server: LoopbackServer) -> Stage:
    return Stage(server)


WORDS = {
    "print(claims.subject, claims.actor": "test_a_token_is_verified",
    "def answer_to": "test_each_error_has_its_answer",
    "def may_pay": "test_scopes_and_details_are_read_together",
    "def pay(": "test_the_issuer_is_asked_before_what_cannot_be_undone",
    "async def claims_of": "test_a_coroutine_verifies_in_a_thread",
    "app = FastAPI()": "test_fastapi_runs_the_dependency",
    "VERIFIERS = ": "test_several_tenants_have_a_verifier_each",
}


def test_every_example_is_run_by_a_test_here():
    assert sorted(words for example in EXAMPLES for words in WORDS if words in example) == sorted(WORDS)
    assert len(EXAMPLES) == len(WORDS)
    assert all(f"def {name}" in Path(__file__).read_text(encoding="utf-8") for name in WORDS.values())


def test_a_token_is_verified(stage, monkeypatch, capsys):
    monkeypatch.setenv("TOKEN", stage.token())
    stage.run("print(claims.subject, claims.actor")
    assert capsys.readouterr().out.startswith("2819c223-7f76 Actor(subject='agent-7'")


def test_each_error_has_its_answer(stage, capsys):
    answer_to = stage.run("def answer_to")["answer_to"]
    assert answer_to(None) == (401, "a bearer token is needed")
    assert answer_to(stage.token(aud="https://hr.example")) == (401, "audience")
    assert answer_to(stage.token()) == (200, "2819c223-7f76")
    stage.server.paths["/t/acme/jwks"] = Answer(b"", 503)
    assert stage.run("def answer_to")["answer_to"](stage.token()) == (503, "keys_unavailable")
    del stage.server.paths["/t/acme/jwks"]
    assert stage.run("def answer_to")["answer_to"](stage.token()) == (500, "not_found")
    assert "check the host" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scope", "details", "may"),
    [
        ("invoices.pay", ..., True),
        ("invoices.read", ..., False),
        ("invoices.pay", DETAILS, True),
        ("invoices.pay", [{**DETAILS[0], "constraints": {"max_amount": 499}}], False),
        ("invoices.pay", [{**DETAILS[0], "constraints": {"weekday": "monday"}}], False),
        ("invoices.pay", [{**DETAILS[0], "locations": ["here"]}], False),
    ],
)
def test_scopes_and_details_are_read_together(stage, scope, details, may):
    claims = stage.run("VERIFIERS = ")["claims_in"]("acme", stage.token(scope=scope, authorization_details=details))
    assert stage.run("def may_pay")["may_pay"](claims, 500) is may


def test_the_issuer_is_asked_before_what_cannot_be_undone(stage, monkeypatch):
    monkeypatch.setenv("CLIENT_ID", "019b0f6e-1111-7000-8000-000000000001")
    monkeypatch.setenv("CLIENT_SECRET", "secret")
    pay = stage.run("def pay(")["pay"]
    assert pay(stage.token()) == "paid for 2819c223-7f76"
    stage.says_active(False)
    with pytest.raises(PermissionError):
        pay(stage.token())


def test_a_coroutine_verifies_in_a_thread(stage):
    claims_of = stage.run("async def claims_of")["claims_of"]

    async def both() -> list[Any]:
        return await asyncio.gather(claims_of(stage.token()), claims_of(stage.token()))

    assert [claims.tenant for claims in asyncio.run(both())] == ["acme", "acme"]


def test_fastapi_runs_the_dependency(stage):
    app = stage.run("app = FastAPI()")["app"]

    def ask(**headers: str) -> httpx2.Response:
        async def one() -> httpx2.Response:
            transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="http://erp.example") as http:
                return await http.get("/invoices/17", headers=headers)

        return asyncio.run(one())

    without = ask()
    assert (without.status_code, without.headers["WWW-Authenticate"]) == (401, "Bearer")
    foreign = ask(Authorization=f"Bearer {stage.token(aud='https://hr.example')}")
    assert (foreign.status_code, foreign.json()["detail"]) == (401, "audience")
    assert foreign.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    good = ask(Authorization=f"Bearer {stage.token()}")
    assert (good.status_code, good.json()) == (200, {"invoice": "17", "for": "2819c223-7f76"})


@pytest.mark.parametrize(("status", "answer"), [(503, 503), (404, 500)])
def test_fastapi_tells_an_outage_from_a_wrong_configuration(stage, status, answer):
    stage.server.paths["/t/acme/jwks"] = Answer(b"", status)
    app = stage.run("app = FastAPI()")["app"]

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://erp.example") as http:
            return await http.get("/invoices/17", headers={"Authorization": f"Bearer {stage.token()}"})

    assert asyncio.run(ask()).status_code == answer


def test_several_tenants_have_a_verifier_each(stage):
    claims_in = stage.run("VERIFIERS = ")["claims_in"]
    assert [claims_in(tenant, stage.token(tenant)).tenant for tenant in SIGNERS] == ["acme", "rival"]
    with pytest.raises(VerificationError) as refusal:
        claims_in("acme", stage.token("rival"))
    assert refusal.value.rule is Rule.ISSUER


def test_every_code_of_a_wrong_configuration_is_in_the_table():
    table = README.partition("| `ConfigurationError.code` |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(told) == sorted(code.value for code in Misconfiguration)
