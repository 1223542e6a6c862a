"""What narrows something ends at once the tokens that rest on it; what widens it reaches new tokens only."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures import Tenant, TwoTenants, access_token, claims_in
from tests.oauth.books import administer
from tests.oauth.test_race import between_reading_and_writing
from tests.oauth.trading import LEDGER, ORDERS, TYPES, Trade, permit, trade_in

pytestmark = pytest.mark.promise(1)


@pytest.fixture
def trade(acme: Tenant) -> Trade:
    return trade_in(acme)


def patch(trade: Trade, path: str, body: dict[str, Any], status: int = 200) -> Any:
    answer = trade.administer("PATCH", path, body)
    assert answer.status_code == status, answer.text
    return answer.json()


def connection(trade: Trade) -> str:
    [(id_,)] = trade.tenant.sql("SELECT id FROM connections WHERE tenant_id = :tenant AND kind = 'oidc'")
    return f"/connections/{id_}"


PATHS: dict[str, Callable[[Trade], str]] = {
    "delegation": lambda trade: f"/delegations/{trade.delegation['id']}",
    "first": lambda trade: f"/resources/{trade.orders.id}",
    "second": lambda trade: f"/resources/{trade.ledger.id}",
    "pair": lambda trade: f"/resource-pairs/{trade.pair['id']}",
    "connection": connection,
}
NARROWED: list[tuple[str, dict[str, Any]]] = [
    ("delegation", {"scopes": ["look"]}),
    ("delegation", {"authorization_details": [{"type": "entry"}]}),
    ("delegation", {"max_lifetime_s": 60}),
    ("delegation", {"max_depth": 1}),
    ("delegation", {"expires_at": "2027-01-01T00:00:00Z"}),
    ("first", {"scopes": ["read"]}),
    ("first", {"authorization_details_types": []}),
    ("first", {"principal_id": None}),
    ("second", {"scopes": ["look"]}),
    ("second", {"authorization_details_types": [*TYPES[LEDGER], {"type": "page", "scopes": ["look"]}]}),
    ("pair", {"scopes": {"read": ["look"], "pay": ["write"]}}),
    ("pair", {"authorization_details_types": {"order": "entry"}}),
    ("connection", {"max_age_s": 60}),
    ("connection", {"max_lifetime_s": 7200}),
    ("connection", {"token_kinds": ["id_token"]}),
]


@pytest.mark.parametrize(("what", "body"), NARROWED, ids=[f"{what} {[*body]}" for what, body in NARROWED])
def test_what_rests_on_what_is_narrowed_is_dead_at_once_and_stays_so(
    acme: Tenant, trade: Trade, what: str, body: dict[str, Any]
) -> None:
    permit(acme, acme.agent("ocr-bot").id, LEDGER)
    first = trade.first()
    second = trade.crossed(first)
    third = acme.task_token("ocr-bot", second)
    before = {name: patch(trade, PATHS[what](trade), {}).get(name) for name in body}
    patch(trade, PATHS[what](trade), body)
    assert not acme.is_live(second, trade.ledger.client)
    assert not acme.is_live(third, trade.ledger.client)
    assert acme.exchange("ocr-bot", second).status_code == 400
    patch(trade, PATHS[what](trade), before)
    assert not acme.is_live(second, trade.ledger.client), "what was narrowed and is widened again"
    if what in ("delegation", "second", "pair"):
        assert acme.is_live(first, trade.orders.client), "it never rested on that"
        assert acme.is_live(trade.crossed(first), trade.ledger.client)


WIDENED: list[tuple[str, dict[str, Any]]] = [
    ("delegation", {"max_lifetime_s": 300}),
    ("delegation", {"expires_at": None}),
    ("first", {"scopes": ["read", "pay", "void"]}),
    ("first", {"authorization_details_types": [*TYPES[ORDERS], "memo"]}),
    ("second", {"scopes": ["look", "write", "close", "open"]}),
    ("pair", {"scopes": {"read": ["look", "close"], "pay": ["look", "write"]}}),
    ("connection", {"max_age_s": 100_000}),
    ("connection", {"upstream_act": "keep"}),
    ("connection", {"name": "sign-in"}),
]


@pytest.mark.parametrize(("what", "body"), WIDENED, ids=[f"{what} {[*body]}" for what, body in WIDENED])
def test_what_widens_ends_nothing_and_changes_no_token(
    acme: Tenant, trade: Trade, what: str, body: dict[str, Any]
) -> None:
    second = trade.crossed(trade.first())
    patch(trade, PATHS[what](trade), body)
    answer = acme.introspect(second, trade.ledger.client)
    assert (answer["active"], answer["scope"]) == (True, "look write")


def test_a_new_token_has_what_was_widened(acme: Tenant, trade: Trade) -> None:
    first = trade.first()
    patch(trade, PATHS["pair"](trade), {"scopes": {"read": ["close"], "pay": ["look", "write"]}})
    assert claims_in(trade.crossed(first))["scope"] == "look write close"
    patch(trade, PATHS["delegation"](trade), {"scopes": ["close"]})
    assert claims_in(trade.crossed(first))["scope"] == "close"


def test_a_token_for_an_agent_itself_rests_on_the_resource_server_that_it_is_for(acme: Tenant, trade: Trade) -> None:
    acme.sql("UPDATE clients SET scopes = '{read,pay}' WHERE tenant_id = :tenant AND client_id = :id",
             id=acme.agent("ocr-bot").client_id)  # fmt: skip
    token, elsewhere = acme.own_token("ocr-bot", resource=ORDERS), acme.own_token("ocr-bot")
    patch(trade, PATHS["first"](trade), {"scopes": ["read"]})
    assert not acme.is_live(token, acme.agent("ocr-bot"))
    assert acme.is_live(elsewhere, acme.agent("ocr-bot"))
    assert claims_in(acme.own_token("ocr-bot", resource=ORDERS))["scope"] == "read"


def test_a_scope_that_is_gone_from_the_resource_server_is_granted_no_more(acme: Tenant, trade: Trade) -> None:
    """The delegation has it still, and it comes back with it."""
    patch(trade, PATHS["first"](trade), {"scopes": ["read"]})
    assert claims_in(trade.first())["scope"] == "read"
    refused = acme.exchange("invoice-bot", resource=ORDERS, scope="pay")
    assert refused.json()["error"] == "invalid_scope"
    patch(trade, PATHS["first"](trade), {"scopes": ["read", "pay"]})
    assert claims_in(trade.first())["scope"] == "read pay"


@pytest.mark.promise(3)
def test_a_type_that_is_taken_away_frees_no_scope_that_it_restricted(acme: Tenant, trade: Trade) -> None:
    """A delegation whose entries are all gone permits nothing; with others left, what the type restricted is shut."""
    limit, note = {"type": "order", "constraints": {"max_amount": 100}}, {"type": "note"}
    bots = {name: acme.agent(name) for name in ("ocr-bot", "archive-bot")}
    permit(acme, bots["ocr-bot"].id, ORDERS, authorization_details=[limit])
    permit(acme, bots["archive-bot"].id, ORDERS, authorization_details=[limit, note])
    patch(trade, PATHS["first"](trade), {"authorization_details_types": ["note"]})
    assert acme.exchange("ocr-bot", resource=ORDERS).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "delegation_not_offered"
    claims = claims_in(acme.task_token("archive-bot", resource=ORDERS))
    assert (claims["scope"], claims["authorization_details"]) == ("read", [note])
    asked = json.dumps([limit])
    answer = acme.exchange("invoice-bot", resource=ORDERS, authorization_details=asked)
    assert answer.json()["error"] == "invalid_authorization_details"


@pytest.mark.promise(3)
def test_a_restriction_whose_scopes_are_all_gone_opens_nothing_alone(acme: Tenant, trade: Trade) -> None:
    """Authorization details without a scope open whatever they restrict; with one, they opened that one alone."""
    limit = {"type": "order", "constraints": {"max_amount": 100}}
    patch(trade, PATHS["first"](trade), {"scopes": ["read", "pay", "void"]})
    permit(acme, acme.agent("ocr-bot").id, ORDERS, scopes=["void"], authorization_details=[limit])
    assert claims_in(acme.task_token("ocr-bot", resource=ORDERS))["scope"] == "void"
    patch(trade, PATHS["first"](trade), {"scopes": ["read", "pay"]})
    assert acme.exchange("ocr-bot", resource=ORDERS).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "delegation_not_offered"


def test_a_deleted_resource_server_is_the_end_of_all_that_rests_on_it(
    acme: Tenant, rival: Tenant, trade: Trade
) -> None:
    theirs = trade_in(rival)
    first, their_first = trade.first(), theirs.first()
    second = trade.crossed(first)
    assert trade.administer("DELETE", f"/resources/{trade.orders.id}").status_code == 204
    listed = trade.administer("GET", f"/delegations?active=true&actor={acme.agent().id}").json()["items"]
    assert ORDERS not in {each["resource"] for each in listed}
    assert acme.post("introspect", trade.orders.client, token=first).status_code == 401, "its client has ended"
    assert not acme.is_live(first, acme.agent())
    assert not acme.is_live(second, trade.ledger.client)
    assert acme.exchange("invoice-bot", resource=ORDERS).json()["error"] == "invalid_target"
    body = {"audience": ORDERS, "principal_id": str(trade.orders.client.id), "scopes": ["read", "pay"],
            "authorization_details_types": TYPES[ORDERS]}  # fmt: skip
    administer(acme, "/resources", body)
    assert acme.exchange("invoice-bot", resource=ORDERS).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "not_delegated"
    assert not acme.is_live(first, acme.agent())
    assert not acme.is_live(second, trade.ledger.client)
    permit(acme, acme.agent().id, ORDERS)
    assert acme.is_live(trade.first(), acme.agent())
    assert rival.is_live(theirs.crossed(their_first), theirs.ledger.client)


def test_old_delegations_at_a_resource_server_that_was_deleted_hide_none_at_the_new_one(
    acme: Tenant, trade: Trade
) -> None:
    """An exchange looks at a hundred delegations for groups; those that ended with the resource server are not among
    them, and do not count.
    """
    [(id_,)] = acme.sql("SELECT id FROM delegations WHERE tenant_id = :tenant AND resource = :orders", orders=ORDERS)
    acme.sql(
        """INSERT INTO delegations (tenant_id, id, actor_id, subject_group_id, resource, scopes, max_lifetime_s,
                                    max_depth, created_at)
           SELECT tenant_id, CAST('00000000-0000-7000-8000-' || lpad(n::text, 12, '0') AS uuid), actor_id,
                  subject_group_id, resource, scopes, max_lifetime_s, max_depth, created_at
             FROM delegations, generate_series(2001, 2099) AS n WHERE tenant_id = :tenant AND id = :id""",
        id=id_,
    )
    trade.administer("DELETE", f"/resources/{trade.orders.id}")
    administer(acme, "/resources", {"audience": ORDERS, "scopes": ["read", "pay"]})
    permit(acme, acme.agent().id, ORDERS)
    assert claims_in(trade.first())["scope"] == "read pay"


@pytest.mark.parametrize("how", ["narrowed", "deleted"])
def test_a_pair_that_is_cut_between_reading_and_writing_lets_nothing_cross(two_tenants: TwoTenants, how: str) -> None:
    trade = trade_in(two_tenants.acme)
    first = trade.first()
    path = PATHS["pair"](trade)

    def cut() -> None:
        if how == "deleted":
            trade.administer("DELETE", path)
        else:
            patch(trade, path, {"scopes": {"read": ["look"], "pay": ["write"]}})

    with between_reading_and_writing(two_tenants, cut):
        answer = trade.cross(first)
    assert answer.json()["error"] == "invalid_grant"
    reason = two_tenants.acme.last_event().event.reason
    assert reason == ("pair_deleted" if how == "deleted" else "authority_narrowed")
    assert access_token(trade.cross(first)) if how == "narrowed" else trade.cross(first).status_code == 400


@pytest.mark.parametrize("how", ["deleted", "run by nobody"])
def test_a_service_that_loses_its_resource_server_meanwhile_takes_nothing_on(two_tenants: TwoTenants, how: str) -> None:
    trade = trade_in(two_tenants.acme)
    first = trade.first()
    path = PATHS["first"](trade)

    def cut() -> None:
        if how == "deleted":
            trade.administer("DELETE", path)
        else:
            patch(trade, path, {"principal_id": None})

    with between_reading_and_writing(two_tenants, cut):
        answer = trade.cross(first)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert trade.cross(first).status_code == 401
