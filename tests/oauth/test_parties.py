"""Every party of a token bounds it: the client's own principal, and all that it inherits (liveness, window, epoch)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc.jwk import ECKey

from identity.actions.connections import end_connection
from identity.actions.federated_subjects import link_subject, unlink_subject
from identity.actions.tasks import list_tasks
from identity.model.connection import Match
from identity.model.lifecycle import Transition
from identity.model.task import TASK_SLOTS, TASKS_OPENED_MAX, task_period
from tests.fixtures import ADMINISTRATOR, ERP, TYPE, Tenant, TwoTenants, access_token, claims_in, trust
from tests.upstream_issuer import Upstream


def set_window(tenant: Tenant, principal_id: UUID, **window: Any) -> None:
    for column, at in window.items():
        tenant.sql(
            f"UPDATE principals SET {column} = :at WHERE tenant_id = :tenant AND id = :id", id=principal_id, at=at
        )


@pytest.mark.promise(3)
@pytest.mark.parametrize("who", ["sam", "first actor", "actor"])
def test_no_token_outlives_the_window_of_a_party(two_tenants: TwoTenants, who: str) -> None:
    acme = two_tenants.acme
    parent = acme.task_token()
    id_ = {"sam": acme.seeded.sam, "first actor": acme.agent().id, "actor": acme.agent("ocr-bot").id}[who]
    set_window(acme, id_, valid_until=acme.now + timedelta(seconds=30))
    token = acme.task_token("ocr-bot", parent)
    assert claims_in(token)["exp"] - claims_in(token)["iat"] == 30
    two_tenants.clock.forward(30)
    assert not acme.is_live(token)
    assert acme.exchange("ocr-bot", parent).status_code == 400


@pytest.mark.promise(3)
@pytest.mark.parametrize("window", [{"valid_until": timedelta(seconds=-1)}, {"valid_from": timedelta(seconds=5)}])
def test_an_agent_outside_of_its_window_trades_nothing_through_its_own_actor_token(
    acme: Tenant, window: dict[str, timedelta]
) -> None:
    proof = {"actor_token": acme.own_token("ocr-bot"), "actor_token_type": f"{TYPE}access_token"}
    set_window(acme, acme.agent("ocr-bot").id, **{name: acme.now + after for name, after in window.items()})
    assert acme.exchange("ocr-bot", **proof).status_code == 400
    assert acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials").json()["error"] == "invalid_grant"


@pytest.mark.promise(1)
def test_a_suspended_group_s_tokens_stay_dead_when_it_is_back(two_tenants: TwoTenants) -> None:
    acme, token = two_tenants.acme, two_tenants.acme.task_token()
    acme.befall(acme.seeded.finance, Transition.SUSPEND)
    acme.befall(acme.seeded.finance, Transition.REACTIVATE)
    assert not acme.is_live(token)
    two_tenants.clock.forward(2)
    assert not acme.is_live(token)
    assert acme.is_live(acme.task_token())


# --- what came through a connection ----------------------------------------------------------------------------


@pytest.mark.promise(1)
def test_the_end_of_a_connection_ends_the_tokens_that_began_with_a_token_of_it(two_tenants: TwoTenants) -> None:
    acme, rival = two_tenants.acme, two_tenants.rival
    first = acme.task_token()
    second, theirs = acme.task_token("ocr-bot", first), rival.task_token()
    [(connection_id,)] = acme.sql("SELECT id FROM connections WHERE tenant_id = :tenant AND kind = 'oidc'")
    with acme.tx() as tx:
        end_connection(tx, connection_id, caller=ADMINISTRATOR, now=acme.now)
    assert not acme.is_live(first)
    assert not acme.is_live(second)
    assert acme.exchange("archive-bot", second).json()["error"] == "invalid_request"
    assert rival.is_live(theirs)


@pytest.fixture
def upstream(acme: Tenant) -> tuple[Upstream, UUID]:
    """An issuer whose subjects are linked by an administrator."""
    issuer = Upstream("https://other-login.example", ECKey.generate_key("P-256"))
    with acme.tx() as tx:
        connection_id = trust(tx, issuer.issuer, jwks=issuer.jwks, match=Match.SUBJECT)
    return issuer, connection_id


def link(acme: Tenant, connection_id: UUID, principal_id: UUID) -> None:
    with acme.tx() as tx:
        link_subject(tx, principal_id, connection_id=connection_id, subject="s1", caller=ADMINISTRATOR, now=acme.now)


@pytest.mark.promise(1)
@pytest.mark.parametrize("how", ["unlinked", "deleted"])
def test_a_subject_that_is_linked_anew_keeps_its_cut_off(
    two_tenants: TwoTenants, upstream: tuple[Upstream, UUID], how: str
) -> None:
    acme, (issuer, connection_id) = two_tenants.acme, upstream
    link(acme, connection_id, acme.seeded.sam)
    old = issuer.sign(acme.now, sub="s1")
    ask = {"subject_token_type": f"{TYPE}id_token", "resource": ERP}
    token = access_token(acme.exchange("invoice-bot", old, **ask))
    two_tenants.clock.forward(5)
    if how == "unlinked":
        with acme.tx() as tx:
            unlink_subject(tx, acme.seeded.sam, connection_id=connection_id, subject="s1", caller=ADMINISTRATOR,
                           now=acme.now)  # fmt: skip
    else:
        acme.befall(acme.seeded.sam, Transition.DELETE)
    assert not acme.is_live(token)
    link(acme, connection_id, acme.seeded.dana)
    assert acme.exchange("invoice-bot", old, **ask).json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_cut_off"
    two_tenants.clock.forward(5)
    fresh = access_token(acme.exchange("invoice-bot", issuer.sign(acme.now, sub="s1"), **ask))
    assert claims_in(fresh)["sub"] == str(acme.seeded.dana)


# --- tasks -----------------------------------------------------------------------------------------------------


@pytest.mark.promise(8)
def test_an_actor_opens_so_many_tasks_and_no_other_actor_is_kept_from_it(two_tenants: TwoTenants) -> None:
    acme, parent = two_tenants.acme, two_tenants.acme.task_token()
    acme.sql(
        "INSERT INTO task_counts (tenant_id, actor_id, period, slot, opened)"
        " SELECT :tenant, :id, :period - 2, n, :most FROM generate_series(0, :slots - 1) AS n"
        " ON CONFLICT (tenant_id, actor_id, period, slot) DO UPDATE SET opened = excluded.opened",
        id=acme.agent().id, period=task_period(acme.now), most=TASKS_OPENED_MAX // TASK_SLOTS, slots=TASK_SLOTS,
    )  # fmt: skip
    refused = acme.exchange("invoice-bot")
    assert (refused.status_code, refused.json()["error"]) == (429, "temporarily_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert acme.last_event().event.reason == "too_many_tasks"
    assert acme.is_live(acme.task_token("ocr-bot")), "another actor"
    assert acme.is_live(acme.task_token("invoice-bot", parent)), "a task that is open already"
    assert two_tenants.rival.is_live(two_tenants.rival.task_token()), "its twin"
    with acme.tx() as tx:
        assert len(list_tasks(tx, principal_id=acme.agent().id, after=None, limit=10)) == 1
    two_tenants.clock.forward(1_800)
    assert acme.exchange("invoice-bot").status_code == 200


# --- plans -----------------------------------------------------------------------------------------------------


@pytest.mark.promise(10)
def test_no_hot_statement_has_a_plan_that_depends_on_what_it_is_asked(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    for _ in range(10):
        token = acme.task_token()
        acme.task_token("ocr-bot", token)
        acme.introspect(token)
        acme.own_token("ocr-bot")
    with two_tenants.runtime.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT generic_plans, custom_plans FROM pg_prepared_statements").all()
    seen, custom = sum(row.generic_plans for row in rows), sum(row.custom_plans for row in rows)
    assert (seen > 0, custom) == (True, 0)
