"""Many at once: nothing is lost, nothing is half done, and nobody waits for somebody who waits for him."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from identity.actions.clients import NewClient, register_client
from identity.actions.delegations import end_delegation
from identity.actions.provisioning import amend_principal
from identity.model.client import AuthMethod
from identity.model.errors import AlreadyExists, PreconditionFailed, Refusal, Unavailable
from identity.model.lifecycle import Transition
from identity.model.principal import Amendment, Kind, Resource
from tests.actions.sources import (
    Source,
    administrator,
    connect,
    count,
    due,
    execute,
    onlooker,
    principal,
    profile,
    rows,
    said_of,
    settle_row,
    told,
    work,
)
from tests.fixtures import ADMINISTRATOR, Tenant, let_act

SECONDS = 3.0
THREADS = 8


def together(*steps: Callable[[], object]) -> list[BaseException | None]:
    """Do all steps at the same time; return what each raised."""
    begin, raised = threading.Barrier(len(steps)), [None] * len(steps)

    def run(number: int, step: Callable[[], object]) -> None:
        begin.wait()
        try:
            step()
        except BaseException as error:
            raised[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=each) for each in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(raised)


@pytest.mark.promise(6)
def test_changes_of_different_members_at_once_all_survive(source: Source) -> None:
    people = [source.user(f"p{number}") for number in range(16)]
    group = source.group("team", *people[:8])
    raised = together(
        *(lambda who=who: source.leave(group, who) for who in people[:8]),
        *(lambda who=who: source.join(group, who) for who in people[8:]),
    )
    assert raised == [None] * 16
    assert source.members(group) == set(people[8:])


@pytest.mark.promise(6)
def test_changes_of_different_attributes_of_one_user_at_once_all_survive(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    raised = together(*(lambda n=n: source.amend(Kind.USER, user, **{f"attribute{n}": n}) for n in range(10)))
    assert raised == [None] * 10
    found = principal(acme, user)
    assert found is not None
    assert {key for key in found.document if key.startswith("attribute")} == {f"attribute{n}" for n in range(10)}
    assert found.version == 11


@pytest.mark.promise(6)
def test_owners_named_at_once_all_survive(source: Source, acme: Tenant) -> None:
    people = [source.user(f"p{number}") for number in range(6)]
    agent = source.agent("bot", acme.seeded.dana)

    def own(who: UUID) -> None:
        def add(current: Resource) -> Amendment:
            owners = frozenset(owner.id for owner in current.owners)
            return Amendment(profile(**(said_of(current) | {"owners": owners | {who}})))

        with acme.tx() as tx:
            amend_principal(tx, Kind.AGENT, agent, add, expected_version=None, caller=source.caller, now=acme.now)

    assert together(*(lambda who=who: own(who) for who in people)) == [None] * 6
    owners = {owner.id for owner in source.read(Kind.AGENT, agent).owners}
    assert owners == {acme.seeded.dana, *people}


def test_of_many_who_name_the_same_version_one_gets_through(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    raised = together(
        *(lambda n=n: source.amend(Kind.USER, user, displayName=str(n), expected_version=1) for n in range(8))
    )
    assert Counter(map(type, raised)) == {type(None): 1, PreconditionFailed: 7}


def test_of_many_who_want_one_name_one_gets_it_and_the_others_are_told_so(source: Source, other: Source) -> None:
    raised = together(*(lambda n=n: (source, other)[n % 2].user(("Pat", "PAT", "pat")[n % 3]) for n in range(8)))
    assert Counter(map(type, raised)) == {type(None): 1, AlreadyExists: 7}


def test_of_many_who_rename_to_one_name_one_gets_it(source: Source) -> None:
    people = [source.user(f"p{number}") for number in range(6)]
    raised = together(*(lambda who=who: source.amend(Kind.USER, who, name="Pat") for who in people))
    assert Counter(map(type, raised)) == {type(None): 1, AlreadyExists: 5}


@pytest.mark.promise(1)
def test_deprovisioning_twice_at_once_is_told_once(source: Source, acme: Tenant) -> None:
    user = source.user("pat")
    raised = together(
        *[lambda: acme.befall(user, Transition.DEPROVISION)] * 4, lambda: source.amend(Kind.USER, user, active=False)
    )
    assert raised == [None] * 5
    assert told(acme, user).count("user.deprovisioned") == 1


TASKS = """
INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, state, created_at, expires_at)
SELECT tenant_id, gen_random_uuid(), p.person, actor_id, d.id, 'x', '{}', 'open', now(), now()
  FROM delegations d, unnest(CAST(:people AS uuid[])) AS p (person), generate_series(1, :number)
 WHERE d.actor_id = ANY (:agents) ORDER BY random()
"""


def engage(acme: Tenant, people: list[UUID], agents: list[UUID], tasks: int) -> None:
    """Let every agent act for every person, in tasks that were opened in no order."""
    with acme.tx() as tx:
        for agent in agents:
            let_act(tx, agent, acme.seeded.finance)
    rows(acme, TASKS, people=people, agents=agents, number=tasks)


@pytest.mark.promise(1)
def test_both_parties_of_many_tasks_can_be_cut_off_at_once(acme: Tenant) -> None:
    """Both cuts end the same rows."""
    admin = administrator(acme)
    for number in range(2):
        person, agent = admin.user(f"pat{number}"), admin.agent(f"bot{number}")
        engage(acme, [person], [agent], 200)
        cuts = [(person, Transition.DEPROVISION), (agent, Transition.SUSPEND)]
        assert together(*(lambda who=who, verb=verb: acme.befall(who, verb) for who, verb in cuts)) == [None, None]
    work(acme)
    assert count(acme, "tasks WHERE state = 'open'") == 0


@pytest.mark.promise(1)
def test_a_token_asked_for_while_its_person_goes_is_refused_or_dead(acme: Tenant) -> None:
    tokens: list[str] = []

    def ask() -> None:
        for _ in range(3):
            answer = acme.exchange("invoice-bot")
            if answer.status_code == 200:
                tokens.append(answer.json()["access_token"])

    raised = together(ask, ask, ask, lambda: acme.befall(acme.seeded.sam, Transition.DEPROVISION))
    assert raised == [None] * 4
    assert not any(acme.is_live(token) for token in tokens)
    assert acme.exchange("invoice-bot").status_code == 400


class Crowd:
    """Everything that may happen to a small directory, by chance."""

    def __init__(self, acme: Tenant, source: Source, seed: int, sql: psycopg.Connection) -> None:
        self.acme, self.source, self.dice, self.sql = acme, source, random.Random(seed), sql

    def some(self, kind: Kind) -> UUID:
        [chosen] = self.dice.choice(execute(self.sql, "SELECT id FROM principals WHERE kind = :kind", kind=str(kind)))
        assert isinstance(chosen, UUID)
        return chosen

    def step(self) -> None:
        verbs = [self.arrive, self.join, self.leave, self.set_members, self.own, self.rename, self.flip, self.delete,
                 self.nest, self.befall, self.delegate, self.end, self.register, self.settle]  # fmt: skip
        self.dice.choice(verbs)()

    def arrive(self) -> None:
        kind = self.dice.choice([Kind.USER, Kind.USER, Kind.AGENT, Kind.GROUP])
        self.source.create(kind, f"n{self.dice.randrange(60)}")

    def join(self) -> None:
        self.source.join(self.some(Kind.GROUP), self.some(Kind.USER), self.some(Kind.USER), self.some(Kind.AGENT))

    def leave(self) -> None:
        self.source.leave(self.some(Kind.GROUP), self.some(Kind.USER))

    def set_members(self) -> None:
        self.source.set_members(self.some(Kind.GROUP), self.some(Kind.USER), self.some(Kind.USER))

    def nest(self) -> None:
        self.source.join(self.some(Kind.GROUP), self.some(Kind.GROUP))

    def own(self) -> None:
        owners = frozenset({self.some(Kind.USER), self.some(self.dice.choice([Kind.USER, Kind.GROUP]))})
        self.source.amend(Kind.AGENT, self.some(Kind.AGENT), owners=owners)

    def rename(self) -> None:
        self.source.amend(Kind.USER, self.some(Kind.USER), name=f"n{self.dice.randrange(60)}", emails=("a@x", "b@x"))

    def flip(self) -> None:
        kind = self.dice.choice([Kind.USER, Kind.AGENT])
        self.source.amend(kind, self.some(kind), active=self.dice.random() < 0.6)

    def delete(self) -> None:
        kind = self.dice.choice(list(Kind)[:3])
        self.source.delete(kind, self.some(kind))

    def befall(self) -> None:
        verb = self.dice.choice(
            [Transition.SUSPEND, Transition.REACTIVATE, Transition.REACTIVATE, Transition.DEPROVISION]
        )
        self.acme.befall(self.some(self.dice.choice(list(Kind)[:3])), verb)

    def delegate(self) -> None:
        actor, subject, group = self.some(Kind.AGENT), self.some(Kind.USER), self.some(Kind.GROUP)
        to_group = self.dice.random() < 0.5
        with self.acme.tx() as tx:
            let_act(tx, actor, group if to_group else None, subject_id=None if to_group else subject)

    def end(self) -> None:
        found = execute(self.sql, "SELECT id FROM delegations WHERE ended_at IS NULL LIMIT 20")
        if found:
            with self.acme.tx() as tx:
                end_delegation(tx, self.dice.choice(found)[0], caller=ADMINISTRATOR, now=self.acme.now)

    def register(self) -> None:
        asked = NewClient(None, self.some(Kind.AGENT), None, AuthMethod.CLIENT_SECRET_BASIC, None, (), None)
        with self.acme.tx() as tx:
            register_client(tx, asked, new_secret="secret-of-tests", caller=ADMINISTRATOR, now=self.acme.now)

    def settle(self) -> None:
        for id_ in due(self.acme)[:3]:
            settle_row(self.acme, id_)


INVARIANTS = {
    "a member that is not there": """
        SELECT count(*) FROM group_members m JOIN principals p ON p.id = m.member_id WHERE p.deleted_at IS NOT NULL""",
    "a deleted principal that is not marked so": """
        SELECT count(*) FROM principals WHERE (state = 'deleted') <> (deleted_at IS NOT NULL)""",
    "a standing delegation of a party that ended": """
        SELECT count(*) FROM delegations d JOIN principals p ON p.id IN (d.actor_id, d.subject_id, d.subject_group_id)
         WHERE d.ended_at IS NULL AND p.state <> 'active' AND NOT (p.state = 'suspended' AND p.is_held)""",
    "a client of an agent that ended": """
        SELECT count(*) FROM clients c JOIN principals p ON p.id = c.principal_id
         WHERE c.revoked_at IS NULL AND p.state <> 'active' AND NOT (p.state = 'suspended' AND p.is_held)""",
    "an open task of a party that is not active": """
        SELECT count(*) FROM tasks t JOIN principals p ON p.id IN (t.actor_id, t.subject_id)
         WHERE t.state = 'open' AND p.state <> 'active'""",
    "a cut without its cut-off": """
        SELECT count(*) FROM principals p WHERE p.epoch > 0
           AND NOT EXISTS (SELECT FROM cutoffs c WHERE c.kind = 'principal' AND c.key = p.id::text)""",
    "an end that no worker wrote down": """
        SELECT count(*) FROM delegations d JOIN principals p ON p.id = d.actor_id
         WHERE d.ended_at IS NULL AND d.actor_end_count <> p.end_count""",
    "a version that no event explains": """
        SELECT count(*) FROM principals p WHERE p.version - 1 > (
            SELECT count(*) * 2 FROM events e WHERE e.subject_id = p.id)""",
    "an epoch that is not the number of cuts in the trail": """
        SELECT count(*) FROM principals p WHERE p.epoch <> (
            SELECT count(*) FROM events e WHERE e.subject_id = p.id
               AND split_part(e.type, '.', 1) = p.kind
               AND split_part(e.type, '.', 2) IN ('suspended', 'deprovisioned', 'deleted'))""",
    "two living principals of one name": """
        SELECT count(*) FROM (SELECT FROM principals WHERE deleted_at IS NULL AND kind <> 'group'
                               GROUP BY kind, name_key HAVING count(*) > 1) AS twins""",
    "news that no worker could settle": """
        SELECT count(*) FROM outbox WHERE done_at IS NULL OR dead_at IS NOT NULL""",
}


@pytest.mark.promise(6)
def test_eight_at_once_doing_anything_leave_the_directory_whole(acme: Tenant) -> None:
    source = connect(acme)
    for number in range(6):
        source.user(f"n{number}")
        source.agent(f"n{number}", source.group(f"g{number}"))
    surprises: list[BaseException] = []
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + SECONDS

    def live(seed: int) -> None:
        with onlooker(acme) as sql:
            live_on(Crowd(acme, source, seed, sql))

    def live_on(crowd: Crowd) -> None:
        while time.monotonic() < until:
            try:
                crowd.step()
                outcomes["done"] += 1
            except Refusal as refusal:
                outcomes[type(refusal).__name__] += 1
                if isinstance(refusal, Unavailable):
                    outcomes[f"unavailable: {(refusal.cause or '')[:60]}"] += 1
            except BaseException as error:
                surprises.append(error)

    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert surprises == []
    assert outcomes["done"] > 100, outcomes
    assert outcomes["Unavailable"] == 0, outcomes
    work(acme)
    broken = {name: rows(acme, query)[0][0] for name, query in INVARIANTS.items()}
    assert {name: number for name, number in broken.items() if number} == {}
