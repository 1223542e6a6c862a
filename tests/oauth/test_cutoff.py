"""When something stops being true, every token that rests on it is dead at once; and nothing revives it."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from identity.actions.clients import revoke_client
from identity.actions.delegations import end_delegation, get_delegation
from identity.actions.provisioning import amend_principal
from identity.actions.tasks import cancel_task
from identity.model.access import Caller, CallerKind
from identity.model.lifecycle import CUTS, Transition
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Profile, Resource
from identity.store.memberships import members_remove
from tests.actions.sources import reconcile_whole
from tests.fixtures import (
    ADMINISTRATOR,
    AGENTS,
    Client,
    Tenant,
    TwoTenants,
    access_token,
    claims_in,
    employ,
    let_act,
    provision,
)

WORKER = Caller(CallerKind.WORKER, "cascade", "request-of-worker")


def assert_dead(tenant: Tenant, *tokens: str) -> None:
    """No path accepts them: neither introspection, for whomever it may concern, nor exchange, nor as an actor's."""
    for token in tokens:
        for client in (tenant.seeded.erp, *tenant.seeded.agents.values()):
            answer = tenant.post("introspect", client, token=token)
            assert answer.json().get("active") is not True, claims_in(token)
        for name in AGENTS:
            assert tenant.exchange(name, token).status_code != 200


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", sorted(CUTS))
def test_after_the_subject_is_cut_off_nothing_is_accepted_or_issued_for_them(
    acme: Tenant, rival: Tenant, verb: Transition
) -> None:
    tokens, theirs = acme.chain(*AGENTS), rival.task_token()
    acme.befall(acme.seeded.sam, verb)
    assert_dead(acme, *tokens)
    for name in AGENTS:
        assert acme.exchange(name).status_code == 400
    assert rival.is_live(theirs), "the twin in the other tenant lives"
    assert rival.exchange("invoice-bot").status_code == 200


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", sorted(CUTS))
@pytest.mark.parametrize("place", range(4))
def test_after_an_actor_is_cut_off_every_token_below_it_is_dead(acme: Tenant, verb: Transition, place: int) -> None:
    tokens = acme.chain(*AGENTS)
    own = acme.own_token(AGENTS[place])
    acme.befall(acme.agent(AGENTS[place]).id, verb)
    assert [acme.is_live(token) for token in tokens] == [above < place for above in range(4)]
    for attempt in (
        acme.ask(acme.agent(AGENTS[place]), grant_type="client_credentials"),
        acme.exchange(AGENTS[place]),
        acme.post("introspect", acme.agent(AGENTS[place]), token=own),
    ):
        assert (attempt.status_code, attempt.json()["error"]) == (401, "invalid_client")
    proof = {"actor_token": own, "actor_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    other = AGENTS[(place + 1) % 4]
    assert acme.exchange(other, **proof).json()["error"] == "invalid_request"


@pytest.mark.promise(1)
@pytest.mark.parametrize("verb", [Transition.SUSPEND, Transition.DEPROVISION])
def test_reactivation_revives_no_token_and_no_upstream_token_nor_what_ended(
    two_tenants: TwoTenants, verb: Transition
) -> None:
    acme = two_tenants.acme
    upstream_token, tokens = acme.id_token(), acme.chain("invoice-bot", "ocr-bot")
    two_tenants.clock.forward(1)
    for principal in (acme.seeded.sam, acme.agent("ocr-bot").id):
        acme.befall(principal, verb)
        acme.befall(principal, Transition.REACTIVATE)
    assert not acme.is_live(tokens[0])
    assert not acme.is_live(tokens[1])
    old = acme.exchange("invoice-bot", upstream_token, subject_token_type="urn:ietf:params:oauth:token-type:id_token",
                        resource="https://erp.example")  # fmt: skip
    assert old.json()["error"] == "invalid_request"
    assert acme.last_event().event.reason == "subject_cut_off"
    is_kept = verb is Transition.SUSPEND  # which only holds clients and delegations
    asked = acme.ask(acme.agent("ocr-bot"), grant_type="client_credentials").status_code
    assert asked == (200 if is_kept else 401)
    two_tenants.clock.forward(1)
    fresh = acme.task_token()  # the person, signed in anew, through an agent whose delegation never ended
    assert acme.is_live(fresh)
    assert not acme.is_live(tokens[0]), "nor does a new token revive the old"
    with acme.tx() as tx:
        found = get_delegation(tx, acme.seeded.delegations["ocr-bot"])
    assert (found.ended_at is None) == is_kept, "and after an end the agent's own delegation ended for good"


def remove_sam(tenant: Tenant) -> None:
    with tenant.tx() as tx:
        assert members_remove(tx, tenant.seeded.finance, [tenant.seeded.sam]) == 1


def replace_members(tenant: Tenant) -> None:
    def amend(current: Resource) -> Amendment:
        principal = current.principal
        profile = Profile(principal.document, principal.name, principal.external_id, principal.display_name)
        return Amendment(profile, MemberChange(replace=True, add=frozenset({tenant.seeded.dana})))

    with tenant.tx() as tx:
        amend_principal(tx, Kind.GROUP, tenant.seeded.finance, amend, expected_version=None, caller=ADMINISTRATOR,
                        now=tenant.now)  # fmt: skip


def end_first_delegation(tenant: Tenant) -> None:
    with tenant.tx() as tx:
        end_delegation(tx, tenant.seeded.delegations["invoice-bot"], caller=ADMINISTRATOR, now=tenant.now)


def expire_first_delegation(tenant: Tenant) -> None:
    tenant.sql("UPDATE delegations SET expires_at = :now WHERE tenant_id = :tenant AND id = :id", now=tenant.now,
               id=tenant.seeded.delegations["invoice-bot"])  # fmt: skip


def revoke_first_client(tenant: Tenant) -> None:
    with tenant.tx() as tx:
        revoke_client(tx, tenant.agent().client_id, caller=ADMINISTRATOR, now=tenant.now)


def suspend_tenant(tenant: Tenant) -> None:
    tenant.sql("UPDATE tenants SET state = 'suspended' WHERE tenant_id = :tenant")


def close_window(tenant: Tenant) -> None:
    tenant.sql("UPDATE principals SET valid_until = :now WHERE tenant_id = :tenant AND id = :id", now=tenant.now,
               id=tenant.agent().id)  # fmt: skip


def delete_group(tenant: Tenant) -> None:
    tenant.befall(tenant.seeded.finance, Transition.DELETE)


def suspend_group(tenant: Tenant) -> None:
    tenant.befall(tenant.seeded.finance, Transition.SUSPEND)


ENDS = [
    remove_sam,
    replace_members,
    delete_group,
    suspend_group,
    end_first_delegation,
    expire_first_delegation,
    revoke_first_client,
    suspend_tenant,
    close_window,
]


@pytest.mark.promise(1)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_when_what_a_chain_rests_on_ends_the_whole_chain_is_dead(
    acme: Tenant, rival: Tenant, end: Callable[[Tenant], None]
) -> None:
    tokens, theirs = acme.chain("invoice-bot", "ocr-bot"), rival.chain("invoice-bot", "ocr-bot")
    end(acme)
    assert_dead(acme, *tokens)
    assert acme.exchange("invoice-bot").status_code != 200
    assert all(map(rival.is_live, theirs))


def test_a_membership_through_a_group_in_a_group_holds_as_long_as_every_step_does(acme: Tenant) -> None:
    with acme.tx() as tx:
        eve = provision(tx, Kind.USER, "eve")
        inner = provision(tx, Kind.GROUP, "Inner", members=frozenset({eve}))
        outer = provision(tx, Kind.GROUP, "Outer", members=frozenset({inner}))
        let_act(tx, acme.agent().id, outer)
    token = acme.task_token(person="eve")
    assert claims_in(token)["sub"] == str(eve)
    acme.befall(inner, Transition.SUSPEND)
    assert not acme.is_live(token)
    assert acme.exchange("invoice-bot", person="eve").status_code == 400


def test_a_circle_of_groups_ends_the_search_and_not_the_service(acme: Tenant) -> None:
    with acme.tx() as tx:
        other = provision(tx, Kind.GROUP, "Other", members=frozenset({acme.seeded.finance}))
    acme.sql(
        "INSERT INTO group_members (tenant_id, group_id, member_id, added_at) VALUES (:tenant, :inner, :outer, now())",
        inner=acme.seeded.finance,
        outer=other,
    )
    assert acme.is_live(acme.task_token())


def test_a_cancelled_task_ends_every_token_that_serves_it_and_no_other(acme: Tenant) -> None:
    tokens, other = acme.chain(*AGENTS), acme.task_token()
    with acme.tx() as tx:
        cancel_task(tx, UUID(claims_in(tokens[0])["txn"]), reason="test", caller=ADMINISTRATOR, now=acme.now)
    assert_dead(acme, *tokens)
    assert acme.is_live(other)


def test_no_token_outlives_its_task(two_tenants: TwoTenants) -> None:
    acme = two_tenants.acme
    token = acme.task_token()
    acme.sql("UPDATE tasks SET expires_at = :soon WHERE tenant_id = :tenant", soon=acme.now + timedelta(seconds=30))
    later = acme.task_token("ocr-bot", token)
    assert claims_in(later)["exp"] - claims_in(later)["iat"] == 30
    two_tenants.clock.forward(30)
    assert not acme.is_live(token)
    assert not acme.is_live(later)


def test_a_revoked_client_takes_with_it_what_others_derived(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot", "archive-bot")
    with acme.tx() as tx:
        revoke_client(tx, acme.agent("ocr-bot").client_id, caller=ADMINISTRATOR, now=acme.now)
    assert [acme.is_live(token) for token in tokens] == [True, False, False]


@pytest.mark.promise(2)
def test_an_owner_who_leaves_takes_the_agents_along_once_a_worker_has_looked(acme: Tenant) -> None:
    """No worker runs here at all: the person is dead at once, and the agents as soon as the cascade runs."""
    tokens = acme.chain("invoice-bot", "ocr-bot")
    of_dana = acme.task_token(person="dana")
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    assert not acme.is_live(of_dana)
    assert all(map(acme.is_live, tokens))
    reconcile_whole(acme, acme.seeded.dana, WORKER)
    assert_dead(acme, *tokens)
    assert acme.ask(acme.agent(), grant_type="client_credentials").status_code == 401


def test_an_agent_with_another_active_owner_stays(acme: Tenant) -> None:
    with acme.tx() as tx:
        kept = employ(tx, "kept-bot", acme.seeded.sam)
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    reconcile_whole(acme, acme.seeded.dana, WORKER)
    assert access_token(acme.ask(kept, grant_type="client_credentials"))


def test_a_suspended_tenants_clients_prove_nothing(acme: Tenant, rival: Tenant) -> None:
    suspend_tenant(acme)
    clients: list[Client] = [acme.seeded.erp, *acme.seeded.agents.values()]
    for client in clients:
        answer = acme.ask(client, grant_type="client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert rival.is_live(rival.task_token())
