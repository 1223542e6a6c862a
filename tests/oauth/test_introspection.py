"""Is it still true? Only to those whom it concerns, and only while all of it is (RFC 7662, RFC 7009)."""

from typing import Any

import pytest

from tests.fixtures import AGENTS, CRM, ERP, Client, Tenant, TwoTenants, claims_in, register

DEAD = {"active": False}


@pytest.mark.rfc("7662", "2.2")
def test_a_live_token_is_told_with_its_claims(acme: Tenant) -> None:
    token = acme.task_token("ocr-bot", acme.task_token())
    answer = acme.post("introspect", acme.seeded.erp, token=token, token_type_hint="refresh_token")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {"active": True, "token_type": "Bearer"} | claims_in(token)


def test_only_the_resource_server_of_the_audience_and_the_issuing_client_learn_anything(
    acme: Tenant, rival: Tenant
) -> None:
    """A matrix of every client and every token."""
    tokens = {
        "invoice-bot's": acme.task_token(),
        "ocr-bot's": acme.task_token("ocr-bot", acme.task_token()),
        "ocr-bot's own for the CRM": acme.own_token("ocr-bot", resource=CRM),
        "ocr-bot's own": acme.own_token("ocr-bot"),
        "rival's": rival.task_token(),
        "upstream's": acme.id_token(),
    }
    clients: dict[str, Client] = {"erp": acme.seeded.erp, "crm": acme.seeded.crm} | dict(acme.seeded.agents)
    concerned = {
        "invoice-bot's": {"erp", "invoice-bot"},
        "ocr-bot's": {"erp", "ocr-bot"},
        "ocr-bot's own for the CRM": {"crm", "ocr-bot"},
        "ocr-bot's own": {"ocr-bot"},
        "rival's": set(),
        "upstream's": set(),
    }
    for whose, token in tokens.items():
        told = {name for name, client in clients.items() if acme.introspect(token, client) != DEAD}
        assert told == concerned[whose], whose


def test_what_is_not_exactly_a_token_of_ours_is_not_active(acme: Tenant) -> None:
    token = acme.task_token()
    head, payload, signature = token.split(".")
    others = [
        token[:-1], token + "A", token + "=", token + " ", f" {token}", f"{head}.{payload}.", f"{head}.{payload}",
        token.replace(".", "%2E"), token.swapcase(), "x", "é", "\x01", "x" * 16_385, f"{payload}.{head}.{signature}",
        f"{head}.{payload}.{signature}.{signature}", f"{head[:-1]}.{payload}.{signature}", "null", "0",
        claims_in(token)["jti"], f"Bearer {token}", f"{token}\n",
    ]  # fmt: skip
    for other in others:
        assert acme.introspect(other) == DEAD, other
    assert acme.is_live(token)


@pytest.mark.parametrize("endpoint", ["introspect", "revoke"])
@pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": "a\x00b"}])
def test_a_token_must_be_given(read_only: Tenant, endpoint: str, form: dict[str, Any]) -> None:
    answer = read_only.post(endpoint, read_only.seeded.erp, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_is_dead_in_the_instant_of_its_expiry(two_tenants: TwoTenants) -> None:
    token = two_tenants.acme.task_token()
    two_tenants.clock.forward(119.999)
    assert two_tenants.acme.is_live(token)
    two_tenants.clock.forward(0.001)
    assert two_tenants.acme.introspect(token) == DEAD


@pytest.mark.rfc("7009", "2")
def test_a_revoked_token_is_dead_for_ever_and_revoking_it_again_is_no_error(acme: Tenant) -> None:
    token = acme.task_token()
    for _ in range(2):
        answer = acme.post("revoke", acme.agent(), token=token, token_type_hint="access_token")
        assert (answer.status_code, answer.json()) == (200, {})
        assert answer.headers["Cache-Control"] == "no-store"
    assert acme.introspect(token) == DEAD
    assert acme.introspect(token, acme.agent()) == DEAD
    assert acme.exchange("ocr-bot", token).json()["error"] == "invalid_request"
    assert [event.event.type for event in acme.events()].count("token.revoked") == 1
    assert acme.is_live(acme.task_token()), "the next one is alive"


@pytest.mark.rfc("7009", "2.1")
def test_only_the_client_that_a_token_was_issued_to_revokes_it(acme: Tenant, rival: Tenant) -> None:
    token = acme.task_token()
    for other in (acme.agent("ocr-bot"), acme.seeded.erp, acme.seeded.crm):
        answer = acme.post("revoke", other, token=token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        refused = acme.last_event().event
        assert (refused.reason, refused.subject_id) == ("token_of_another_client", acme.seeded.sam)
        assert str(refused.txn) == claims_in(token)["txn"]
    assert rival.post("revoke", rival.agent(), token=token).status_code == 200  # unknown there
    assert acme.is_live(token)


@pytest.mark.parametrize("token", ["x", "a.b.c", "é"])
def test_revoking_what_is_no_token_is_no_error(read_only: Tenant, token: str) -> None:
    assert read_only.post("revoke", read_only.agent(), token=token).status_code == 200


@pytest.mark.promise(1)
@pytest.mark.parametrize("place", range(4))
def test_revoking_one_token_of_a_chain_kills_what_was_derived_from_it_and_nothing_above(
    acme: Tenant, place: int
) -> None:
    tokens = acme.chain(*AGENTS)
    aside = acme.task_token(AGENTS[place], tokens[place])  # a second branch, below the same node
    assert acme.post("revoke", acme.agent(AGENTS[place]), token=tokens[place]).status_code == 200
    assert [acme.is_live(token) for token in tokens] == [above < place for above in range(4)]
    assert not acme.is_live(aside)
    for dead, name in zip(tokens[place:], AGENTS[place:], strict=True):
        assert acme.exchange(name, dead).json()["error"] == "invalid_request"


def test_the_client_of_a_service_that_is_an_agent_too_introspects_what_is_meant_for_it(
    acme: Tenant, rival: Tenant
) -> None:
    agent = acme.agent("ocr-bot")
    acme.sql("UPDATE resources SET principal_id = :bot WHERE tenant_id = :tenant AND audience = :erp",
             bot=agent.id, erp=ERP)  # fmt: skip
    with acme.tx() as tx:
        service = register(tx, principal_id=agent.id, audience=ERP)
    token = acme.task_token()
    assert acme.introspect(token, service)["aud"] == ERP
    assert acme.introspect(token, agent) == {"active": False}, "another client of the same agent"
    assert acme.introspect(rival.task_token(), service) == {"active": False}
