"""Nobody's agent acts: every way to lose the last active owner ends, after the workers' work, in suspension."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest

from identity.actions.principals import reactivate
from identity.actions.reconciliation import Position, reconcile_principal
from identity.model.access import Caller
from identity.model.errors import Conflict
from identity.model.lifecycle import State, Transition
from identity.model.principal import Kind
from identity.store import Tx
from identity.store.memberships import members_add
from tests.actions.sources import (
    Source,
    administrator,
    count,
    digest,
    due,
    forget_news,
    principal,
    reconcile_whole,
    rows,
    settle_row,
    state,
    told,
    work,
)
from tests.fixtures import ADMINISTRATOR, Tenant, employ, let_act


@dataclass(frozen=True, slots=True)
class Owned:
    """A person in a team, which is in a department; and an agent for which one of the three answers."""

    source: Source
    person: UUID
    team: UUID
    department: UUID
    agent: UUID

    @property
    def tenant(self) -> Tenant:
        return self.source.tenant


def owned_by(source: Source, who: str, kind: Kind = Kind.AGENT) -> Owned:
    person = source.user("pat")
    team = source.group("team", person)
    department = source.group("department", team)
    owner = {"person": person, "team": team, "department": department}[who]
    agent = source.create(kind, "bot", owners=frozenset({owner}))
    work(source.tenant)
    assert state(source.tenant, agent) is State.ACTIVE
    return Owned(source, person, team, department, agent)


def befalls(verb: Transition, who: str) -> Callable[[Owned], object]:
    return lambda owned: owned.tenant.befall(getattr(owned, who), verb)


def _inactive(owned: Owned) -> frozenset[UUID]:
    return frozenset({owned.source.user("inactive", active=False)})


LOSSES: dict[str, tuple[str, Callable[[Owned], object]]] = {
    f"{owner}'s, {verb} {who}": (owner, befalls(verb, who))
    for owner, whom in {
        "person": ["person"],
        "team": ["person", "team"],
        "department": ["person", "team", "department"],
    }.items()
    for who in whom
    for verb in (Transition.SUSPEND, Transition.DEPROVISION, Transition.DELETE)
} | {
    "source says false": ("person", lambda o: o.source.amend(Kind.USER, o.person, active=False)),
    "source deletes": ("person", lambda o: o.source.delete(Kind.USER, o.person)),
    "last member leaves": ("team", lambda o: o.source.leave(o.team, o.person)),
    "members replaced by nobody": ("team", lambda o: o.source.set_members(o.team)),
    "members replaced by an inactive one": ("team", lambda o: o.source.set_members(o.team, *_inactive(o))),
    "last member leaves the nested group": ("department", lambda o: o.source.leave(o.team, o.person)),
    "nested group leaves": ("department", lambda o: o.source.leave(o.department, o.team)),
    "owner replaced by an inactive one": (
        "person",
        lambda o: o.source.amend(Kind.AGENT, o.agent, owners=_inactive(o)),
    ),
    "owners emptied": ("person", lambda o: o.source.amend(Kind.AGENT, o.agent, owners=frozenset())),
    "owner group replaced by an empty one": (
        "team",
        lambda o: o.source.amend(Kind.AGENT, o.agent, owners=frozenset({o.source.group("empty")})),
    ),
}


@pytest.mark.promise(1)
@pytest.mark.promise(2)
@pytest.mark.parametrize("loss", LOSSES)
def test_an_agent_that_loses_its_last_active_owner_is_suspended_with_all_that_rests_on_it(
    source: Source, acme: Tenant, loss: str
) -> None:
    owner, lose = LOSSES[loss]
    owned = owned_by(source, owner)
    with acme.tx() as tx:
        let_act(tx, owned.agent, acme.seeded.finance)
    lose(owned)
    work(acme)
    assert state(acme, owned.agent) is State.SUSPENDED
    assert count(acme, "delegations WHERE actor_id = :id AND ended_at IS NULL", id=owned.agent) == 0
    assert told(acme, owned.agent).count("agent.suspended") == 1
    [suspended] = [each for each in acme.events(type="agent.suspended") if each.event.subject_id == owned.agent]
    assert suspended.event.reason in {"no_active_owner", "no_owner"}
    assert due(acme) == []


@pytest.mark.promise(2)
@pytest.mark.parametrize("loss", ["person's, deprovision person", "last member leaves"])
def test_what_is_true_of_agents_is_true_of_service_accounts(source: Source, acme: Tenant, loss: str) -> None:
    owner, lose = LOSSES[loss]
    owned = owned_by(source, owner, Kind.SERVICE_ACCOUNT)
    lose(owned)
    work(acme)
    assert state(acme, owned.agent) is State.SUSPENDED
    assert told(acme, owned.agent)[-1] == "service_account.suspended"


def test_clients_and_tasks_of_an_agent_that_lost_its_owner_end_with_it(acme: Tenant) -> None:
    tokens = acme.chain("invoice-bot", "ocr-bot")
    own = acme.own_token("invoice-bot")
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    assert all(acme.is_live(token) for token in tokens)  # the person is Sam, who is still there
    work(acme)
    assert not any(acme.is_live(token) for token in tokens)
    assert acme.introspect(own) == {"active": False}
    for agent in acme.seeded.agents.values():
        assert state(acme, agent.id) is State.SUSPENDED
        assert acme.ask(agent, grant_type="client_credentials").status_code == 401
    assert count(acme, "tasks WHERE state = 'open'") == 0
    assert count(acme, "clients WHERE principal_id IS NOT NULL AND revoked_at IS NULL") == 0


# --- who stays -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.startswith(("person's", "source", "last"))])
def test_an_agent_with_another_active_owner_stays(source: Source, acme: Tenant, loss: str) -> None:
    owner, lose = LOSSES[loss]
    owned = owned_by(source, owner)
    owners = frozenset(each.id for each in source.read(Kind.AGENT, owned.agent).owners)
    source.amend(Kind.AGENT, owned.agent, owners=owners | {source.group("others", source.user("kim"))})
    version = _version(acme, owned.agent)
    lose(owned)
    work(acme)
    assert (state(acme, owned.agent), _version(acme, owned.agent)) == (State.ACTIVE, version)


def test_an_agent_that_never_had_an_owner_stays(source: Source, acme: Tenant) -> None:
    agent = source.agent("bot")
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    source.amend(Kind.AGENT, agent, displayName="Bot")
    work(acme)
    assert state(acme, agent) is State.ACTIVE


def test_a_person_owned_by_nobody_and_a_group_are_never_suspended_by_workers(source: Source, acme: Tenant) -> None:
    person = source.user("pat")
    team = source.group("team", person)
    acme.befall(person, Transition.DEPROVISION)
    work(acme)
    assert state(acme, team) is State.ACTIVE


def test_owners_in_a_circle_of_groups_are_found(source: Source, acme: Tenant) -> None:
    person = source.user("pat")
    one = source.group("one", person)
    two = source.group("two", one)
    source.join(one, two)
    agent = source.agent("bot", two)
    work(acme)
    assert state(acme, agent) is State.ACTIVE
    source.leave(one, person)
    work(acme)
    assert state(acme, agent) is State.SUSPENDED


def _version(tenant: Tenant, id_: UUID) -> int:
    found = principal(tenant, id_)
    assert found is not None
    return found.version


# --- agents that begin, or begin again, with nobody ------------------------------------------------------------


def test_an_agent_pushed_with_an_owner_who_is_gone_is_suspended(source: Source, acme: Tenant) -> None:
    agent = source.agent("bot", source.user("pat", active=False))
    work(acme)
    assert state(acme, agent) is State.SUSPENDED


def test_a_source_that_reactivates_an_agent_does_not_give_it_an_owner(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    source.amend(Kind.AGENT, owned.agent, active=False)
    source.amend(Kind.USER, owned.person, active=False)
    work(acme)
    source.amend(Kind.AGENT, owned.agent, active=True)
    work(acme)
    assert state(acme, owned.agent) is State.SUSPENDED


def test_an_administrator_cannot_reactivate_an_agent_that_nobody_answers_for(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    acme.befall(owned.person, Transition.SUSPEND)
    work(acme)
    before = digest(acme)
    with pytest.raises(Conflict) as refusal, acme.tx() as tx:
        reactivate(tx, owned.agent, reason="wanted", caller=ADMINISTRATOR, now=acme.now)
    assert refusal.value.reason == "no_active_owner"
    assert digest(acme) == before
    source.amend(Kind.AGENT, owned.agent, owners=frozenset({acme.seeded.dana}))
    with acme.tx() as tx:
        reactivate(tx, owned.agent, reason="wanted", caller=ADMINISTRATOR, now=acme.now)
    work(acme)
    assert state(acme, owned.agent) is State.ACTIVE


def test_the_owner_s_return_does_not_bring_the_agent_back(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    acme.befall(owned.person, Transition.SUSPEND)
    work(acme)
    acme.befall(owned.person, Transition.REACTIVATE)
    work(acme)
    assert state(acme, owned.agent) is State.SUSPENDED


# --- twice, late, out of order, at once ------------------------------------------------------------------------


def test_an_owner_who_is_back_before_the_workers_look_loses_nothing(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    acme.befall(owned.person, Transition.SUSPEND)
    acme.befall(owned.person, Transition.REACTIVATE)
    work(acme)
    assert state(acme, owned.agent) is State.ACTIVE


def test_reconciling_again_writes_nothing_but_that_it_looked(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    acme.befall(owned.person, Transition.DEPROVISION)
    work(acme)
    before = digest(acme)
    for _ in range(2):
        reconcile_whole(acme, owned.person, ADMINISTRATOR)
    assert digest(acme) == before


def test_what_a_person_rests_on_is_observed_up_to_its_version(source: Source, acme: Tenant) -> None:
    person = source.user("pat")
    acme.befall(person, Transition.DEPROVISION)
    behind = "principals WHERE id = :id AND observed_version < version"
    assert count(acme, behind, id=person) == 1
    work(acme)
    assert count(acme, behind, id=person) == 0


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_news_are_settled_the_end_is_the_same(source: Source, acme: Tenant, seed: int) -> None:
    people = [source.user(f"p{number}") for number in range(4)]
    team = source.group("team", *people[:2])
    agents = [source.agent("a", people[0]), source.agent("b", team), source.agent("c", team, people[3])]
    forget_news(acme)
    acme.befall(people[0], Transition.DEPROVISION)
    source.delete(Kind.USER, people[1])
    source.set_members(team, people[2])
    acme.befall(people[2], Transition.SUSPEND)
    news = due(acme) * 2
    random.Random(seed).shuffle(news)
    for id_ in news:
        settle_row(acme, id_)
    assert [state(acme, agent) for agent in agents] == [State.SUSPENDED, State.SUSPENDED, State.ACTIVE]
    work(acme)
    assert [told(acme, agent).count("agent.suspended") for agent in agents] == [1, 1, 0]


@pytest.mark.promise(10)
def test_sixty_agents_are_suspended_each_in_a_transaction_of_its_own(source: Source, acme: Tenant) -> None:
    person = source.user("pat")
    agents = [source.agent(f"a{number}", person) for number in range(60)]
    forget_news(acme)
    acme.befall(person, Transition.DEPROVISION)
    [row] = due(acme)
    settle_row(acme, row)
    assert {state(acme, agent) for agent in agents} == {State.SUSPENDED}
    written = rows(acme, "SELECT DISTINCT xmin::text FROM events WHERE type = 'agent.suspended'")
    assert len(written) == 60
    work(acme)
    assert len(acme.events(type="agent.suspended")) == 60


def test_two_workers_at_once_suspend_every_agent_once(source: Source, acme: Tenant) -> None:
    people = [source.user(f"p{number}") for number in range(2)]
    agents = [source.agent(f"a{number}", *people) for number in range(12)]
    forget_news(acme)
    for person in people:
        acme.befall(person, Transition.DEPROVISION)
    begin = threading.Barrier(4)

    def settle_all(news: list[UUID]) -> None:
        begin.wait()
        for id_ in news:
            settle_row(acme, id_)

    news = due(acme)
    threads = [threading.Thread(target=settle_all, args=(order,)) for order in (news, news[::-1], news, news[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(acme)
    assert {state(acme, agent) for agent in agents} == {State.SUSPENDED}
    assert len(acme.events(type="agent.suspended")) == 12


def test_an_agent_that_gets_an_owner_while_the_worker_decides_stays(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "person")
    acme.befall(owned.person, Transition.DEPROVISION)

    def slowly(tx: Tx, principal_id: UUID, *, position: Position, caller: Caller, now: object) -> Position | None:
        source.amend(Kind.AGENT, owned.agent, owners=frozenset({acme.seeded.dana}))
        return reconcile_principal(tx, principal_id, position=position, caller=caller, now=acme.now)

    [row] = due(acme)
    settle_row(acme, row, slowly)
    work(acme)
    assert state(acme, owned.agent) is State.ACTIVE


@pytest.mark.promise(6)
def test_the_news_is_written_in_the_transaction_that_made_it(source: Source, acme: Tenant) -> None:
    owned = owned_by(source, "team")
    steps: list[Callable[[], object]] = [
        lambda: source.leave(owned.team, owned.person),
        lambda: source.amend(Kind.AGENT, owned.agent, owners=frozenset({acme.seeded.dana})),
        lambda: acme.befall(owned.person, Transition.SUSPEND),
        lambda: source.amend(Kind.AGENT, source.agent("new", owned.person), active=False),
    ]
    for step in steps:
        forget_news(acme)
        step()
        query = "SELECT count(*) FROM outbox WHERE done_at IS NULL AND xmin::text IN (SELECT xmin::text FROM events)"
        assert rows(acme, query)[0][0] >= 1


def test_a_change_that_concerns_no_owner_makes_no_news(source: Source, acme: Tenant) -> None:
    person = source.user("pat")
    source.join(source.group("team"), person)
    source.amend(Kind.USER, person, displayName="Pat")
    source.user("new")
    assert due(acme) == []


@pytest.mark.promise(4)
def test_another_tenant_s_agents_of_the_same_ids_are_never_touched(acme: Tenant, rival: Tenant) -> None:
    acme.befall(acme.seeded.dana, Transition.DELETE)
    work(acme)
    assert state(acme, acme.agent().id) is State.SUSPENDED
    assert state(rival, rival.agent().id) is State.ACTIVE


def test_an_owner_who_came_too_late_into_a_group_of_the_dead_is_cleaned_up(source: Source, acme: Tenant) -> None:
    """A member may be added in the moment in which it is deleted; nobody sees it, and the workers remove the row."""
    person, team = source.user("pat"), administrator(acme).group("team")
    with acme.tx() as first:
        members_add(first, team, [person], now=acme.now)
        acme_deletes = threading.Thread(target=acme.befall, args=(person, Transition.DELETE))
        acme_deletes.start()
        acme_deletes.join()
    assert count(acme, "group_members WHERE member_id = :id", id=person) == 1
    assert source.members(team) == set()
    work(acme)
    assert count(acme, "group_members WHERE member_id = :id", id=person) == 0


def test_an_agent_employed_by_nobody_any_more_has_no_client_left(acme: Tenant) -> None:
    with acme.tx() as tx:
        agent = employ(tx, "new-bot", acme.seeded.sam)
    acme.befall(acme.seeded.sam, Transition.DEPROVISION)
    work(acme)
    assert acme.ask(agent, grant_type="client_credentials").status_code == 401
