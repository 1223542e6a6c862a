"""What a task that was opened with an authority and a budget allows: held against every token of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fixtures import AGENTS, CRM, ERP, Tenant, TwoTenants, access_token, claims_in, let_act
from tests.oauth.tasking import ask, open_task, refusal, wanted

pytestmark = pytest.mark.promise(8)

RATE = (429, "temporarily_unavailable", "task_rate_exceeded")
SPENT = (429, "temporarily_unavailable", "task_budget_spent")
FAN_OUT = (429, "temporarily_unavailable", "task_fan_out_exceeded")


def spent(tenant: Tenant, txn: str) -> dict[str, int]:
    found: dict[str, int] = ask(tenant, "GET", f"/{txn}").json()["spent"]
    return found


def a_minute_later(tenant: Tenant) -> None:
    """The minutes are those of the database's clock."""
    tenant.sql("UPDATE task_budgets SET minute = minute - 1 WHERE tenant_id = :tenant")


def test_each_token_of_a_task_is_counted_and_the_last_one_is_the_last(acme: Tenant) -> None:
    txn = open_task(acme, budget={"tokens": 3, "fan_out": 5})["txn"]
    first = acme.task_token(txn=txn)
    acme.task_token("ocr-bot", first)
    acme.task_token(subject_token=first, renew="true")
    for answer in (acme.exchange("invoice-bot", txn=txn), acme.exchange("ocr-bot", first)):
        assert refusal(answer) == SPENT
        assert "Retry-After" not in answer.headers
    assert spent(acme, txn) == {"tokens": 3, "tokens_in_minute": 3, "fan_out": 1}
    assert acme.is_live(first), "what was had stays"
    assert acme.exchange("invoice-bot").status_code == 200, "another task has its own"
    refused = acme.events(type="oauth.refused")[-1].event
    assert (str(refused.txn), refused.reason) == (txn, "task_budget_spent")


def test_so_many_tokens_in_a_minute_and_more_in_the_next(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    txn = open_task(acme, budget={"tokens_per_minute": 2})["txn"]
    for _ in range(2):
        acme.task_token(txn=txn)
    answer = acme.exchange("invoice-bot", txn=txn)
    assert refusal(answer) == RATE
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    a_minute_later(acme)
    acme.task_token(txn=txn)
    assert spent(acme, txn) == {"tokens": 3, "tokens_in_minute": 1, "fan_out": 0}
    a_minute_later(acme)
    assert spent(acme, txn)["tokens_in_minute"] == 0


def test_each_actor_hands_a_task_on_to_so_many_others(acme: Tenant) -> None:
    txn = open_task(acme, budget={"fan_out": 2})["txn"]
    first = acme.task_token(txn=txn)
    for agent in ("ocr-bot", "archive-bot", "ocr-bot"):
        acme.task_token(agent, first)
    assert refusal(acme.exchange("mail-bot", first)) == FAN_OUT
    assert spent(acme, txn)["fan_out"] == 2


def test_no_chain_of_a_task_is_longer_than_its_budget_says(acme: Tenant) -> None:
    txn = open_task(acme, budget={"depth": 2})["txn"]
    first = acme.task_token(txn=txn)
    second = acme.task_token("ocr-bot", first)
    assert refusal(acme.exchange("archive-bot", second)) == (400, "invalid_request", "depth_exceeded")
    assert acme.task_token("archive-bot", first)


@pytest.mark.promise(3)
def test_no_token_of_a_task_has_more_than_the_authority_that_it_was_opened_with(acme: Tenant) -> None:
    with acme.tx() as tx:
        let_act(tx, acme.agent().id, acme.seeded.finance, resource=CRM)
    txn = open_task(acme, authority=[{"resource": ERP, "scopes": ["invoices.read"]}])["txn"]
    token = acme.task_token(txn=txn)
    assert claims_in(token)["scope"] == "invoices.read"
    assert claims_in(token)["txn"] == txn
    assert refusal(acme.exchange("invoice-bot", txn=txn, scope="invoices.pay"))[1:] == (
        "invalid_scope",
        "scope_exceeded",
    )
    assert refusal(acme.exchange("invoice-bot", txn=txn, resource=CRM))[1:] == (
        "invalid_target",
        "resource_not_in_task",
    )
    assert refusal(acme.exchange("invoice-bot", person="dana", txn=txn))[2] == "unknown_task"


def test_a_task_of_the_agents_own_has_its_tokens_by_client_credentials(acme: Tenant) -> None:
    entry = {"resource": ERP, "scopes": ["invoices.read"]}
    txn = ask(acme, "POST", body={"purpose": "tidy up", "authority": [entry], "budget": {"tokens": 2}}).json()["txn"]
    token = acme.own_token("invoice-bot", resource=ERP, txn=txn)
    assert claims_in(token)["txn"] == txn
    refused = acme.ask(acme.agent(), grant_type="client_credentials", resource=CRM, txn=txn)
    assert refusal(refused)[1:] == ("invalid_target", "resource_not_in_task")
    acme.own_token("invoice-bot", resource=ERP, txn=txn)
    refused = acme.ask(acme.agent(), grant_type="client_credentials", resource=ERP, txn=txn)
    assert refusal(refused) == SPENT
    assert ask(acme, "POST", f"/{txn}/complete").json()["state"] == "completed"
    assert not acme.is_live(token)


def test_a_token_of_a_task_of_its_own_opens_no_other(acme: Tenant) -> None:
    txn = ask(acme, "POST", body={"purpose": "tidy up"}).json()["txn"]
    bound = acme.own_token("invoice-bot", txn=txn)
    for body in (wanted(acme), {"purpose": "more"}):
        answer = ask(acme, "POST", body=body, token=bound)
        assert refusal(answer) == (400, "invalid_request", "task_within_task")
    assert ask(acme, "GET", f"/{txn}", token=bound).json()["state"] == "open"


def test_many_at_once_never_overspend(acme: Tenant) -> None:
    txn = open_task(acme, budget={"tokens": 5})["txn"]
    first = acme.task_token(txn=txn)

    def ask_for(name: str) -> Any:
        return acme.exchange(name, first)

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask_for, AGENTS[1:] * 4))
    assert [answer.status_code for answer in answers].count(200) == 4
    assert {answer.status_code for answer in answers} == {200, 429}
    assert spent(acme, txn)["tokens"] == 5
    assert all(acme.is_live(access_token(answer)) for answer in answers if answer.status_code == 200)


@pytest.mark.promise(3)
def test_nothing_of_a_task_outlives_it(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    txn = open_task(acme, expires_in=30)["txn"]
    token = acme.task_token(txn=txn)
    assert claims_in(token)["exp"] - claims_in(token)["iat"] == 30
    two_tenants.clock.forward(31)
    assert not acme.is_live(token)
    assert refusal(acme.exchange("invoice-bot", txn=txn))[2] == "task_ended"
