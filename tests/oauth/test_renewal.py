"""An actor renews its token from the task, after it expired, as long as all that the token rests on stands."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from identity.model.lifecycle import Transition
from tests.fixtures import (
    ADMIN_TOKEN,
    AGENTS,
    TYPE,
    Tenant,
    TwoTenants,
    access_token,
    actors_in,
    claims_in,
)
from tests.oauth.test_budget import statements
from tests.oauth.trading import ENTRY, LIMIT, trade_in

pytestmark = pytest.mark.promise(3)
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
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
