"""A renewal after something that the token depends on ended or changed, and with tokens and keys of others."""

import base64
import json
from datetime import timedelta
from uuid import UUID

import pytest
from joserfc.jwk import ECKey

from identity.actions.federated_subjects import link_subject, unlink_subject
from identity.actions.issuance import sign
from identity.model.connection import Match
from identity.model.principal import Kind
from identity.store.signing_keys import signing_keys_list
from tests.fixtures import (
    ADMINISTRATOR,
    ERP,
    TYPE,
    Agent,
    Tenant,
    TwoTenants,
    access_token,
    claims_in,
    let_act,
    provision,
    register,
    trust,
)
from tests.oauth.test_joined_tasks import opened
from tests.oauth.test_promises import scim
from tests.oauth.test_race import between_reading_and_writing
from tests.oauth.test_renewal import administer, reason, renew
from tests.upstream_issuer import Upstream

pytestmark = pytest.mark.promise(3)
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
AGENT = "urn:ietf:params:scim:schemas:core:2.0:Agent"


def put_off(tenant: Tenant, agent_id: str, seconds: float) -> None:
    until = (tenant.now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    operation = {"op": "replace", "path": "validity.until", "value": until}
    answer = scim(tenant, "PATCH", f"/Agents/{agent_id}", {"schemas": [PATCH], "Operations": [operation]})
    assert answer.status_code == 200, answer.text


def visiting(tenant: Tenant) -> Agent:
    """An agent whom the directory lets act for one minute."""
    until = (tenant.now + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"schemas": [AGENT], "agentUserName": "visitor", "active": True, "validity": {"until": until},
            "owners": [{"value": str(tenant.seeded.dana)}]}  # fmt: skip
    id_ = UUID(scim(tenant, "POST", "/Agents", body).json()["id"])
    with tenant.tx() as tx:
        client = register(tx, principal_id=id_)
        let_act(tx, id_, tenant.seeded.finance)
    return Agent(client.client_id, client.key, client.secret, id_)


@pytest.mark.parametrize("chain", [["invoice-bot"], ["invoice-bot", "ocr-bot"]])
def test_a_delegation_that_expired_and_is_extended_renews_no_token_of_before(
    two_tenants: TwoTenants, chain: list[str]
) -> None:
    acme = two_tenants.acme
    path = f"/delegations/{acme.seeded.delegations['invoice-bot']}"
    administer(acme, "PATCH", path, {"expires_at": (acme.now + timedelta(seconds=60)).isoformat()})
    token = acme.chain(*chain)[-1]
    two_tenants.clock.forward(120)
    administer(acme, "PATCH", path, {"expires_at": None})
    assert reason(renew(acme, token, chain[-1])) == "renewable_no_more"
    assert renew(acme, acme.chain(*chain)[-1], chain[-1]).status_code == 200, "a token of afterwards"


def test_an_agent_whose_time_was_over_and_is_put_off_renews_no_token_of_before(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    visitor = visiting(acme)
    token = access_token(acme.exchange(visitor))
    two_tenants.clock.forward(300)
    assert acme.exchange(visitor, token, renew="true").status_code == 400
    put_off(acme, str(visitor.id), 3_000)
    assert acme.exchange(visitor, token, renew="true").status_code == 400
    assert acme.exchange(visitor).status_code == 200


def test_a_window_that_is_shortened_ends_what_rests_on_it_though_it_be_widened_again(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    visitor = visiting(acme)
    put_off(acme, str(visitor.id), 3_000)
    token = access_token(acme.exchange(visitor))
    put_off(acme, str(visitor.id), 200_000)
    assert acme.is_live(token), "widened"
    put_off(acme, str(visitor.id), 100_000)
    assert acme.is_live(token), "nothing that rests on it lives so long"
    put_off(acme, str(visitor.id), 1_000)
    assert not acme.is_live(token)
    put_off(acme, str(visitor.id), 3_000)
    assert not acme.is_live(token)


# --- what a token may not hide behind ---


def test_an_actor_token_that_serves_a_task_is_not_taken(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    actor = acme.own_token("invoice-bot", txn=opened(acme, acme.agent().id))
    proof = {"actor_token": actor, "actor_token_type": f"{TYPE}access_token"}
    assert reason(acme.exchange("invoice-bot", **proof)) == "actor_token_task"


def test_a_key_that_retired_before_a_token_was_issued_has_not_signed_it(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    with acme.tx() as tx:
        [old] = signing_keys_list(tx, now=acme.now)
    administer(acme, "POST", "/keys/rotate")
    two_tenants.clock.forward(200_000)
    forged = sign(claims_in(acme.task_token()), old, acme.runtime.keys.private(acme.seeded.id, old))
    assert reason(renew(acme, forged)) == "subject_token_key"


@pytest.mark.parametrize("kid", ["\0", "x" * 5_000, "not an id"])
def test_a_kid_that_is_none_of_ours_is_looked_up_nowhere(two_tenants: TwoTenants, kid: str) -> None:
    acme = two_tenants.acme
    head, body, signature = acme.task_token().split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"kid": kid}
    forged = f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{body}.{signature}"
    assert renew(acme, forged).status_code == 400
    assert acme.post("revoke", acme.agent(), token=forged).status_code == 200


def test_what_an_agent_s_own_token_of_a_task_becomes_is_renewed(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    administer_group_of(acme, acme.agent().id)
    own = acme.own_token("invoice-bot", resource=ERP, txn=opened(acme, acme.agent().id))
    token = acme.task_token("ocr-bot", own)
    two_tenants.clock.forward(600)
    assert renew(acme, token, "ocr-bot").status_code == 200


def administer_group_of(acme: Tenant, member: UUID) -> None:
    """Let ocr-bot act for a group in which an agent is."""
    with acme.tx() as tx:
        group = provision(tx, Kind.GROUP, "Bots", members=frozenset({member}))
        let_act(tx, acme.agent("ocr-bot").id, group)


def test_an_upstream_subject_that_is_unlinked_meanwhile_ends_what_is_about_to_be_issued(
    two_tenants: TwoTenants,
) -> None:
    acme = two_tenants.acme
    issuer = Upstream("https://other-login.example", ECKey.generate_key("P-256"))
    with acme.tx() as tx:
        connection_id = trust(tx, issuer.issuer, jwks=issuer.jwks, match=Match.SUBJECT)
        link = {"connection_id": connection_id, "subject": "s1", "caller": ADMINISTRATOR}
        link_subject(tx, acme.seeded.sam, now=acme.now, **link)

    def unlink() -> None:
        with acme.tx() as tx:
            unlink_subject(tx, acme.seeded.sam, now=acme.now, **link)

    form = {"subject_token_type": f"{TYPE}id_token", "resource": ERP}
    token = access_token(acme.exchange("invoice-bot", issuer.sign(acme.now, sub="s1"), **form))
    two_tenants.clock.forward(10)
    with between_reading_and_writing(two_tenants, unlink):
        assert reason(renew(acme, token)) == "subject_cut_off"
    assert renew(acme, token).status_code == acme.exchange("ocr-bot", token).status_code == 400
