"""The story of `identity demo`, played against the application: what it leaves, and what stops it.

The step for which a worker runs is left out; tests/config/test_story.py plays all of it, as processes.
"""

import io
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from identity_verifier import Introspector
from rich.console import Console
from werkzeug.serving import make_server

from dev.demo import setup, steps
from dev.demo.api import Answer, Api, ServiceClient, StepError, expect
from dev.demo.resource_servers import ERP, LEDGER, LedgerOfErp
from dev.demo.scenario import Scenario
from identity.actions.upstream import UpstreamKeys
from identity.edge.runtime import Runtime, utc_now
from identity.outbound import make_fetch
from tests.admin.conftest import ADMIN_TOKEN, Admin

WITHOUT_A_WORKER = tuple(chapter for chapter in steps.STEPS if chapter is not steps.dana_leaves)
Play = Callable[[], dict[str, str]]


@pytest.fixture
def play(app: Flask, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Play the story against the application, which runs by the clock of the story's services."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    with_loopback = UpstreamKeys(make_fetch(allow_loopback=True))
    changed = {"external_url": url, "clock": utc_now, "allow_loopback": True, "upstream_keys": with_loopback}
    for name, value in changed.items():
        object.__setattr__(runtime, name, value)
    monkeypatch.setattr(steps, "STEPS", WITHOUT_A_WORKER)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield lambda: steps.play(url, ADMIN_TOKEN, Console(file=io.StringIO()))
    server.shutdown()
    thread.join()


def test_the_task_goes_through_both_services_and_nothing_of_it_is_left(play: Play, platform: Admin) -> None:
    played = play()
    tenant = Admin(platform.http, played["tenant"])
    names = {one["id"]: one["name"] for one in tenant.get("/principals")["items"]}
    issued = tenant.events(txn=played["txn"], type="token.issued")
    assert [(event["detail"]["audience"], [names[actor] for actor in event["actor_ids"]]) for event in issued] == [
        (ERP, ["invoice-bot"]), (ERP, ["ocr-bot", "invoice-bot"]), (LEDGER, ["erp-bot", "invoice-bot"]),
    ]  # fmt: skip
    assert {names[event["subject_id"]] for event in issued} == {"sam@acme.example"}
    first, _, crossed = issued
    assert crossed["detail"]["parent"] == first["detail"]["jti"]
    assert all(task["state"] != "active" for task in tenant.get("/tasks")["items"])


def test_the_erp_has_one_client_that_introspects_and_goes_on(play: Play, platform: Admin) -> None:
    tenant = Admin(platform.http, play()["tenant"])
    [erp_bot] = [one["id"] for one in tenant.get("/principals?kind=agent")["items"] if one["name"] == "erp-bot"]
    clients = {one["client_name"]: one for one in tenant.get("/clients")["items"]}
    assert sorted(clients) == ["erp", "invoice-bot", "ledger", "ocr-bot"]
    assert (clients["erp"]["principal_id"], clients["erp"]["audience"]) == (erp_bot, ERP)
    assert (clients["ledger"]["principal_id"], clients["ledger"]["audience"]) == (None, LEDGER)
    [pair] = tenant.get("/resource-pairs")["items"]
    assert (pair["from"], pair["to"], pair["scopes"]) == (ERP, LEDGER, {"invoices.read": ["entries.read"]})


def test_a_second_story_has_a_tenant_of_its_own_whose_services_take_no_token_of_the_first(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[tuple[str, str]] = []

    def compare(told: Scenario) -> None:
        for audience, token in tokens:
            refused = expect(steps.call(told, audience, token), 401, "use a token of another tenant")
            assert refused["reason"] == "issuer"
        tokens.extend(((ERP, told.tokens["task"]), (LEDGER, told.tokens["ledger"])))

    chosen = (steps.act, steps.hand_on, steps.meet_the_next_service, steps.go_on, compare)
    monkeypatch.setattr(steps, "STEPS", chosen)
    assert [play()["tenant"], play()["tenant"]] == ["story", "story-2"]
    assert len(tokens) == 4


def register_a_pair_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    delegate = setup.delegate

    def with_a_pair(told: Scenario) -> None:
        delegate(told)
        pair = {"from": ERP, "to": LEDGER, "scopes": {"invoices.read": ["entries.read"]}}
        setup.create(told, "/resource-pairs", pair, "register the pair")

    monkeypatch.setattr(setup, "delegate", with_a_pair)


def pass_the_received_token_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def pass_on(ledger: LedgerOfErp, received_token: str, invoice_id: str) -> Answer:
        return Api(ledger.client.client, ledger.url, received_token).call("GET", f"/entries/{invoice_id}")

    monkeypatch.setattr(LedgerOfErp, "entry", pass_on)


def use_the_first_token_for_every_task(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = ServiceClient.exchange
    got: list[Answer] = []

    def first_of_all(client: ServiceClient, received_token: str, **parameters: str) -> Answer:
        answer = exchange(client, received_token, **parameters)
        if answer.status == 200:
            got.append(answer)
        return got[0] if got else answer

    monkeypatch.setattr(ServiceClient, "exchange", first_of_all)


def never_ask_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Introspector, "is_active", lambda *_: True)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (register_a_pair_too_early, "be refused for pair_not_allowed: expected 403, got 200"),
        (pass_the_received_token_on, "be refused for pair_not_allowed: expected 403, got 401"),
        (never_ask_the_issuer, "be refused for inactive: expected 401, got 200"),
        (use_the_first_token_for_every_task, "let the ERP ask the ledger: expected 200, got 401"),
    ],
)
def test_a_step_that_does_not_end_as_it_should_stops_the_story(
    play: Play, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    break_it(monkeypatch)
    with pytest.raises(StepError, match=f"^{said}"):
        play()
