"""A service trades a token for itself for one for the next service: the audience changes, and nothing else grows."""

import json
from typing import Any

import pytest

from identity.model.lifecycle import Transition
from tests.fixtures import CRM, ERP, Tenant, TwoTenants, actors_in, claims_in
from tests.oauth.books import administer
from tests.oauth.test_budget import statements
from tests.oauth.trading import ENTRY, LEDGER, LIMIT, ORDERS, PAIR, VAULT, Trade, permit, serve, trade_in

pytestmark = pytest.mark.promise(3)


@pytest.fixture
def trade(acme: Tenant) -> Trade:
    return trade_in(acme)


@pytest.mark.rfc("8693", "2.2.1")
def test_a_service_trades_a_token_for_itself_for_one_for_the_next_service(acme: Tenant, trade: Trade) -> None:
    first = trade.first()
    second = trade.crossed(first)
    before, after = claims_in(first), claims_in(second)
    assert (before["aud"], after["aud"]) == (ORDERS, LEDGER)
    assert {name: after[name] for name in ("sub", "txn", "tenant", "iss")} == {
        name: before[name] for name in ("sub", "txn", "tenant", "iss")
    }
    assert actors_in(second) == [str(trade.orders.client.id), str(acme.agent().id)]
    assert after["scope"] == "look write"
    assert after["exp"] <= before["exp"]
    assert after["client_id"] == trade.orders.client.client_id
    assert acme.is_live(second, trade.ledger.client)
    assert acme.introspect(first, trade.orders.client)["active"] is True, "the same client introspects"
    assert acme.sql("SELECT count(*) FROM tasks WHERE tenant_id = :tenant") == [(1,)]
    detail = acme.last_event().event.detail
    assert (detail["audience"], detail["pairs"]) == (LEDGER, [trade.pair["id"]])


def test_it_does_not_outlive_the_token_that_it_was_traded_for(two_tenants: TwoTenants) -> None:
    trade = trade_in(two_tenants.acme)
    first = trade.first()
    two_tenants.clock.forward(100)
    assert claims_in(trade.crossed(first))["exp"] == claims_in(first)["exp"]


def test_the_chain_goes_on_at_the_next_service_and_to_a_third(acme: Tenant, trade: Trade) -> None:
    serve(acme, VAULT)
    permit(acme, trade.ledger.client.id, VAULT, scopes=["find"])
    administer(acme, "/resource-pairs", {"from": LEDGER, "to": VAULT, "scopes": {"look": ["find"]}})
    second = trade.crossed(trade.first())
    third = trade.cross(second, trade.ledger.client, resource=VAULT).json()["access_token"]
    claims = claims_in(third)
    assert (claims["aud"], claims["scope"]) == (VAULT, "find")
    bots = [trade.ledger.client.id, trade.orders.client.id, acme.agent().id]
    assert actors_in(third) == list(map(str, bots))
    assert claims["txn"] == claims_in(second)["txn"]


@pytest.mark.parametrize("name", ["invoice-bot", "ocr-bot", "the service's other client", "the next service"])
def test_only_the_client_of_the_service_that_a_token_is_for_takes_it_to_another(
    acme: Tenant, trade: Trade, name: str
) -> None:
    """Each of them has a delegation at the next resource server."""
    first = trade.first()
    other = administer(acme, "/clients", {"principal_id": str(trade.orders.client.id)})
    clients = {name: acme.agent(name) for name in ("invoice-bot", "ocr-bot")} | {
        "the service's other client": type(acme.agent())(other["client_id"], None, other["client_secret"]),
        "the next service": trade.ledger.client,
    }
    for actor in (acme.agent().id, acme.agent("ocr-bot").id, trade.ledger.client.id):
        permit(acme, actor, LEDGER)
    answer = trade.cross(first, clients[name])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert acme.last_event().event.reason == "audience_differs"


def test_a_client_that_only_introspects_trades_nothing(acme: Tenant, trade: Trade) -> None:
    made = administer(acme, "/clients", {"audience": ORDERS})
    only = type(acme.agent())(made["client_id"], None, made["client_secret"])
    assert trade.cross(trade.first(), only).json()["error"] == "unauthorized_client"


def test_without_a_pair_nothing_crosses_and_a_pair_has_one_direction(acme: Tenant, trade: Trade) -> None:
    permit(acme, trade.orders.client.id, CRM, scopes=["invoices.read"])
    first = trade.first()
    answer = trade.cross(first, resource=CRM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
    assert "(pair_not_allowed)" in answer.json()["error_description"]
    refused = acme.last_event().event
    assert (refused.reason, str(refused.txn)) == ("pair_not_allowed", claims_in(first)["txn"])
    permit(acme, acme.agent().id, LEDGER)
    permit(acme, trade.ledger.client.id, ORDERS)
    back = trade.cross(acme.task_token("invoice-bot", resource=LEDGER), trade.ledger.client, resource=ORDERS)
    assert "(pair_not_allowed)" in back.json()["error_description"]


def test_nobody_comes_back_to_an_audience_that_the_chain_has_left(acme: Tenant, trade: Trade) -> None:
    """There and back, the pairs might allow more than the chain began with."""
    back = {"from": LEDGER, "to": ORDERS, "scopes": {"look": ["read", "pay"]}}
    administer(acme, "/resource-pairs", back)
    permit(acme, trade.ledger.client.id, ORDERS)
    second = trade.crossed(trade.first(scope="read"))
    answer = trade.cross(second, trade.ledger.client, resource=ORDERS)
    assert answer.json()["error"] == "invalid_target"
    assert acme.last_event().event.reason == "audience_was_left"


def test_no_delegation_at_the_next_resource_server_no_token(acme: Tenant, trade: Trade) -> None:
    first = trade.first()
    acme.sql(
        "UPDATE delegations SET ended_at = now() WHERE tenant_id = :tenant AND id = :id", id=trade.delegation["id"]
    )
    assert trade.cross(first).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "not_delegated"


def test_a_service_that_acts_already_does_not_act_again(acme: Tenant, trade: Trade) -> None:
    """It acted for Sam at itself: nobody stands twice in a chain, and no chain changes its audience without growing."""
    permit(acme, trade.orders.client.id, ORDERS)
    for token in (
        acme.task_token(trade.orders.client, resource=ORDERS),  # type: ignore[arg-type]
        acme.task_token("ocr-bot", acme.task_token(trade.orders.client, resource=ORDERS))  # type: ignore[arg-type]
        if permit(acme, acme.agent("ocr-bot").id, ORDERS)
        else "",
    ):
        assert trade.cross(token).json()["error"] == "invalid_request"
        assert acme.last_event().event.reason == "actor_already_in_chain"


@pytest.mark.parametrize("max_depth", [1, 2])
def test_depth_counts_across_audiences(acme: Tenant, trade: Trade, max_depth: int) -> None:
    acme.sql(
        "UPDATE delegations SET max_depth = :most WHERE tenant_id = :tenant AND resource = :orders",
        most=max_depth,
        orders=ORDERS,
    )
    answer = trade.cross(trade.first())
    assert answer.status_code == (400 if max_depth == 1 else 200)
    if max_depth == 1:
        assert acme.last_event().event.reason == "depth_exceeded"
        return
    permit(acme, acme.agent("ocr-bot").id, LEDGER)
    assert acme.exchange("ocr-bot", answer.json()["access_token"]).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "depth_exceeded"


@pytest.mark.parametrize(
    ("held", "delegated", "asked", "granted"),
    [
        ({}, {}, {}, "look write"),
        ({"scope": "read"}, {}, {}, "look"),
        ({"scope": "pay"}, {}, {}, "look write"),
        ({}, {"scopes": ["write", "close"]}, {}, "write"),
        ({}, {}, {"scope": "write"}, "write"),
        ({"scope": "read"}, {}, {"scope": "write"}, "invalid_scope"),
        ({}, {}, {"scope": "close"}, "invalid_scope"),  # delegated, and no scope of the first allows it
        ({}, {}, {"scope": "pay"}, "invalid_scope"),  # a scope of the first is none of the second
        ({}, {"scopes": ["close"]}, {}, "invalid_scope"),
    ],
)
def test_what_crosses_is_what_the_pair_allows_for_what_is_held_and_is_delegated(
    acme: Tenant, trade: Trade, held: dict[str, Any], delegated: dict[str, Any], asked: dict[str, Any], granted: str
) -> None:
    if delegated:
        trade.administer("DELETE", f"/delegations/{trade.delegation['id']}")
        permit(acme, trade.orders.client.id, LEDGER, **delegated)
    answer = trade.cross(trade.first(**held), **asked)
    assert answer.json().get("scope", answer.json().get("error")) == granted


def test_where_nothing_crosses_a_delegation_gives_nothing_of_its_own(acme: Tenant, trade: Trade) -> None:
    """What is held without details is not restricted, but what is not held at all is nothing."""
    for path in (f"/resource-pairs/{trade.pair['id']}", f"/delegations/{trade.delegation['id']}"):
        trade.administer("DELETE", path)
    administer(acme, "/resource-pairs", {"from": ORDERS, "to": LEDGER, "scopes": {"pay": ["write"]}})
    permit(acme, trade.orders.client.id, LEDGER, scopes=[], authorization_details=[ENTRY])
    answer = trade.cross(trade.first(scope="read"))
    assert answer.json()["error"] == "invalid_scope"
    assert acme.last_event().event.reason == "nothing_left"


def test_authorization_details_cross_as_the_types_that_they_are_mapped_to(trade: Trade) -> None:
    first = trade.first(authorization_details=json.dumps([LIMIT]))
    assert claims_in(first)["authorization_details"] == [LIMIT]
    second = claims_in(trade.crossed(first))
    assert (second["scope"], second["authorization_details"]) == ("look write", [ENTRY])
    less = ENTRY | {"constraints": {"max_amount": 100}}
    assert claims_in(trade.crossed(first, authorization_details=json.dumps([less])))["authorization_details"] == [less]
    for more in (ENTRY | {"constraints": {"max_amount": 501}}, LIMIT):
        answer = trade.cross(first, authorization_details=json.dumps([more]))
        assert answer.json()["error"] == "invalid_authorization_details"


def test_details_whose_type_the_pair_does_not_map_do_not_cross_and_are_not_dropped(acme: Tenant, trade: Trade) -> None:
    trade.administer("DELETE", f"/resource-pairs/{trade.pair['id']}")
    for types in ({}, {"note": "memo"}):
        made = administer(acme, "/resource-pairs", PAIR | {"authorization_details_types": types})
        answer = trade.cross(trade.first(authorization_details=json.dumps([LIMIT])))
        assert answer.json()["error"] == "invalid_target"
        assert acme.last_event().event.reason == "authorization_details_do_not_cross"
        assert trade.cross(trade.first()).status_code == 200, "what is held without details crosses without"
        trade.administer("DELETE", f"/resource-pairs/{made['id']}")


@pytest.mark.promise(1)
def test_a_pair_that_is_deleted_ends_what_crossed_by_it_and_is_not_the_one_that_is_made_anew(
    acme: Tenant, trade: Trade
) -> None:
    first = trade.first()
    second = trade.crossed(first)
    permit(acme, acme.agent("ocr-bot").id, LEDGER)
    third = acme.task_token("ocr-bot", second)
    assert trade.administer("DELETE", f"/resource-pairs/{trade.pair['id']}").status_code == 204
    again = administer(acme, "/resource-pairs", PAIR)
    assert again["id"] != trade.pair["id"]
    for token in (second, third):
        assert not acme.is_live(token, trade.ledger.client)
    assert acme.exchange("ocr-bot", second).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_token_pair_deleted"
    assert acme.is_live(first, trade.orders.client), "the first never crossed"
    assert acme.is_live(trade.crossed(first), trade.ledger.client)


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    "ended",
    ["the first token", "the person", "the first agent", "the service", "its client", "the delegation at the first",
     "the delegation at the second", "the task"],
)  # fmt: skip
def test_what_ends_at_the_first_resource_server_ends_at_the_second(acme: Tenant, trade: Trade, ended: str) -> None:
    first = trade.first()
    second = trade.crossed(first)
    at_first = acme.sql("SELECT id FROM delegations WHERE tenant_id = :tenant AND resource = :orders", orders=ORDERS)
    assert acme.is_live(second, trade.ledger.client)
    match ended:
        case "the first token":
            assert acme.post("revoke", acme.agent(), token=first).status_code == 200
        case "the person":
            acme.befall(acme.seeded.sam, Transition.SUSPEND)
        case "the first agent":
            acme.befall(acme.agent().id, Transition.SUSPEND)
        case "the service":
            acme.befall(trade.orders.client.id, Transition.SUSPEND)
        case "its client":
            trade.administer("DELETE", f"/clients/{trade.orders.client.client_id}")
        case "the delegation at the first":
            trade.administer("DELETE", f"/delegations/{at_first[0][0]}")
        case "the delegation at the second":
            trade.administer("DELETE", f"/delegations/{trade.delegation['id']}")
        case "the task":
            trade.administer("POST", f"/tasks/{claims_in(first)['txn']}/cancel", {"reason": "test"})
    assert not acme.is_live(second, trade.ledger.client)


@pytest.mark.promise(4)
def test_a_pair_a_service_and_a_token_of_one_tenant_are_nothing_in_the_other(acme: Tenant, rival: Tenant) -> None:
    """The twin has the same ids, and all of it but the pair."""
    here, there = trade_in(acme), trade_in(rival)
    there.administer("DELETE", f"/resource-pairs/{there.pair['id']}")
    assert there.cross(there.first()).json()["error"] == "invalid_target"
    assert rival.last_event().event.reason == "pair_not_allowed"
    second = here.crossed(here.first())
    assert there.cross(here.first()).json()["error"] == "invalid_request"
    assert rival.last_event().event.reason == "subject_token_issuer"
    assert acme.exchange(there.orders.client, here.first(), resource=LEDGER).status_code == 401
    there.administer("DELETE", f"/resource-pairs/{here.pair['id']}")
    assert acme.is_live(second, here.ledger.client)


@pytest.mark.promise(10)
def test_crossing_takes_at_most_five_round_trips_and_introspection_of_it_three(two_tenants: TwoTenants) -> None:
    trade = trade_in(two_tenants.acme)
    second = trade.crossed(trade.first())
    two_tenants.acme.is_live(second, trade.ledger.client)
    first = trade.first()
    with statements(two_tenants) as sent:
        second = trade.crossed(first)
    assert len(sent) == 5, sent
    with statements(two_tenants) as sent:
        assert two_tenants.acme.is_live(second, trade.ledger.client)
    assert len(sent) <= 3, sent


def test_what_was_said_of_another_audience_stays_so_for_who_is_no_service(acme: Tenant) -> None:
    answer = acme.exchange("ocr-bot", acme.task_token(), resource=CRM)
    assert answer.json()["error"] == "invalid_target"
    assert acme.last_event().event.reason == "audience_differs"
    assert acme.exchange("ocr-bot", acme.task_token(), resource=ERP).status_code == 200
