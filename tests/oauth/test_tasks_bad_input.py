"""Requests to the tasks API with one fault each: refused for that fault, and nothing is opened."""

import json
from typing import Any

import pytest

from tests.fixtures import ERP, Tenant, TwoTenants
from tests.oauth.tasking import ACCESS_TOKEN, ID_TOKEN, PURPOSE, ask, bearer, open_task, refusal, wanted

pytestmark = pytest.mark.promise(9)

MALFORMED = (400, "invalid_request", "invalid_value")
BODIES: dict[str, tuple[dict[str, Any], tuple[int, str, str]]] = {
    "no purpose": ({"purpose": ...}, MALFORMED),
    "an empty purpose": ({"purpose": ""}, MALFORMED),
    "a purpose of two lines": ({"purpose": "one\ntwo"}, MALFORMED),
    "a purpose with NUL": ({"purpose": "a\0b"}, MALFORMED),
    "a purpose that is too long": ({"purpose": "x" * 513}, MALFORMED),
    "a purpose that is no text": ({"purpose": 7}, MALFORMED),
    "an unknown member": ({"scope": "invoices.read"}, MALFORMED),
    "no authority in the list": ({"authority": []}, MALFORMED),
    "too many entries": ({"authority": [{"resource": f"https://{n}.example"} for n in range(11)]}, MALFORMED),
    "an entry without a resource": ({"authority": [{"scopes": ["invoices.read"]}]}, MALFORMED),
    "an entry with an unknown member": ({"authority": [{"resource": ERP, "actions": []}]}, MALFORMED),
    "a resource with a blank": ({"authority": [{"resource": "https://erp.example /"}]}, MALFORMED),
    "no scope in the list": ({"authority": [{"resource": ERP, "scopes": []}]}, MALFORMED),
    "scopes as one text": ({"authority": [{"resource": ERP, "scopes": "invoices.read"}]}, MALFORMED),
    "a scope twice": ({"authority": [{"resource": ERP, "scopes": ["a", "a"]}]},
                      (400, "invalid_scope", "invalid_value")),
    "a scope with a blank": ({"authority": [{"resource": ERP, "scopes": ["a b"]}]},
                             (400, "invalid_scope", "invalid_value")),
    "details without a type": ({"authority": [{"resource": ERP, "authorization_details": [{"actions": ["read"]}]}]},
                               (400, "invalid_authorization_details", "invalid_value")),
    "details that are no list": ({"authority": [{"resource": ERP, "authorization_details": {}}]}, MALFORMED),
    "a resource twice": ({"authority": [{"resource": ERP}, {"resource": ERP}]},
                         (400, "invalid_target", "repeated_parameter")),
    "no second at all": ({"expires_in": 0}, MALFORMED),
    "more than a day": ({"expires_in": 86_401}, MALFORMED),
    "half a second": ({"expires_in": 60.5}, MALFORMED),
    "seconds as text": ({"expires_in": "60"}, MALFORMED),
    "true seconds": ({"expires_in": True}, MALFORMED),
    "a budget of nothing": ({"budget": {"tokens": 0}}, MALFORMED),
    "too many tokens": ({"budget": {"tokens": 1_000_001}}, MALFORMED),
    "too many tokens in a minute": ({"budget": {"tokens_per_minute": 10_001}}, MALFORMED),
    "too wide": ({"budget": {"fan_out": 51}}, MALFORMED),
    "too deep": ({"budget": {"depth": 5}}, MALFORMED),
    "an unknown limit": ({"budget": {"money": 5}}, MALFORMED),
    "a budget that is a number": ({"budget": 5}, MALFORMED),
    "a subject token without its type": ({"subject_token_type": ...},
                                         (400, "invalid_request", "subject_token_missing")),
    "a type without a subject token": ({"subject_token": ...}, (400, "invalid_request", "subject_token_missing")),
    "an unknown type": ({"subject_token_type": "jwt"}, (400, "invalid_request", "subject_token_type")),
    "another type than the token has": ({"subject_token_type": ACCESS_TOKEN},
                                        (400, "invalid_request", "subject_token_kind")),
    "a subject token of three words": ({"subject_token": "a.b.c"}, (400, "invalid_request", "token_shape")),
    "a subject token with a blank": ({"subject_token": "a b"}, MALFORMED),
    "a subject token that is too long": ({"subject_token": "a" * 16_385}, MALFORMED),
}  # fmt: skip


@pytest.mark.parametrize("fault", BODIES)
def test_a_body_with_one_fault_is_refused_for_that_fault(read_only: Tenant, fault: str) -> None:
    changed, expected = BODIES[fault]
    answer = ask(read_only, "POST", body=wanted(read_only, **changed))
    assert refusal(answer) == expected, answer.text
    assert read_only.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant") == [(0,)]
    assert read_only.last_event().event.reason == expected[2]


@pytest.mark.parametrize("text", [
    b"[]", b"", b"{", b'{"purpose":"a","purpose":"b"}', b'{"purpose":NaN}', b'{"purpose":"\xff"}', b"null",
    b'{"purpose":' + b"[" * 20 + b"]" * 20 + b"}", b'{"purpose":"\\ud800"}',
])  # fmt: skip
@pytest.mark.parametrize("ending", ["", "/complete", "/cancel"])
def test_text_that_is_no_json_of_one_meaning_is_refused(read_only: Tenant, text: bytes, ending: str) -> None:
    path = f"/0193b000-0000-7000-8000-000000000000{ending}" if ending else ""
    headers = {"Content-Type": "application/json"}
    answer = ask(read_only, "POST", path, content=text, headers=headers)
    if text:
        assert refusal(answer) == (400, "invalid_request", "malformed_json")
    else:
        assert answer.status_code == (404 if ending else 400)


@pytest.mark.parametrize(("type_", "coding"), [
    ("application/x-www-form-urlencoded", None), ("text/plain", None), ("application/json", "gzip"),
])  # fmt: skip
def test_a_body_that_is_not_plain_json_is_refused(read_only: Tenant, type_: str, coding: str | None) -> None:
    headers = {"Content-Type": type_} | ({"Content-Encoding": coding} if coding else {})
    answer = ask(read_only, "POST", content=json.dumps({"purpose": PURPOSE}).encode(), headers=headers)
    assert refusal(answer) == (400, "invalid_request", "media_type")


def test_nothing_is_taken_from_the_url(read_only: Tenant) -> None:
    token = bearer(read_only, "invoice-bot")
    answer = read_only.http.post(f"/t/acme/tasks?access_token={token}", json={"purpose": PURPOSE})
    assert answer.status_code == 401
    answer = ask(read_only, "POST", body={"purpose": PURPOSE}, params={"purpose": PURPOSE})
    assert refusal(answer) == (400, "invalid_request", "query_string")
    answer = ask(read_only, "GET", "/0193b000-0000-7000-8000-000000000000", params={"fields": "all"})
    assert refusal(answer) == MALFORMED


def test_a_body_has_a_limit(read_only: Tenant) -> None:
    answer = ask(read_only, "POST", body=wanted(read_only, purpose="x" * 70_000))
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


@pytest.mark.parametrize("ending", ["complete", "cancel"])
def test_an_unknown_member_ends_no_task(acme: Tenant, ending: str) -> None:
    txn = open_task(acme)["txn"]
    answer = ask(acme, "POST", f"/{txn}/{ending}", body={"because": "of it"})
    assert refusal(answer) == MALFORMED
    assert ask(acme, "GET", f"/{txn}").json()["state"] == "open"


def test_a_budget_without_a_limit_is_none(acme: Tenant) -> None:
    assert open_task(acme, budget={})["budget"] is None


# --- the bearer token ---


def unauthenticated(answer: Any) -> bool:
    assert answer.status_code == 401, answer.text
    assert answer.json()["error"] == "invalid_token"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasks", error="invalid_token"'
    return True


def test_only_an_agents_own_token_for_the_issuer_is_taken(two_tenants: TwoTenants) -> None:
    acme, rival = two_tenants.acme, two_tenants.rival
    tokens = {
        "for a resource server": acme.own_token("invoice-bot", resource=ERP),
        "a task's": acme.task_token(),
        "a person's": acme.id_token(),
        "another tenant's": rival.own_token("invoice-bot"),
        "an administrator's": "an-administrator-of-the-tests-0123456789",
        "nothing": "x",
    }
    for token in tokens.values():
        for method, path, body in (("POST", "", wanted(acme)), ("GET", "", None), ("POST", "/x/cancel", {})):
            assert unauthenticated(ask(acme, method, path, body=body, token=token))
    reasons = {event.event.reason for event in acme.events(type="oauth.refused")}
    assert {"token_audience", "token_unknown", "token_shape"} <= reasons


def test_an_agents_own_token_may_be_as_large_as_its_client_has_scopes(acme: Tenant) -> None:
    scopes = [f"{number:02}{'x' * 125}" for number in range(32)]
    acme.sql("UPDATE clients SET scopes = :scopes WHERE tenant_id = :tenant", scopes=scopes)
    token = bearer(acme, "invoice-bot")
    assert len(token) > 5_000
    assert ask(acme, "GET", token=token).status_code == 200


def test_a_token_is_good_as_long_as_all_that_it_rests_on(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    old, revoked, forged = (bearer(acme, "invoice-bot") for _ in range(3))
    assert acme.post("revoke", acme.agent(), token=revoked).status_code == 200
    assert unauthenticated(ask(acme, "GET", token=revoked))
    assert unauthenticated(ask(acme, "GET", token=forged[:-4] + ("AAAA" if forged[-4:] != "AAAA" else "BBBB")))
    assert ask(acme, "GET", token=old).status_code == 200
    two_tenants.clock.forward(301)
    assert unauthenticated(ask(acme, "GET", token=old))


def test_without_a_token_no_error_is_named(read_only: Tenant) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}):
        answer = read_only.http.post("/t/acme/tasks", json={"purpose": PURPOSE}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasks"'


def test_a_client_that_may_not_exchange_opens_tasks_for_itself_alone(acme: Tenant) -> None:
    statement = "UPDATE clients SET grant_types = '{client_credentials}' WHERE tenant_id = :tenant AND client_id = :id"
    acme.sql(statement, id=acme.agent("ocr-bot").client_id)
    assert refusal(ask(acme, "POST", body=wanted(acme), agent="ocr-bot")) == (400, "unauthorized_client", "grant_type")
    assert ask(acme, "POST", body={"purpose": PURPOSE}, agent="ocr-bot").status_code == 201


def test_a_subject_token_that_is_not_believed_opens_nothing(read_only: Tenant) -> None:
    faults = {
        "subject_unknown": read_only.id_token(sub="nobody"),
        "subject_token_expired": read_only.id_token(exp=int(read_only.now.timestamp()) - 60),
        "subject_token_issuer": read_only.id_token(iss="https://elsewhere.example"),
    }
    for reason, token in faults.items():
        for authority in (..., [{"resource": ERP}]):
            body = wanted(read_only, subject_token=token, subject_token_type=ID_TOKEN, authority=authority)
            assert refusal(ask(read_only, "POST", body=body)) == (400, "invalid_request", reason)
