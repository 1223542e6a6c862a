"""An actor renews its token from the task, after it expired, as long as all that the token rests on stands."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity.actions.federated_subjects import link_subject, unlink_subject
from identity.actions.issuance import sign
from identity.model.connection import Match
from identity.model.lifecycle import Transition
from identity.model.principal import Kind
from identity.store.signing_keys import signing_keys_list
from tests.fixtures import (
    ADMIN_TOKEN,
    ADMINISTRATOR,
    AGENTS,
    ERP,
    TYPE,
    Agent,
    Tenant,
    TwoTenants,
    access_token,
    actors_in,
    claims_in,
    let_act,
    provision,
    register,
    trust,
)
from tests.oauth.test_budget import statements
from tests.oauth.test_joined_tasks import opened
from tests.oauth.test_promises import scim
from tests.oauth.test_race import between_reading_and_writing
from tests.oauth.trading import ENTRY, LIMIT, trade_in
from tests.upstream_issuer import Upstream

pytestmark = pytest.mark.promise(3)
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
AGENT = "urn:ietf:params:scim:schemas:core:2.0:Agent"
KEPT = ("sub", "aud", "txn", "act", "scope", "tenant", "authorization_details", "sub_profile")


def renew(tenant: Tenant, token: str, name: str = "invoice-bot", **form: Any) -> httpx2.Response:
    return tenant.exchange(name, token, renew="true", **form)


def renewed(tenant: Tenant, token: str, name: str = "invoice-bot", **form: Any) -> str:
    return access_token(renew(tenant, token, name, **form))


def administer(tenant: Tenant, method: str, path: str, body: Any = None) -> None:
    url = f"/admin/v1/tenants/{tenant.slug}{path}"
    answer = tenant.http.request(method, url, json=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status_code < 300, answer.text


def reason(answer: httpx2.Response) -> str:
    assert answer.status_code == 400, answer.text
    text: str = answer.json()["error_description"]
    return text.rpartition("(")[2].rstrip(")")


def test_a_token_that_expired_is_renewed_as_it_was(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    first = acme.chain("invoice-bot", "ocr-bot")[-1]
    two_tenants.clock.forward(600)
    assert reason(acme.exchange("ocr-bot", first)) == "subject_token_expired", "unless a renewal is asked for"
    second = renewed(acme, first, "ocr-bot")
    assert {name: claims_in(second).get(name) for name in KEPT} == {name: claims_in(first).get(name) for name in KEPT}
    assert claims_in(second)["exp"] == claims_in(second)["iat"] + 120
    assert acme.is_live(second)
    assert not acme.is_live(first)


def test_a_token_is_renewed_before_it_expires_too(two_tenants: TwoTenants) -> None:
    first = two_tenants.acme.task_token()
    two_tenants.clock.forward(60)
    assert claims_in(renewed(two_tenants.acme, first))["exp"] == claims_in(first)["exp"] + 60


def test_a_token_is_renewed_thirty_times_until_its_task_ends_and_no_longer(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = first = acme.task_token()
    for _ in range(30):
        two_tenants.clock.forward(119)
        token = renewed(acme, token)
    assert claims_in(token)["exp"] == claims_in(first)["iat"] + 3_600, "the end of the task"
    two_tenants.clock.forward(30)
    assert not acme.is_live(token)
    assert reason(renew(acme, token)) == "subject_token_task_expired"


@pytest.mark.parametrize("which", ["delegations", "tenants"])
def test_a_delegation_and_a_tenant_bound_how_long_a_task_goes_on(two_tenants: TwoTenants, which: str) -> None:
    acme = two_tenants.acme
    acme.sql(f"UPDATE {which} SET max_task_s = 300 WHERE tenant_id = :tenant")
    first = acme.task_token()
    two_tenants.clock.forward(200)
    assert claims_in(second := renewed(acme, first))["exp"] == claims_in(first)["iat"] + 300
    two_tenants.clock.forward(101)
    assert reason(renew(acme, second)) == "subject_token_task_expired"


def test_a_tenant_that_allows_shorter_tasks_from_now_on_bounds_what_is_renewed(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    first = acme.task_token()
    two_tenants.clock.forward(200)
    acme.sql("UPDATE tenants SET max_task_s = 250 WHERE tenant_id = :tenant")
    assert claims_in(second := renewed(acme, first))["exp"] == claims_in(first)["iat"] + 250
    two_tenants.clock.forward(51)
    assert reason(renew(acme, second)) == "renewable_no_more"


def test_the_shortest_delegation_of_a_chain_bounds_how_long_and_how_often(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    acme.sql("UPDATE delegations SET max_task_s = 400 WHERE tenant_id = :tenant AND id = :id",
             id=acme.seeded.delegations["ocr-bot"])  # fmt: skip
    acme.sql("UPDATE delegations SET max_lifetime_s = 20 WHERE tenant_id = :tenant AND id = :id",
             id=acme.seeded.delegations["invoice-bot"])  # fmt: skip
    last = acme.chain("invoice-bot", "ocr-bot")[-1]
    two_tenants.clock.forward(100)
    again = renewed(acme, last, "ocr-bot")
    assert claims_in(again)["exp"] - claims_in(again)["iat"] == 20
    two_tenants.clock.forward(301)
    assert reason(renew(acme, again, "ocr-bot")) == "renewable_no_more"


def test_a_renewed_token_has_at_most_what_was_presented(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    narrow = acme.task_token("ocr-bot", acme.task_token(), scope="invoices.read")
    two_tenants.clock.forward(600)
    assert renew(acme, narrow, "ocr-bot", scope="invoices.pay").json()["error"] == "invalid_scope"
    assert claims_in(renewed(acme, narrow, "ocr-bot"))["scope"] == "invoices.read"
    assert renew(acme, narrow, "ocr-bot", authorization_details="[]").json()["error"] == "invalid_authorization_details"


def test_a_token_that_crossed_is_renewed_at_its_own_audience(two_tenants: TwoTenants) -> None:
    trade = trade_in(two_tenants.acme)
    second = trade.crossed(trade.first(authorization_details=json.dumps([LIMIT])))
    two_tenants.clock.forward(600)
    again = access_token(trade.cross(second, trade.orders.client, resource=..., renew="true"))
    assert {name: claims_in(again)[name] for name in ("aud", "act", "scope", "txn", "authorization_details")} == {
        name: claims_in(second)[name] for name in ("aud", "act", "scope", "txn", "authorization_details")
    }
    assert claims_in(again)["authorization_details"] == [ENTRY]
    assert two_tenants.acme.is_live(again, trade.ledger.client)


ENDINGS: dict[str, Callable[[Tenant, str, str], object]] = {
    "its subject is deprovisioned": lambda acme, *_: acme.befall(acme.seeded.sam, Transition.DEPROVISION),
    "its subject is suspended": lambda acme, *_: acme.befall(acme.seeded.sam, Transition.SUSPEND),
    "an earlier actor is suspended": lambda acme, *_: acme.befall(acme.agent().id, Transition.SUSPEND),
    "its actor was suspended and is back": lambda acme, *_: [
        acme.befall(acme.agent("ocr-bot").id, verb) for verb in (Transition.SUSPEND, Transition.REACTIVATE)
    ],
    "a delegation of its chain ends": lambda acme, *_: administer(
        acme, "DELETE", f"/delegations/{acme.seeded.delegations['invoice-bot']}"
    ),
    "a delegation of its chain is narrowed": lambda acme, *_: administer(
        acme, "PATCH", f"/delegations/{acme.seeded.delegations['ocr-bot']}", {"scopes": ["invoices.read"]}
    ),
    "its task is cancelled": lambda acme, token, _: administer(
        acme, "POST", f"/tasks/{claims_in(token)['txn']}/cancel", {"reason": "test"}
    ),
    "it is revoked": lambda acme, token, _: acme.post("revoke", acme.agent("ocr-bot"), token=token),
    "an ancestor that has expired is revoked": lambda acme, _, ancestor: acme.post(
        "revoke", acme.agent(), token=ancestor
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_in_the_meantime_is_not_renewed(two_tenants: TwoTenants, ending: str) -> None:
    acme, rival = two_tenants.acme, two_tenants.rival
    ancestor, token = acme.chain("invoice-bot", "ocr-bot")
    theirs = rival.chain("invoice-bot", "ocr-bot")[-1]
    two_tenants.clock.forward(600)
    live = renewed(acme, token, "ocr-bot")
    ENDINGS[ending](acme, token, ancestor)
    assert not acme.is_live(live), "the edition that was had before"
    assert renew(acme, token, "ocr-bot").status_code == 400
    assert renew(acme, live, "ocr-bot").status_code == 400
    assert acme.last_event().event.outcome == "refused"
    assert renew(rival, theirs, "ocr-bot").status_code == 200, "the other tenant's twin"


@pytest.mark.parametrize("revoked", [0, 1, 2])
def test_revoking_any_edition_ends_the_later_ones_and_what_was_had_of_them(
    two_tenants: TwoTenants, revoked: int
) -> None:
    acme = two_tenants.acme
    editions = [acme.task_token()]
    for _ in range(2):
        two_tenants.clock.forward(200)
        editions.append(renewed(acme, editions[-1]))
    below = acme.task_token("ocr-bot", editions[-1])
    assert acme.post("revoke", acme.agent(), token=editions[revoked]).status_code == 200
    assert not acme.is_live(editions[-1])
    assert not acme.is_live(below)
    assert reason(renew(acme, editions[-1])) == "subject_token_revoked"


def test_a_key_that_was_rotated_since_is_no_hindrance(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = acme.task_token()
    administer(acme, "POST", "/keys/rotate")
    two_tenants.clock.forward(2_000)
    again = renewed(acme, token)
    assert again.split(".")[0] != token.split(".")[0]
    assert acme.is_live(again)
    two_tenants.clock.forward(1_000)
    assert acme.post("revoke", acme.agent(), token=token).status_code == 200
    assert reason(renew(acme, again)) == "subject_token_revoked"


def test_a_token_that_another_forged_with_the_id_of_a_real_one_is_not_renewed(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = acme.task_token()
    two_tenants.clock.forward(600)
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[:-6]}{'A' * 6}"
    assert reason(renew(acme, forged)) == "subject_token_signature"


@pytest.mark.parametrize(
    ("name", "form", "expected"),
    [
        ("ocr-bot", {}, "renewal_of_another"),
        ("invoice-bot", {"renew": "yes"}, "renew_malformed"),
        ("invoice-bot", {"renew": "TRUE"}, "renew_malformed"),
        ("invoice-bot", {"resource": "https://crm.example"}, "audience_differs"),
        ("invoice-bot", {"txn": "00000000-0000-7000-8000-000000000000"}, "txn_differs"),
        ("invoice-bot", {"subject_token_type": f"{TYPE}id_token"}, "subject_token_type"),
        ("invoice-bot", {"actor_token": "x", "actor_token_type": f"{TYPE}jwt"}, "renew_actor_token"),
    ],
)
def test_a_renewal_is_refused(two_tenants: TwoTenants, name: str, form: dict[str, Any], expected: str) -> None:
    token = two_tenants.acme.task_token()
    two_tenants.clock.forward(600)
    assert reason(two_tenants.acme.exchange(name, token, **{"renew": "true"} | form)) == expected


def test_a_token_of_another_tenant_is_not_renewed(two_tenants: TwoTenants) -> None:
    token = two_tenants.rival.task_token()
    assert reason(renew(two_tenants.acme, token)) == "subject_token_issuer"


def test_an_agent_s_own_token_and_an_upstream_token_are_not_renewed(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    assert reason(renew(acme, acme.own_token("invoice-bot"))) == "actor_is_subject"
    assert reason(renew(acme, acme.own_token("ocr-bot"))) == "not_renewable"
    upstream = {"subject_token_type": f"{TYPE}id_token", "resource": "https://erp.example"}
    assert reason(renew(acme, acme.id_token(sub="ext-sam"), **upstream)) == "not_renewable"


def test_a_renewal_takes_five_round_trips_and_is_an_event_of_its_own(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = acme.chain(*AGENTS)[-1]
    two_tenants.clock.forward(600)
    renewed(acme, token, AGENTS[-1])
    with statements(two_tenants) as said:
        again = renewed(acme, token, AGENTS[-1])
    assert len(said) <= 5
    event = acme.last_event().event
    assert event.type == "token.issued"
    assert event.detail["renewal"] is True
    assert event.detail["first_jti"] == event.detail["parent"] == claims_in(token)["jti"]
    assert len(actors_in(again)) == 4


# --- what ended by its time, and was put off afterwards ---


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
