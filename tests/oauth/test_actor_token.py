"""An actor token (RFC 8693 §2.1) is an agent's own, and is presented by that agent."""

import pytest

from tests.fixtures import ERP, TYPE, Tenant, TwoTenants, access_token, actors_in, employ, let_act


@pytest.mark.promise(3)
def test_a_token_ends_with_the_actor_token_that_it_rests_on(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    proof = acme.own_token("ocr-bot")
    two_tenants.clock.forward(250)
    form = {"actor_token": proof, "actor_token_type": f"{TYPE}access_token"}
    answer = acme.exchange("ocr-bot", **form)
    assert answer.json()["expires_in"] == 50
    task_token = access_token(answer)
    assert actors_in(task_token) == [str(acme.agent("ocr-bot").id)]
    assert acme.is_live(task_token)
    assert acme.post("revoke", acme.agent("ocr-bot"), token=proof).status_code == 200
    assert not acme.is_live(task_token), "revoked with the proof of who acts"
    assert acme.exchange("ocr-bot", **form).json()["error"] == "invalid_request"


def test_an_actor_token_is_an_agents_own_for_this_issuer(acme: Tenant, rival: Tenant) -> None:
    task_token = acme.task_token()
    wrong = {
        "actor_token_audience": [acme.own_token("ocr-bot", resource=ERP), task_token],
        "actor_token_unknown": [rival.own_token("ocr-bot"), acme.id_token()],
    }
    for reason, tokens in wrong.items():
        for token in tokens:
            form = {"actor_token": token, "actor_token_type": f"{TYPE}access_token"}
            answer = acme.exchange("invoice-bot", **form)
            assert answer.json()["error"] == "invalid_request"
            assert acme.last_event().event.reason == reason
    forged = acme.own_token("ocr-bot")[:-8] + "AAAAAAAA"
    acme.exchange("invoice-bot", actor_token=forged, actor_token_type=f"{TYPE}access_token")
    assert acme.last_event().event.reason == "actor_token_signature"


@pytest.mark.promise(3)
@pytest.mark.parametrize("is_delegated", [True, False])
def test_an_actor_token_is_taken_from_no_other_agent_than_the_one_it_names(acme: Tenant, is_delegated: bool) -> None:
    """The one who presents it would act, and stand neither in ``act`` nor in the audit log."""
    with acme.tx() as tx:
        rogue = employ(tx, "rogue", acme.seeded.dana)
        if is_delegated:
            let_act(tx, rogue.id, acme.seeded.finance)
    form = {"actor_token": acme.own_token("ocr-bot"), "actor_token_type": f"{TYPE}access_token"}
    assert acme.exchange(rogue, **form).json()["error"] == "invalid_request"
    refused = acme.events(principal_id=rogue.id)[-1].event
    assert refused.reason == "actor_token_presenter"
    assert set(refused.actor_ids) == {rogue.id, acme.agent("ocr-bot").id}
    assert acme.is_live(access_token(acme.exchange("ocr-bot", **form)))


def test_the_actor_of_an_actor_token_needs_a_delegation_of_its_own(acme: Tenant) -> None:
    with acme.tx() as tx:
        undelegated = employ(tx, "undelegated", acme.seeded.dana)
    proof = access_token(acme.ask(undelegated, grant_type="client_credentials"))
    form = {"actor_token": proof, "actor_token_type": f"{TYPE}access_token"}
    assert acme.exchange(undelegated, **form).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "not_delegated"
    assert acme.exchange(undelegated).status_code == 400
