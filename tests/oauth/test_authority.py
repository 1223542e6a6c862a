"""Authorization details that limit are not shed, as the issuer grants them and as a resource server reads them."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fixtures import Tenant, access_token, claims_in
from tests.oauth.books import ACCESS, BOOKS, LIST, PAY, READ, TRANSFER, administer, books, delegate, register_books

LIMITED = {"type": ACCESS, "actions": [READ, PAY], "constraints": {"max_amount_usd": 500}}
OVER, UNDER = "18", "17"  # invoices of 9,800 and of 420
MOVE = {"type": TRANSFER, "actions": ["move"], "identifier": "17"}


@pytest.fixture
def erp(acme: Tenant, rival: Tenant) -> FlaskClient:
    for tenant in (acme, rival):
        register_books(tenant)
    return books(acme)


def status_of(erp: FlaskClient, token: str, method: str, invoice: str) -> int:
    path = f"/invoices/{invoice}/pay" if method == "POST" else f"/invoices/{invoice}"
    return erp.open(path, method=method, headers={"Authorization": f"Bearer {token}"}).status_code


def detailed(*entries: Any) -> dict[str, str]:
    return {"authorization_details": json.dumps(entries)}


EMPTY_LISTS = ["[]", " [ ] ", "[\n]"]


@pytest.mark.promise(3)
@pytest.mark.parametrize("empty", EMPTY_LISTS)
def test_an_empty_list_sheds_no_limit_in_an_exchange(acme: Tenant, erp: FlaskClient, empty: str) -> None:
    delegate(acme, "invoice-bot", scopes=[PAY], authorization_details=[LIMITED])
    token = acme.task_token(resource=BOOKS)
    assert [status_of(erp, token, "POST", invoice) for invoice in (UNDER, OVER)] == [200, 403]
    answer = acme.exchange("invoice-bot", resource=BOOKS, authorization_details=empty)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")
    assert acme.last_event().event.reason == "authorization_details_exceeded"


@pytest.mark.promise(3)
@pytest.mark.parametrize("empty", EMPTY_LISTS)
def test_an_empty_list_sheds_no_limit_of_ones_own_token(acme: Tenant, erp: FlaskClient, empty: str) -> None:
    delegate(acme, "invoice-bot", scopes=[PAY], authorization_details=[LIMITED])
    answer = acme.exchange("invoice-bot", acme.task_token(resource=BOOKS), authorization_details=empty)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.promise(3)
def test_an_agent_whose_delegation_has_scopes_only_keeps_the_limit_of_the_token_it_is_handed(
    acme: Tenant, erp: FlaskClient
) -> None:
    delegate(acme, "invoice-bot", scopes=[READ, PAY], authorization_details=[LIMITED])
    delegate(acme, "ocr-bot", scopes=[READ])
    first = acme.task_token(resource=BOOKS)
    second = acme.task_token("ocr-bot", first)
    assert claims_in(second)["authorization_details"] == [LIMITED]
    assert [status_of(erp, token, "GET", OVER) for token in (first, second)] == [403, 403]
    assert [status_of(erp, token, "GET", UNDER) for token in (first, second)] == [200, 200]


@pytest.mark.promise(3)
def test_an_agent_whose_delegation_has_a_limit_keeps_it_though_the_token_it_is_handed_has_none(
    acme: Tenant, erp: FlaskClient
) -> None:
    delegate(acme, "invoice-bot", scopes=[READ])
    delegate(acme, "ocr-bot", scopes=[READ, PAY], authorization_details=[LIMITED])
    second = acme.task_token("ocr-bot", acme.task_token(resource=BOOKS))
    assert (claims_in(second)["scope"], claims_in(second)["authorization_details"]) == (READ, [LIMITED])
    assert status_of(erp, second, "GET", OVER) == 403


@pytest.mark.promise(3)
@pytest.mark.parametrize(
    ("held", "next_"),
    [
        ({"scopes": [LIST], "authorization_details": [MOVE]}, {"scopes": [LIST]}),
        ({"scopes": [LIST]}, {"scopes": [LIST], "authorization_details": [MOVE]}),
        ({"scopes": [LIST], "authorization_details": [MOVE]},
         {"scopes": [LIST], "authorization_details": [MOVE | {"identifier": "18"}]}),
        ({"scopes": [PAY], "authorization_details": [LIMITED]},
         {"scopes": [PAY], "authorization_details": [LIMITED | {"actions": ["invoices.void"]}]}),
    ],
    ids=["only the token", "only the delegation", "both, and others", "a restriction, and another"],
)  # fmt: skip
def test_details_that_not_all_have_are_neither_granted_nor_dropped(
    acme: Tenant, erp: FlaskClient, held: dict[str, Any], next_: dict[str, Any]
) -> None:
    delegate(acme, "invoice-bot", **held)
    delegate(acme, "ocr-bot", **next_)
    first = acme.task_token(resource=BOOKS)
    assert acme.exchange("ocr-bot", first).status_code == 400
    assert acme.last_event().event.reason == "nothing_left"
    assert acme.exchange("ocr-bot", first, **detailed(MOVE)).json()["error"] == "invalid_authorization_details"


@pytest.mark.promise(3)
def test_a_client_may_restrict_itself_by_a_registered_type_and_by_no_other(acme: Tenant, erp: FlaskClient) -> None:
    delegate(acme, "invoice-bot", scopes=[READ, PAY, LIST])
    token = acme.task_token(resource=BOOKS, **detailed(LIMITED))
    assert [status_of(erp, token, "POST", invoice) for invoice in (UNDER, OVER)] == [200, 403]
    for form in (detailed(MOVE), detailed({"type": "unheard of"}), detailed(LIMITED) | {"scope": f"{PAY} {LIST}"}):
        answer = acme.exchange("invoice-bot", resource=BOOKS, **form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.promise(3)
def test_a_scope_does_not_outlive_the_entries_that_restrict_it(acme: Tenant, erp: FlaskClient) -> None:
    delegate(acme, "invoice-bot", scopes=[PAY, LIST], authorization_details=[LIMITED, MOVE])
    answer = acme.exchange("invoice-bot", resource=BOOKS, **detailed(MOVE))
    assert answer.json()["scope"] == LIST
    assert status_of(erp, access_token(answer), "POST", UNDER) == 403
    refused = acme.exchange("invoice-bot", resource=BOOKS, scope=PAY, **detailed(MOVE))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@pytest.mark.promise(3)
@pytest.mark.parametrize(
    "wanted",
    [
        [LIMITED, LIMITED],
        [LIMITED | {"except": []}],
        [LIMITED | {"except": ["over"], "actions": [PAY]}],
        [LIMITED | {"constraints": {"max_amount_usd": 100, "or": {"max_amount_usd": 9_800}}}],
        [LIMITED | {"constraints": {"max_amount_usd": 500, "max_count": 1}}],
        [LIMITED | {"constraints": {}}],
        [LIMITED | {"constraints": {"max_amount_usd": True}}],
        [LIMITED | {"constraints": {"max_amount_usd": "100"}}],
        [LIMITED | {"actions": []}],
        [LIMITED | {"actions": [PAY, PAY]}],
        [{"type": ACCESS, "actions": [PAY]}],
        [LIMITED | {"type": TRANSFER}],
    ],
    ids=["twice", "a member added", "an exception added", "an alternative", "another maximum", "no constraint",
         "true as a number", "a number as text", "no action", "an action twice", "no constraints", "another type"],
)  # fmt: skip
def test_an_entry_that_may_mean_more_is_refused_and_issues_nothing(
    acme: Tenant, erp: FlaskClient, wanted: list[dict[str, Any]]
) -> None:
    delegate(acme, "invoice-bot", scopes=[READ, PAY], authorization_details=[LIMITED])
    answer = acme.exchange("invoice-bot", resource=BOOKS, **detailed(*wanted))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")
    assert acme.last_event().event.outcome == "refused"


@pytest.mark.promise(4)
def test_what_another_tenant_registers_restricts_nothing_here(acme: Tenant, rival: Tenant) -> None:
    register_books(rival)
    books_alone = {"audience": BOOKS, "scopes": [READ, PAY], "authorization_details_types": [ACCESS]}
    administer(acme, "/resources", books_alone)
    for tenant, status in ((acme, 400), (rival, 200)):
        delegate(tenant, "invoice-bot", scopes=[READ, PAY])
        assert tenant.exchange("invoice-bot", resource=BOOKS, **detailed(LIMITED)).status_code == status
