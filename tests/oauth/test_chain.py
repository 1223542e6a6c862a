"""Handing on: agent to agent to agent, the whole chain kept, only ever less."""

from dataclasses import replace

import pytest

from identity.model.lifecycle import Transition
from tests.fixtures import AGENTS, SCOPES, TYPE, Tenant, TwoTenants, access_token, actors_in, claims_in, employ, let_act


def ids(tenant: Tenant, *names: str) -> list[str]:
    return [str(tenant.agent(name).id) for name in names]


@pytest.mark.promise(3)
@pytest.mark.rfc("8693", "4.1")
def test_a_chain_of_four_keeps_every_link_and_its_subject_audience_and_task(acme: Tenant) -> None:
    tokens = acme.chain(*AGENTS)
    first = claims_in(tokens[0])
    for length, token in enumerate(tokens, start=1):
        claims = claims_in(token)
        assert actors_in(token) == ids(acme, *reversed(AGENTS[:length]))
        assert claims["act"]["iss"] == acme.issuer
        assert claims["client_id"] == acme.agent(AGENTS[length - 1]).client_id
        assert {name: claims[name] for name in ("sub", "aud", "txn", "tenant", "iss")} == {
            name: first[name] for name in ("sub", "aud", "txn", "tenant", "iss")
        }
        assert claims["exp"] <= first["exp"]
        assert claims["act"].get("act") == (claims_in(tokens[length - 2])["act"] if length > 1 else None)
        assert acme.is_live(token)


@pytest.mark.promise(3)
def test_down_a_chain_scope_is_given_up_and_never_comes_back(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    first = acme.task_token()
    two_tenants.clock.forward(20)
    second = acme.task_token("ocr-bot", first, scope="invoices.read")
    assert claims_in(second)["scope"] == "invoices.read"
    assert claims_in(second)["exp"] == claims_in(first)["exp"]
    for name in ("ocr-bot", "archive-bot"):
        assert acme.exchange(name, second, scope="invoices.pay").json()["error"] == "invalid_scope"
        assert claims_in(acme.task_token(name, second))["scope"] == "invoices.read"
    assert claims_in(acme.task_token("ocr-bot", first))["scope"] == " ".join(SCOPES)  # the first still has it


def test_an_actor_that_narrows_its_own_token_adds_no_link(acme: Tenant) -> None:
    first = acme.task_token()
    narrowed = acme.task_token("invoice-bot", first, scope="invoices.read")
    assert actors_in(narrowed) == actors_in(first)
    assert claims_in(narrowed)["txn"] == claims_in(first)["txn"]
    assert claims_in(narrowed)["exp"] <= claims_in(first)["exp"]
    assert acme.exchange("invoice-bot", narrowed, scope="invoices.pay").json()["error"] == "invalid_scope"


@pytest.mark.parametrize("max_depth", [1, 2, 3])
def test_a_token_is_handed_on_as_often_as_its_delegation_says(acme: Tenant, max_depth: int) -> None:
    acme.sql("UPDATE delegations SET max_depth = :max_depth WHERE tenant_id = :tenant AND id = :id",
             max_depth=max_depth, id=acme.seeded.delegations["invoice-bot"])  # fmt: skip
    tokens = acme.chain(*AGENTS[:max_depth])
    answer = acme.exchange(AGENTS[max_depth], tokens[-1])
    assert answer.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "depth_exceeded"
    assert acme.exchange(AGENTS[max_depth - 1], tokens[-1]).status_code == 200, "narrowing is not handing on"


def test_a_later_delegation_of_greater_depth_does_not_lengthen_a_chain(acme: Tenant) -> None:
    acme.sql("UPDATE delegations SET max_depth = 2 WHERE tenant_id = :tenant AND id = :id",
             id=acme.seeded.delegations["invoice-bot"])  # fmt: skip
    second = acme.chain("invoice-bot", "ocr-bot")[-1]
    assert acme.exchange("archive-bot", second).status_code == 400
    assert acme.last_event().event.reason == "depth_exceeded"


def test_no_chain_has_a_fifth_actor(acme: Tenant) -> None:
    with acme.tx() as tx:
        fifth = employ(tx, "fifth-bot", acme.seeded.dana)
        let_act(tx, fifth.id, acme.seeded.finance)
    tokens = acme.chain(*AGENTS)
    assert acme.exchange(fifth, tokens[-1]).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "depth_exceeded"
    assert acme.exchange(fifth, tokens[-2]).status_code == 200


def test_no_agent_stands_twice_in_a_chain(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    assert acme.exchange("invoice-bot", tokens[-1]).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "actor_already_in_chain"


def test_another_agents_task_is_nothing_without_a_delegation_of_ones_own(acme: Tenant) -> None:
    with acme.tx() as tx:
        thief = employ(tx, "thief", acme.seeded.dana)
    stolen = acme.task_token()
    assert acme.exchange(thief, stolen).json()["error"] == "invalid_request"
    refused = acme.last_event().event
    assert refused.reason == "not_delegated"
    assert refused.actor_ids == (thief.id, acme.agent().id)
    assert str(refused.txn) == claims_in(stolen)["txn"]
    proof = {"actor_token": access_token(acme.ask(thief, grant_type="client_credentials"))}
    assert acme.exchange("invoice-bot", stolen, actor_token_type=f"{TYPE}access_token", **proof).status_code == 400
    assert acme.last_event().event.reason == "actor_token_presenter"


def test_dropping_the_actor_token_does_not_drop_the_chain(acme: Tenant) -> None:
    """Whether a token has actors decides, and not whether an actor_token came along."""
    second = acme.task_token("ocr-bot", acme.task_token())
    assert len(actors_in(second)) == 2
    for form in ({}, {"resource": claims_in(second)["aud"]}, {"subject_token_type": f"{TYPE}jwt"}):
        again = access_token(acme.exchange("ocr-bot", second, **form))
        assert actors_in(again) == actors_in(second)


def test_a_token_is_narrowed_again_only_so_often(acme: Tenant) -> None:
    token = acme.task_token()
    for _ in range(16):
        token = acme.task_token("invoice-bot", token)
    assert acme.exchange("invoice-bot", token).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "too_many_ancestors"


def test_a_chain_cannot_be_forged_by_its_own_agent(acme: Tenant, rival: Tenant) -> None:
    """An agent's own key, the other tenant's issuer, or another payload under a good signature: none is believed."""
    token = acme.task_token()
    agent = acme.agent()
    self_made = replace(agent).assertion(acme.issuer, acme.now, header={"typ": "at+jwt"}, **claims_in(token))
    head, payload, signature = token.split(".")
    other_payload = acme.task_token("invoice-bot", token).split(".")[1]
    for forged in (self_made, f"{head}.{other_payload}.{signature}", f"{head}.{payload}.{signature[::-1]}"):
        assert acme.exchange("ocr-bot", forged).json()["error"] == "invalid_request"
        assert acme.last_event().event.reason in ("subject_token_key", "subject_token_signature", "token_shape")
        assert not acme.is_live(forged)


def test_a_dead_link_ends_the_handing_on(acme: Tenant) -> None:
    second = acme.chain("invoice-bot", "ocr-bot")[-1]
    acme.befall(acme.agent("invoice-bot").id, Transition.SUSPEND)
    assert acme.exchange("archive-bot", second).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_token_party_inactive"
