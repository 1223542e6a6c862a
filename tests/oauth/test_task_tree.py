"""Who did what in a task, as an administrator reads it: by the admin API, from the audit log."""

from typing import Any

import pytest

from tests.fixtures import ADMIN_TOKEN, ERP, Tenant, TwoTenants, claims_in
from tests.oauth.tasking import PURPOSE, ask, open_task, refusal
from tests.oauth.trading import LEDGER, ORDERS, trade_in


def admin(tenant: Tenant, path: str, status: int = 200) -> Any:
    url = f"/admin/v1/tenants/{tenant.slug}/tasks{path}"
    answer = tenant.http.get(url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status_code == status, answer.text
    return answer.json()


def drawn(tokens: list[dict[str, Any]]) -> list[Any]:
    """The tree as nested pairs of token and what came of it."""
    return [(token["jti"], drawn(token["children"])) for token in tokens]


def jti(token: str) -> str:
    found: str = claims_in(token)["jti"]
    return found


def test_each_token_is_below_the_one_that_it_was_traded_for(acme: Tenant, rival: Tenant) -> None:
    txn = open_task(acme)["txn"]
    first, second = acme.task_token(txn=txn), acme.task_token(txn=txn)
    ocr = acme.task_token("ocr-bot", first)
    mail = acme.task_token("mail-bot", ocr)
    archive = acme.task_token("archive-bot", first)
    tree = admin(acme, f"/{txn}/tree")
    below = [(jti(ocr), [(jti(mail), [])]), (jti(archive), [])]
    assert drawn(tree["tokens"]) == [(jti(first), below), (jti(second), [])]
    assert (tree["txn"], tree["purpose"], tree["is_truncated"]) == (txn, PURPOSE, False)
    assert (tree["opened_by"], tree["subject_id"]) == (str(acme.agent().id), str(acme.seeded.sam))
    assert (tree["ended_at"], tree["ended_as"]) == (None, None)
    node = tree["tokens"][0]["children"][0]
    assert (node["actor_id"], node["client_id"]) == (str(acme.agent("ocr-bot").id), acme.agent("ocr-bot").client_id)
    assert (node["audience"], node["scope"], node["renewals"]) == (ERP, claims_in(ocr)["scope"], 0)
    assert admin(rival, f"/{txn}/tree", 404)["code"] == "not_found"


def test_a_renewed_token_is_one_node_whatever_edition_was_traded(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    first = acme.task_token()
    for _ in range(2):
        two_tenants.clock.forward(130)
        renewed = acme.task_token(subject_token=first, renew="true")
    ocr = acme.task_token("ocr-bot", renewed)
    tree = admin(acme, f"/{claims_in(first)['txn']}/tree")
    assert drawn(tree["tokens"]) == [(jti(first), [(jti(ocr), [])])]
    assert tree["tokens"][0]["renewals"] == 2
    assert tree["tokens"][0]["expires_at"] > tree["tokens"][0]["issued_at"]
    assert tree["tokens"][0]["expires_at"].startswith("2026-11-24T09:06:20"), "that of the last edition"


def test_a_crossing_a_cancelled_branch_and_refusals_are_told_where_they_were(acme: Tenant) -> None:
    trade = trade_in(acme)
    first = trade.first()
    crossed = trade.crossed(first)
    txn = claims_in(first)["txn"]
    assert trade.cross(first, scope="close").status_code == 400
    assert ask(acme, "POST", f"/{txn}/cancel", agent=trade.orders.client).status_code == 200
    assert acme.post("revoke", acme.agent(), token=first).status_code == 200
    tree = admin(acme, f"/{txn}/tree")
    [root] = tree["tokens"]
    [child] = root["children"]
    assert (root["audience"], root["has_crossed"], root["is_cancelled"]) == (ORDERS, False, False)
    assert (child["jti"], child["audience"], child["has_crossed"], child["is_cancelled"]) == (
        jti(crossed), LEDGER, True, True,
    )  # fmt: skip
    assert [(refused["reason"], refused["client_id"]) for refused in root["refusals"]] == [
        ("scope_exceeded", trade.orders.client.client_id)
    ]
    assert root["revoked_at"] is not None
    assert child["revoked_at"] is None
    assert tree["refusals"] == []


def test_a_refusal_under_no_token_is_the_tasks_own_and_its_end_is_told(acme: Tenant) -> None:
    txn = open_task(acme, budget={"tokens": 1})["txn"]
    acme.task_token(txn=txn)
    assert acme.exchange("invoice-bot", txn=txn).status_code == 429
    ask(acme, "POST", f"/{txn}/complete")
    tree = admin(acme, f"/{txn}/tree")
    assert [refused["reason"] for refused in tree["refusals"]] == ["task_budget_spent"]
    assert (tree["ended_as"], tree["ended_reason"]) == ("completed", "by_opener")
    assert tree["ended_at"] == tree["opened_at"], "the clock of the tests stands"


def test_an_administrator_sees_what_a_task_is_for_and_what_it_spent(acme: Tenant, rival: Tenant) -> None:
    txn = open_task(acme, budget={"tokens": 9, "fan_out": 3})["txn"]
    acme.task_token("ocr-bot", acme.task_token(txn=txn))
    shown = admin(acme, f"/{txn}")
    assert (shown["purpose"], shown["audience"]) == (PURPOSE, ERP)
    assert shown["authority"][0]["resource"] == ERP
    assert shown["budget"] == {"tokens": 9, "tokens_per_minute": None, "fan_out": 3, "depth": None}
    assert shown["spent"] == {"tokens": 2, "tokens_in_minute": 2, "fan_out": 1}
    assert admin(acme, "")["items"] == [shown]
    assert ask(acme, "GET").json()["items"][0]["spent"] == shown["spent"]
    plain = admin(acme, f"/{claims_in(acme.task_token())['txn']}")
    assert (plain["purpose"], plain["authority"], plain["budget"], plain["spent"]) == (None, None, None, None)
    assert admin(rival, f"/{txn}", 404)["code"] == "not_found"
    assert admin(rival, "")["items"] == []


@pytest.mark.promise(8)
def test_a_tree_is_drawn_from_so_many_events_and_says_so(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.actions.task_tree.TREE_EVENTS_MAX", 3)
    first = acme.task_token()
    for _ in range(2):
        acme.task_token("ocr-bot", first)
    path = f"/{claims_in(first)['txn']}/tree"
    assert not admin(acme, path)["is_truncated"]
    acme.task_token("ocr-bot", first)
    tree = admin(acme, path)
    assert (tree["is_truncated"], len(tree["tokens"][0]["children"])) == (True, 2)


@pytest.mark.promise(4)
def test_an_agent_cannot_see_the_tree_and_an_administrator_has_no_tasks(acme: Tenant) -> None:
    txn = open_task(acme)["txn"]
    assert acme.http.get(f"/t/acme/tasks/{txn}", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).status_code == 401
    assert refusal(ask(acme, "GET", f"/{txn}", agent="mail-bot"))[0] == 404
