"""The services of the example of a chain, each by itself: which tokens it takes, and what each refusal says."""

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from identity_verifier import FetchError, Verifier
from local_issuer import ISSUER, NOW, RIVAL, LocalIssuer, chain_of, changed_claims

from examples.chain import client, documents, summarizer, web, worker
from examples.chain.client import Client, RefusedError
from tests.house.sources import ROOT

ACME, RIVALS = LocalIssuer(), LocalIssuer()
PUBLISHED = {f"{ISSUER}/jwks": ACME.key_set(), f"{RIVAL}/jwks": RIVALS.key_set()}
CLIENTS = {slug: Client(issuer, "a-client", "a-secret") for slug, issuer in {"acme": ISSUER, "rival": RIVAL}.items()}
SERVICES = {
    "summarizer": (summarizer.app, "POST", "summaries/1", summarizer.SUMMARIZER, "summarize"),
    "worker": (worker.app, "POST", "work/1", worker.WORKER, "work"),
    "document service": (documents.app, "GET", "documents/1", documents.DOCUMENTS, "documents.read"),
}
Fetch = Callable[[str], bytes]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where Celery would queue; its settings are read once, by the first test that needs them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CHAIN_FOLDER", str(tmp_path_factory.mktemp("chain")))
        yield


def fetch(url: str) -> bytes:
    return json.dumps(PUBLISHED[url]).encode()


def fail_to_fetch(url: str) -> bytes:
    raise FetchError(f"no connection to {url}")


def serve(monkeypatch: pytest.MonkeyPatch, fetching: Fetch = fetch) -> None:
    """Let the services serve two tenants, whose keys ``fetching`` finds."""

    def verifier_of(tenant: str, audience: str) -> Verifier:
        return Verifier(CLIENTS[tenant].issuer, audience, fetch=fetching, clock=lambda: NOW)

    monkeypatch.setattr(web, "verifier_of", verifier_of)
    for module in (web, summarizer, worker, documents):
        monkeypatch.setattr(module, "clients", lambda: CLIENTS)


def answers(monkeypatch: pytest.MonkeyPatch, *prepared: httpx2.Response | Exception) -> list[httpx2.Request]:
    """Let the requests of the services be answered one after the other; return them as they come."""
    sent, left = [], list(prepared)

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        following = left.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    monkeypatch.setattr(client, "HTTP", httpx2.Client(transport=httpx2.MockTransport(answer)))
    return sent


def call(service: str, tenant: str = "acme", token: str | None = None) -> tuple[int, Any, str | None]:
    """Return status, reason and challenge of the service's answer."""
    app, method, path, _, _ = SERVICES[service]
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = app.test_client().open(f"/t/{tenant}/{path}", method=method, headers=headers)
    assert answer.json is not None
    return answer.status_code, answer.json["error_description"], answer.headers.get("WWW-Authenticate")


def token_for(service: str, signer: LocalIssuer = ACME, **changed: Any) -> str:
    *_, audience, scope = SERVICES[service]
    facts = {"aud": audience, "scope": scope, "act": chain_of(2), "authorization_details": ...}
    return signer.sign(changed_claims(**facts | changed))


INVALID = 'Bearer error="invalid_token"'


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_refuses_a_token_with_one_fault_and_names_it(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    serve(monkeypatch)
    other = next(name for name in SERVICES if name != service)
    rivals = {"iss": RIVAL, "tenant": "rival", "act": {**chain_of(1), "iss": RIVAL}}
    assert call(service) == (401, "missing", "Bearer")
    assert call(service, token="nonsense") == (401, "shape", INVALID)
    assert call(service, token=token_for(other)) == (401, "audience", INVALID)
    assert call(service, token=token_for(service, RIVALS, **rivals)) == (401, "issuer", INVALID)
    assert call(service, "rival", token_for(service)) == (401, "issuer", INVALID)
    assert call(service, token=token_for(service, RIVALS)) == (401, "signature", INVALID)
    assert call(service, token=token_for(service, scope="others")) == (
        403, f"the scope {SERVICES[service][4]} is needed", None
    )  # fmt: skip
    assert call(service, "nobody", token_for(service)) == (404, "Not Found", None)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_cannot_fetch_keys_says_so_and_blames_no_token(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    serve(monkeypatch, fail_to_fetch)
    assert call(service, token=token_for(service)) == (503, "keys_unavailable", None)


@pytest.mark.parametrize("service", ["summarizer", "worker"])
@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (httpx2.Response(400, json={"error_description": "no delegation (not_delegated)"}), 403, "(not_delegated)"),
        (httpx2.Response(429, json={"error_description": "later"}), 503, "answers 429"),
        (httpx2.Response(502, text="<html>"), 503, "answers 502"),
        (httpx2.ConnectError("refused"), 503, "refused"),
    ],
)
def test_a_service_that_gets_no_token_for_the_next_one_says_why(
    monkeypatch: pytest.MonkeyPatch, service: str, answer: httpx2.Response | Exception, status: int, reason: str
) -> None:
    serve(monkeypatch)
    answers(monkeypatch, answer)
    answered, said, _ = call(service, token=token_for(service))
    assert (answered, reason in said) == (status, True), said


@pytest.mark.parametrize("path", ["/t/acme/documents/3", "/t/acme/documents/..", "/t/acme/nothing"])
def test_a_document_that_is_not_there_is_not_found(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    serve(monkeypatch)
    monkeypatch.setattr(Client, "is_active", lambda *_: True)
    headers = {"Authorization": f"Bearer {token_for('document service')}"}
    answer = documents.app.test_client().get(path, headers=headers)
    assert (answer.status_code, answer.json) == (404, {"error_description": "Not Found"})


def test_the_document_service_refuses_a_token_that_the_issuer_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    monkeypatch.setattr(Client, "is_active", lambda *_: False)
    assert call("document service", token=token_for("document service")) == (401, "inactive", INVALID)


FOUND = {"text": "First. Second.", "actors": ["a"], "txn": "t"}
RENEWED = (
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=queued"
    "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&renew=true"
)


def work(monkeypatch: pytest.MonkeyPatch, tenant: str, *prepared: httpx2.Response) -> tuple[Any, list[httpx2.Request]]:
    """Return what became of a message, and the requests that the worker sent."""
    serve(monkeypatch)
    monkeypatch.setenv("CHAIN_DOCUMENTS", "http://127.0.0.1:1")
    sent = answers(monkeypatch, *prepared)
    return worker.summarize.apply((tenant, "queued", 2)).get(propagate=False), sent


def test_the_worker_renews_the_queued_token_at_the_issuer_of_the_messages_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = httpx2.Response(200, json={"access_token": "fresh"}), httpx2.Response(200, json=FOUND)
    result, (renewal, reading) = work(monkeypatch, "rival", *prepared)
    assert result == {"summary": "First", "actors": ["a"], "txn": "t"}
    assert (str(renewal.url), renewal.content.decode()) == (f"{RIVAL}/oauth/token", RENEWED)
    assert (str(reading.url), reading.headers["Authorization"]) == (
        "http://127.0.0.1:1/t/rival/documents/2", "Bearer fresh"
    )  # fmt: skip


def test_the_worker_reads_nothing_with_a_token_that_cannot_be_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = httpx2.Response(400, json={"error_description": "it has ended (task_ended)"})
    result, sent = work(monkeypatch, "acme", ended)
    assert (type(result), str(result), len(sent)) == (RefusedError, "it has ended (task_ended)", 1)


def test_the_worker_tries_again_when_the_issuer_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = httpx2.Response(503), httpx2.Response(200, json={"access_token": "fresh"})
    result, sent = work(monkeypatch, "acme", *prepared, httpx2.Response(200, json=FOUND))
    assert (result["summary"], len(sent)) == ("First", 3)


@pytest.mark.parametrize(("named", "url"), [("", "filesystem://"), ("redis://127.0.0.1/0", "redis://127.0.0.1/0")])
def test_the_broker_is_a_folder_unless_another_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, url: str
) -> None:
    monkeypatch.setenv("CHAIN_FOLDER", str(tmp_path))
    monkeypatch.setenv("CHAIN_BROKER", named)
    settings = runpy.run_path(str(ROOT / "examples/chain/broker.py"))
    assert (settings["broker_url"], "broker_transport_options" in settings) == (url, not named)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o700}
