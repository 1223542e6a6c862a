"""``txn`` joins an exchange to a task that is there: one task for a piece of work, whatever it needs."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from identity.model.principal import Kind
from tests.fixtures import CRM, ERP, TYPE, Tenant, TwoTenants, actors_in, claims_in, let_act, provision
from tests.oauth.test_budget import statements
from tests.oauth.trading import ORDERS, permit, trade_in

pytestmark = pytest.mark.promise(3)


@pytest.fixture
def acme(acme: Tenant) -> Tenant:
    with acme.tx() as tx:
        for name in ("invoice-bot", "ocr-bot"):
            let_act(tx, acme.agent(name).id, acme.seeded.finance, resource=CRM)
    return acme


def txn_of(token: str) -> str:
    found: str = claims_in(token)["txn"]
    return found


def reason(answer: httpx2.Response) -> str:
    assert answer.status_code == 400, answer.text
    text: str = answer.json()["error_description"]
    return text.rpartition("(")[2].rstrip(")")


def cancel(tenant: Tenant, txn: str) -> None:
    tenant.sql("UPDATE tasks SET state = 'cancelled' WHERE tenant_id = :tenant AND txn = :txn", txn=UUID(txn))


def test_two_resources_are_one_task_and_end_together(acme: Tenant) -> None:
    first = acme.task_token()
    second = acme.task_token(resource=CRM, txn=txn_of(first))
    assert (claims_in(second)["aud"], txn_of(second)) == (CRM, txn_of(first))
    assert acme.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant") == [(1,)]
    assert len(acme.events(txn=UUID(txn_of(first)))) == 2
    cancel(acme, txn_of(first))
    assert not acme.is_live(first)
    assert not acme.is_live(second, acme.seeded.crm)


def test_an_actor_in_the_task_joins_it_with_the_person_s_token(acme: Tenant) -> None:
    first = acme.chain("invoice-bot", "ocr-bot")[0]
    joined = acme.task_token("ocr-bot", resource=CRM, txn=txn_of(first))
    assert txn_of(joined) == txn_of(first)
    assert actors_in(joined) == [str(acme.agent("ocr-bot").id)]


def test_a_task_is_joined_through_a_chain_across_services_too(acme: Tenant) -> None:
    trade = trade_in(acme)
    first = trade.first()
    second = trade.crossed(first)
    permit(acme, trade.orders.client.id, ORDERS)
    joined = acme.exchange(trade.orders.client, resource=ORDERS, txn=txn_of(second))
    assert txn_of(joined.json()["access_token"]) == txn_of(first)


def test_a_joined_exchange_does_not_extend_the_task(two_tenants: TwoTenants, acme: Tenant) -> None:
    first = acme.task_token()
    two_tenants.clock.forward(3_590)
    assert claims_in(acme.task_token(txn=txn_of(first)))["exp"] == claims_in(first)["iat"] + 3_600
    two_tenants.clock.forward(10)
    assert reason(acme.exchange("invoice-bot", txn=txn_of(first))) == "task_ended"


def test_a_task_of_another_subject_agent_or_tenant_is_as_unknown_as_none(two_tenants: TwoTenants, acme: Tenant) -> None:
    of_dana, of_rival = txn_of(acme.task_token(person="dana")), txn_of(two_tenants.rival.task_token())
    of_ocr = txn_of(acme.task_token("ocr-bot"))
    nowhere = "00000000-0000-7000-8000-000000000000"
    answers = {acme.exchange("invoice-bot", txn=txn).text for txn in (of_dana, of_ocr, of_rival, nowhere)}
    assert len(answers) == 1
    assert "(unknown_task)" in answers.pop()
    assert acme.last_event().event.outcome == "refused"


def test_a_cancelled_task_is_not_joined(acme: Tenant) -> None:
    first = acme.task_token()
    cancel(acme, txn_of(first))
    assert reason(acme.exchange("invoice-bot", txn=txn_of(first))) == "task_ended"


def test_beside_a_task_token_txn_is_its_own_task(acme: Tenant) -> None:
    first, other = acme.task_token(), acme.task_token()
    assert acme.exchange("ocr-bot", first, txn=txn_of(first)).status_code == 200
    assert reason(acme.exchange("ocr-bot", first, txn=txn_of(other))) == "txn_differs"


@pytest.mark.parametrize("txn", ["1", "urn:uuid:{}", "{{{}}}", "{} ", "null", "\x00"])
def test_a_malformed_txn_is_refused(acme: Tenant, txn: str) -> None:
    answer = acme.exchange("invoice-bot", txn=txn.format(txn_of(acme.task_token())))
    assert answer.json()["error"] == "invalid_request"
    assert acme.ask(acme.agent(), grant_type="client_credentials", txn=txn).json()["error"] == "invalid_request"


def test_a_branch_that_was_cancelled_is_over_and_the_others_go_on(acme: Tenant) -> None:
    first, below = acme.chain("invoice-bot", "ocr-bot")
    lower = acme.task_token("archive-bot", below)
    beside = acme.task_token("mail-bot", first)
    acme.sql("UPDATE task_actors SET ended_at = now() WHERE tenant_id = :tenant AND actor_id = :actor",
             actor=acme.agent("ocr-bot").id)  # fmt: skip
    assert [acme.is_live(token) for token in (first, below, lower, beside)] == [True, False, False, True]
    assert reason(acme.exchange("ocr-bot", first)) == "branch_cancelled"
    assert reason(acme.exchange("archive-bot", below)) == "subject_token_branch_cancelled"
    assert reason(acme.exchange("ocr-bot", resource=CRM, txn=txn_of(first))) == "unknown_task"


# --- what a task was opened with ---


def opened(acme: Tenant, subject: UUID, **columns: Any) -> str:
    """A task as the tasks endpoint opens it, for invoice-bot."""
    [(txn,)] = acme.sql(
        """INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, scopes, state, created_at, expires_at,
                              authority, budget)
           VALUES (:tenant, gen_random_uuid(), :subject, :actor, '{}', 'open', :now, :later,
                   CAST(:authority AS jsonb), CAST(:budget AS jsonb)) RETURNING txn""",
        subject=subject, actor=acme.agent().id, now=acme.now, later=acme.now + timedelta(hours=1),
        **{"authority": None, "budget": None} | columns,
    )  # fmt: skip
    return str(txn)


def test_a_task_s_authority_bounds_every_token_of_it(acme: Tenant) -> None:
    authority = f'[{{"resource": "{ERP}", "scopes": ["invoices.read"], "authorization_details": []}}]'
    txn = opened(acme, acme.seeded.sam, authority=authority)
    first = acme.task_token(txn=txn)
    assert claims_in(first)["scope"] == "invoices.read"
    assert acme.exchange("invoice-bot", txn=txn, scope="invoices.pay").json()["error"] == "invalid_scope"
    assert reason(acme.exchange("invoice-bot", txn=txn, resource=CRM)) == "resource_not_in_task"
    assert claims_in(acme.task_token("ocr-bot", first))["scope"] == "invoices.read"


@pytest.mark.parametrize(("depth", "status"), [(1, 400), (2, 200)])
def test_a_task_s_depth_bounds_its_chains(acme: Tenant, depth: int, status: int) -> None:
    txn = opened(acme, acme.seeded.sam, budget=f'{{"depth": {depth}}}')
    assert acme.exchange("ocr-bot", acme.task_token(txn=txn)).status_code == status


def test_a_task_s_tokens_are_counted_and_the_last_one_is_the_last(acme: Tenant) -> None:
    txn = opened(acme, acme.seeded.sam, budget='{"tokens": 3}')
    first = acme.task_token(txn=txn)
    assert acme.exchange("ocr-bot", first).status_code == 200
    assert acme.exchange("invoice-bot", first, renew="true").status_code == 200
    answer = acme.exchange("invoice-bot", txn=txn)
    assert (answer.status_code, "task_budget_spent" in answer.text) == (429, True)
    assert "Retry-After" not in answer.headers
    assert acme.last_event().event.reason == "task_budget_spent"
    assert acme.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant") == [(3,)]
    assert acme.exchange("invoice-bot").status_code == 200, "another task"


def test_of_many_that_ask_for_the_last_token_at_once_one_gets_it(acme: Tenant) -> None:
    for _ in range(5):
        txn = opened(acme, acme.seeded.sam, budget='{"tokens": 1}')
        with ThreadPoolExecutor(8) as threads:
            answers = [
                each.result() for each in [threads.submit(acme.exchange, "invoice-bot", txn=txn) for _ in range(8)]
            ]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) == 7
        assert all("task_budget_spent" in answer.text and "Retry-After" not in answer.headers for answer in refused)
        assert acme.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant AND txn = :txn", txn=UUID(txn)) == [(1,)]


def test_a_task_s_tokens_of_a_minute_are_counted(acme: Tenant) -> None:
    txn = opened(acme, acme.seeded.sam, budget='{"tokens_per_minute": 2}')
    assert [acme.exchange("invoice-bot", txn=txn).status_code for _ in range(3)] == [200, 200, 429]
    assert "task_rate_exceeded" in (answer := acme.exchange("invoice-bot", txn=txn)).text
    assert answer.headers["Retry-After"]
    acme.sql("UPDATE task_budgets SET minute = minute - 1 WHERE tenant_id = :tenant")  # the database has its own clock
    assert acme.exchange("invoice-bot", txn=txn).status_code == 200


def test_an_actor_hands_a_task_on_to_so_many_others(acme: Tenant) -> None:
    txn = opened(acme, acme.seeded.sam, budget='{"fan_out": 1}')
    first = acme.task_token(txn=txn)
    below = acme.task_token("ocr-bot", first)
    answer = acme.exchange("mail-bot", first)
    assert (answer.status_code, "task_fan_out_exceeded" in answer.text) == (429, True)
    assert acme.exchange("ocr-bot", first).status_code == 200, "the same one again"
    assert acme.exchange("archive-bot", below).status_code == 200, "each actor has as many"


def test_an_agent_s_own_task_has_tokens_for_itself(acme: Tenant) -> None:
    bot = acme.agent()
    txn = opened(acme, bot.id, budget='{"tokens": 2}')
    own = acme.own_token("invoice-bot", resource=ERP, txn=txn)
    assert (claims_in(own)["txn"], claims_in(own)["sub"]) == (txn, str(bot.id))
    assert acme.is_live(own)
    assert reason(acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials", txn=txn)) == "unknown_task"
    of_sam = opened(acme, acme.seeded.sam)
    assert reason(acme.ask(bot, grant_type="client_credentials", txn=of_sam)) == "unknown_task"
    assert acme.ask(bot, grant_type="client_credentials", txn=txn).status_code == 200
    assert acme.ask(bot, grant_type="client_credentials", txn=txn).status_code == 429
    cancel(acme, txn)
    assert not acme.is_live(own)


def test_an_own_token_does_not_shed_the_authorization_details_of_its_task(acme: Tenant) -> None:
    entry = {
        "resource": ERP,
        "scopes": ["invoices.read"],
        "authorization_details": [{"type": "invoice", "actions": ["read"]}],
    }
    txn = opened(acme, acme.agent().id, authority=json.dumps([entry]))
    assert reason(acme.ask(acme.agent(), grant_type="client_credentials", resource=ERP, txn=txn)) == "nothing_left"


def test_an_agent_s_own_task_is_handed_on_to_so_many_others(acme: Tenant) -> None:
    with acme.tx() as tx:
        group = provision(tx, Kind.GROUP, "Bots", members=frozenset({acme.agent().id}))
        for name in ("ocr-bot", "mail-bot"):
            let_act(tx, acme.agent(name).id, group)
    txn = opened(acme, acme.agent().id, budget='{"fan_out": 1}')
    own = acme.own_token("invoice-bot", resource=ERP, txn=txn)
    assert [acme.exchange(name, own).status_code for name in ("ocr-bot", "mail-bot", "ocr-bot")] == [200, 429, 200]


def test_a_joined_exchange_with_a_budget_takes_five_round_trips(two_tenants: TwoTenants, acme: Tenant) -> None:
    txn = opened(acme, acme.seeded.sam, budget='{"tokens": 100, "fan_out": 5}')
    acme.task_token(txn=txn)
    id_token = {"subject_token_type": f"{TYPE}id_token", "resource": ERP, "txn": txn}
    with statements(two_tenants) as said:
        assert acme.exchange("invoice-bot", acme.id_token(sub="ext-sam"), **id_token).status_code == 200
    assert len(said) <= 5
