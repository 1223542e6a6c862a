"""A task that an agent opens by itself: for whom, with what, until when; and who sees it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from identity.model.lifecycle import Transition
from tests.fixtures import CRM, DETAILS, ERP, SCOPES, Tenant, TwoTenants
from tests.oauth.books import administer
from tests.oauth.tasking import ACCESS_TOKEN, PURPOSE, ask, bearer, open_task, person, refusal, wanted
from tests.oauth.test_budget import statements


def test_a_task_has_a_purpose_a_subject_an_end_and_what_the_agent_could_have_now(acme: Tenant) -> None:
    budget = {"tokens": 100, "tokens_per_minute": 10, "fan_out": 3, "depth": 2}
    answer = ask(acme, "POST", body=wanted(acme, expires_in=1800, budget=budget))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    txn = made.pop("txn")
    assert answer.headers["Location"] == f"{acme.issuer}/tasks/{txn}"
    assert answer.headers["Cache-Control"] == "no-store"
    begin, end = (at.isoformat().replace("+00:00", "Z") for at in (acme.now, acme.now + timedelta(seconds=1800)))
    assert made == {
        "state": "open",
        "purpose": PURPOSE,
        "subject_id": str(acme.seeded.sam),
        "actor_id": str(acme.agent().id),
        "authority": [{"resource": ERP, "scopes": list(SCOPES), "authorization_details": list(DETAILS)}],
        "budget": budget,
        "spent": {"tokens": 0, "tokens_in_minute": 0, "fan_out": 0},
        "created_at": begin,
        "expires_at": end,
        "ended_at": None,
    }
    assert ask(acme, "GET", f"/{txn}").json() == {"txn": txn, **made}


def test_the_first_entry_is_the_tasks_own_delegation_and_authority(acme: Tenant) -> None:
    txn = open_task(acme, authority=[{"resource": ERP, "scopes": ["invoices.read"]}])["txn"]
    [row] = acme.sql(
        "SELECT delegation_id, audience, scopes FROM tasks WHERE tenant_id = :tenant AND txn = :txn", txn=txn
    )
    assert tuple(row) == (acme.seeded.delegations["invoice-bot"], ERP, ["invoices.read"])


def test_opening_is_an_event_that_says_all_of_it(acme: Tenant, rival: Tenant) -> None:
    entry = {"resource": ERP, "scopes": ["invoices.read"]}
    made = open_task(acme, authority=[entry], budget={"tokens": 7})
    event = acme.last_event()
    assert (event.event.type, event.caller_kind, event.caller_id) == ("task.opened", "client", acme.agent().client_id)
    assert (event.event.subject_id, event.event.actor_ids) == (acme.seeded.sam, (acme.agent().id,))
    assert str(event.event.txn) == made["txn"]
    assert event.event.detail["purpose"] == PURPOSE
    assert event.event.detail["authority"] == made["authority"]
    assert event.event.detail["budget"] == {"tokens": 7}
    assert datetime.fromisoformat(event.event.detail["expires_at"]) == datetime.fromisoformat(made["expires_at"])
    assert [found.event.type for found in rival.events()].count("task.opened") == 0


def test_without_a_subject_token_a_task_is_for_the_agent_itself(acme: Tenant) -> None:
    body = {"purpose": PURPOSE, "authority": [{"resource": ERP, "scopes": ["invoices.read"]}, {"resource": CRM}]}
    made = ask(acme, "POST", body=body).json()
    assert made["subject_id"] == made["actor_id"] == str(acme.agent().id)
    held = {"scopes": ["invoices.read"], "authorization_details": []}
    assert made["authority"] == [{"resource": ERP, **held}, {"resource": CRM, **held}]


def test_a_task_may_name_no_resource_server_at_all(acme: Tenant) -> None:
    assert open_task(acme, authority=...)["authority"] is None
    assert ask(acme, "POST", body={"purpose": PURPOSE}).json()["authority"] is None


def test_a_person_may_be_acted_for_by_a_delegation_for_that_person_or_for_a_group(acme: Tenant) -> None:
    [delegation] = [acme.seeded.delegations["invoice-bot"]]
    acme.sql("UPDATE delegations SET ended_at = now() WHERE tenant_id = :tenant AND id = :id", id=delegation)
    refused = ask(acme, "POST", body=wanted(acme, authority=...))
    assert refusal(refused) == (400, "invalid_request", "not_delegated")
    direct = {
        "actor_id": str(acme.agent().id),
        "subject_id": str(acme.seeded.sam),
        "resource": CRM,
        "scopes": [SCOPES[0]],
    }
    administer(acme, "/delegations", direct)
    assert ask(acme, "POST", body=wanted(acme, authority=...)).status_code == 201


@pytest.mark.promise(3)
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"authority": [{"resource": "https://nowhere.example"}]}, (400, "invalid_target", "unknown_resource")),
        ({"authority": [{"resource": ERP}, {"resource": CRM}]}, (400, "invalid_request", "not_delegated")),
        ({"authority": [{"resource": ERP, "scopes": ["other"]}]}, (400, "invalid_scope", "scope_exceeded")),
        ({"authority": [{"resource": ERP, "authorization_details": [{"type": "invoice", "actions": ["burn"]}]}]},
         (400, "invalid_authorization_details", "authorization_details_exceeded")),
        ({"authority": [{"resource": ERP, "authorization_details": []}]},
         (400, "invalid_authorization_details", "authorization_details_exceeded")),
        ({"expires_in": 3601}, (400, "invalid_request", "task_too_long")),
    ],
)  # fmt: skip
def test_more_than_an_exchange_would_give_opens_nothing(
    read_only: Tenant, changed: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    before = read_only.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant")
    assert refusal(ask(read_only, "POST", body=wanted(read_only, **changed))) == expected
    assert read_only.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant") == before
    event = read_only.last_event().event
    assert (event.type, event.reason, event.subject_id) == ("oauth.refused", expected[2], read_only.seeded.sam)
    assert read_only.agent().id in event.actor_ids


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"resource": "https://nowhere.example"}, (400, "invalid_target", "unknown_resource")),
        ({"resource": ERP, "scopes": ["invoices.pay"]}, (400, "invalid_scope", "scope_exceeded")),
        ({"resource": ERP, "authorization_details": [{"type": "invoice"}]},
         (400, "invalid_authorization_details", "invalid_value")),
    ],
)  # fmt: skip
def test_for_itself_an_agent_opens_a_task_with_no_more_than_its_client_has(
    read_only: Tenant, entry: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refusal(ask(read_only, "POST", body={"purpose": PURPOSE, "authority": [entry]})) == expected
    assert read_only.last_event().event.actor_ids == (read_only.agent().id,)


def test_a_token_that_serves_a_task_opens_no_other(acme: Tenant) -> None:
    own, others = acme.task_token(), acme.task_token("ocr-bot")
    for token in (own, others):
        body = wanted(acme, subject_token=token, subject_token_type=ACCESS_TOKEN)
        assert refusal(ask(acme, "POST", body=body)) == (400, "invalid_request", "task_within_task")
        body = wanted(acme, subject_token=token, subject_token_type=ACCESS_TOKEN, authority=...)
        assert refusal(ask(acme, "POST", body=body)) == (400, "invalid_request", "task_within_task")


def test_an_agents_own_token_is_no_subject_token_of_its_own(acme: Tenant) -> None:
    body = wanted(acme, subject_token=bearer(acme, "invoice-bot"), subject_token_type=ACCESS_TOKEN, authority=...)
    assert refusal(ask(acme, "POST", body=body)) == (400, "invalid_request", "actor_is_subject")


@pytest.mark.promise(10)
def test_opening_takes_six_round_trips_and_one_for_each_resource_server(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    body, own = wanted(acme), {"purpose": PURPOSE, "authority": [{"resource": ERP}, {"resource": CRM}]}
    token = bearer(acme, "invoice-bot")
    for asked, entries in ((body, 1), (own, 2)):
        ask(acme, "POST", body=asked, token=token)
        with statements(two_tenants) as sent:
            assert ask(acme, "POST", body=asked, token=token).status_code == 201
        assert len(sent) == 6 + entries, sent  # BEGIN, who asks, an entry each, lock, write, event, COMMIT


# --- how long ---


def seconds(made: dict[str, Any]) -> float:
    return (datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])).total_seconds()


def test_a_task_lives_for_an_hour_unless_told_otherwise(acme: Tenant) -> None:
    assert seconds(open_task(acme)) == 3600
    assert seconds(open_task(acme, expires_in=1)) == 1


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("table", "column", "until_s", "words"),
    [
        ("tenants", "max_task_s", 600, "max_task_s of the tenant"),
        ("delegations", "max_task_s", 600, "max_task_s of the delegation"),
        ("delegations", "expires_at", 600, "expires_at of the delegation"),
        ("principals", "valid_until", 600, "the validity of the"),
    ],
)
def test_no_task_is_longer_than_what_bounds_it_and_the_refusal_names_the_bound(
    acme: Tenant, table: str, column: str, until_s: int, words: str
) -> None:
    value = until_s if column == "max_task_s" else acme.now + timedelta(seconds=until_s)
    acme.sql(f"UPDATE {table} SET {column} = :value WHERE tenant_id = :tenant", value=value)
    assert seconds(open_task(acme)) == until_s
    assert seconds(open_task(acme, expires_in=until_s)) == until_s
    refused = ask(acme, "POST", body=wanted(acme, expires_in=until_s + 1))
    assert refusal(refused) == (400, "invalid_request", "task_too_long")
    assert words in refused.json()["error_description"]


def test_a_day_is_the_most_and_a_delegation_may_allow_it(acme: Tenant) -> None:
    acme.sql("UPDATE delegations SET max_task_s = 86400 WHERE tenant_id = :tenant")
    assert seconds(open_task(acme)) == 3600
    assert seconds(open_task(acme, expires_in=86_400)) == 86_400
    assert refusal(ask(acme, "POST", body=wanted(acme, expires_in=86_401))) == (400, "invalid_request", "invalid_value")


# --- who is asking ---


@pytest.mark.promise(1)
@pytest.mark.parametrize("who", ["sam", "agent"])
@pytest.mark.parametrize("verb", [Transition.SUSPEND, Transition.DEPROVISION])
def test_nobody_who_was_cut_opens_or_is_opened_for(acme: Tenant, who: str, verb: Transition) -> None:
    token = bearer(acme, "invoice-bot")
    acme.befall(acme.seeded.sam if who == "sam" else acme.agent().id, verb)
    answer = ask(acme, "POST", body=wanted(acme), token=token)
    assert answer.status_code == (401 if who == "agent" else 400)


@pytest.mark.promise(4)
def test_a_tasks_id_says_nothing_to_agents_that_have_no_part_in_it(acme: Tenant, rival: Tenant) -> None:
    txn = open_task(acme)["txn"]
    nowhere = "0193b000-0000-7000-8000-000000000000"
    for tenant, agent in ((acme, "ocr-bot"), (rival, "invoice-bot")):
        for method, ending in (("GET", ""), ("POST", "/complete"), ("POST", "/cancel")):
            there = ask(tenant, method, f"/{txn}{ending}", agent=agent)
            elsewhere = ask(tenant, method, f"/{nowhere}{ending}", agent=agent)
            malformed = ask(tenant, method, f"/x{ending}", agent=agent)
            assert refusal(there) == (404, "invalid_request", "not_found")
            assert there.json() == elsewhere.json() == malformed.json()
    assert ask(acme, "GET", f"/{txn}").json()["state"] == "open"


def test_an_agent_lists_the_tasks_that_it_opened_page_by_page(acme: Tenant) -> None:
    mine = [open_task(acme)["txn"] for _ in range(5)]
    open_task(acme, agent="ocr-bot")
    seen, after = [], None
    while True:
        page = ask(acme, "GET", params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [item["txn"] for item in page["items"]]
        after = page["next_cursor"]
        if after is None:
            break
    assert seen == mine
    assert len(ask(acme, "GET").json()["items"]) == 5


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=%D9%A1", "after=x", "state=open", "limit=1&limit=2"]
)
def test_a_page_that_is_not_asked_for_rightly_is_refused(read_only: Tenant, query: str) -> None:
    token = bearer(read_only, "ocr-bot")
    answer = read_only.http.get(f"/t/acme/tasks?{query}", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_keys_of_an_upstream_issuer_are_fetched_in_between(two_tenants: TwoTenants) -> None:
    """As at the token endpoint: the first try finds no keys, and the second one is answered."""
    acme = two_tenants.acme
    acme.sql(
        "UPDATE connections SET jwks = NULL, jwks_uri = 'https://login.example/keys'"
        " WHERE kind = 'oidc' AND tenant_id = :tenant"
    )
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return json.dumps(acme.seeded.upstream.jwks).encode()

    acme.runtime.upstream_keys.fetch = fetch
    made = open_task(acme)
    assert fetched == ["https://login.example/keys"]
    cancelled = ask(acme, "POST", f"/{made['txn']}/cancel", body=person(acme), agent="ocr-bot")
    assert cancelled.json()["state"] == "cancelled"
