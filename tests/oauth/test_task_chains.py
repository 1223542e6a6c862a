"""Over whole tasks, had through the API: handed on, narrowed, gone on to other services, renewed, joined, cancelled.

Authority never grows, no actor is lost, ``sub`` and ``txn`` never change, and nothing lives after its task.
IDENTITY_PROVE_TASKS says how many tasks; each has its number, from which it can be had again.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import pytest
from identity_verifier import Expected, KeySet, VerifiedClaims, parse_key_set, verify_token

from identity.model.principal import Kind
from tests.fixtures import (
    ADMIN_TOKEN,
    AGENTS,
    Agent,
    Clock,
    Tenant,
    TwoTenants,
    actors_in,
    claims_in,
    employ,
    provision,
)
from tests.oauth.books import LIST, PAY, READ, RESTRICTIONS, TRANSFER, administer
from tests.oauth.test_authority_chains import CALLS, READINGS, Dice, Held, as_held, wider_than
from tests.oracles.authority import Call

AUDIENCES = ("https://one.example", "https://two.example", "https://three.example")
PARTS = 4
TASKS = int(os.environ.get("IDENTITY_PROVE_TASKS", "1000")) // PARTS
PEOPLE = 6  # each with a delegation for each actor at each audience
TASKS_OF_A_BATCH = 250
LENGTH = 6
TASK_S = 3_600
PAUSES = (0, 0, 0, 0, 0, 1, 1, 5, 70, 200)
WANTED = {"first", "joined", "handed on", "narrowed", "crossed", "crossed restricted", "crossed twice", "renewed",
          "renewed twice", "renewed late", "cancelled", "refused"}  # fmt: skip
TYPES = [TRANSFER, *({"type": type_, "scopes": scopes} for type_, scopes in RESTRICTIONS.items())]
Pairs = dict[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Permitted(Held):
    """What a delegation allows; ``lifetime_s`` bounds each token under it, ``depth`` the actors from it on, and
    ``task_s`` how long after the opening of the task its tokens live.
    """

    lifetime_s: int
    depth: int
    task_s: int


@dataclass(frozen=True, slots=True)
class Services:
    """A resource server at each audience, all with the same scopes and types, and the client of each."""

    clients: Mapping[str, Agent]
    pairs: Pairs
    delegations: Mapping[tuple[str, str, str], Permitted]
    """By person, actor's client id and audience."""


def services_in(acme: Tenant) -> Mapping[str, Agent]:
    clients = {}
    for number, audience in enumerate(AUDIENCES):
        with acme.tx() as tx:
            bot = employ(tx, f"service-{number}", acme.seeded.dana)
        body = {"audience": audience, "principal_id": str(bot.id), "scopes": [READ, PAY, LIST],
                "authorization_details_types": TYPES}  # fmt: skip
        administer(acme, "/resources", body)
        made = administer(acme, "/clients", {"principal_id": str(bot.id), "audience": audience})
        clients[audience] = Agent(made["client_id"], None, made["client_secret"], bot.id)
    return clients


def pair_of(dice: Random, source: str, target: str) -> dict[str, Any]:
    """A pair that is accepted: a type that restricts becomes one that restricts a scope which its scopes allow."""
    scopes = {scope: dice.sample([READ, PAY, LIST], dice.randint(1, 3)) for scope in (READ, PAY, LIST)
              if dice.random() < 0.85}  # fmt: skip
    restricting = dice.sample(list(RESTRICTIONS), 2)
    types = {
        known: become
        for known, become in [*zip(RESTRICTIONS, restricting, strict=True), (TRANSFER, TRANSFER)]
        if dice.random() < 0.85
        and (known == TRANSFER or {allowed for scope in RESTRICTIONS[known] for allowed in scopes.get(scope, ())}
             & set(RESTRICTIONS[become]))
    }  # fmt: skip
    if not scopes and not types:
        return pair_of(dice, source, target)
    return {"from": source, "to": target, "scopes": scopes, "authorization_details_types": types}


def batch(acme: Tenant, clients: Mapping[str, Agent], number: int) -> Services:
    """Write other pairs, and people with delegations, as the dice say."""
    dice = Dice(Random(number))
    for pair in administered(acme, "GET", "/resource-pairs")["items"]:
        administered(acme, "DELETE", f"/resource-pairs/{pair['id']}")
    both = [(source, target) for source in AUDIENCES for target in AUDIENCES if source != target]
    pairs = {ends: pair_of(dice.dice, *ends) for ends in both if dice.dice.random() < 0.9}
    for pair in pairs.values():
        administer(acme, "/resource-pairs", pair)
    actors = [*(acme.agent(name) for name in AGENTS), *clients.values()]
    delegations = {}
    for person in range(PEOPLE):
        name = f"person-{number}-{person}"
        with acme.tx() as tx:
            subject: UUID = provision(tx, Kind.USER, name)
        for actor in actors:
            for audience in AUDIENCES:
                body = {"actor_id": str(actor.id), "subject_id": str(subject), "resource": audience,
                        "max_depth": dice.dice.choice([2, 3, 4, 4]),
                        "max_lifetime_s": dice.dice.choice([20, 60, 120, 300]),
                        "max_task_s": dice.dice.choice([120, 600, 3_600, 86_400]), **dice.delegation()}  # fmt: skip
                made = administer(acme, "/delegations", body)
                delegations[name, actor.client_id, audience] = Permitted(
                    tuple(made["scopes"]), tuple(made["authorization_details"]),
                    made["max_lifetime_s"], made["max_depth"], made["max_task_s"],
                )  # fmt: skip
    return Services(clients, pairs, delegations)


def administered(acme: Tenant, method: str, path: str) -> Any:
    url = f"/admin/v1/tenants/{acme.slug}{path}"
    answer = acme.http.request(method, url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@dataclass(frozen=True, slots=True)
class Link:
    """One token that was had, the one that it was traded for, the delegation, and the pair by which it crossed.

    ``kind`` is how it was had. ``depth_max``, ``lifetime_s`` and ``task_s`` are the least that a delegation on the way
    allows.
    """

    kind: str
    text: str
    claims: VerifiedClaims
    before: "Link | None"
    permitted: Permitted | None
    pair: Mapping[str, Any] | None
    client: Agent
    depth_max: int
    lifetime_s: int
    task_s: int

    @property
    def audience(self) -> str:
        found: str = claims_in(self.text)["aud"]
        return found


@dataclass(slots=True)
class Course:
    """One task as it goes: its person, and every token that was had of it."""

    acme: Tenant
    clock: Clock
    keys: KeySet
    dice: Dice
    person: str
    services: Services
    links: list[Link] = field(default_factory=list)

    @property
    def last(self) -> Link | None:
        return self.links[-1] if self.links else None

    def go_on(self) -> Link | None:
        """Do one thing more, a while later; None when it is refused, which changes nothing."""
        random, last = self.dice.dice, self.last
        self.clock.forward(random.choice(PAUSES) if last else 0)
        if last is None or random.random() < 0.05:
            return self.begin()
        has_expired = claims_in(last.text)["exp"] <= self.acme.now.timestamp()
        if random.random() < (0.95 if has_expired else 0.1):
            return self.renew(last)
        return self.cross(last) if random.random() < 0.5 else self.hand_on(last)

    def begin(self) -> Link | None:
        """Exchange the person's token: for a new task, or for the one that there is."""
        there = self.dice.dice.choice(AUDIENCES)
        actor = self.acme.agent(self.dice.dice.choice(AGENTS)) if self.last is None else self.someone_in_it()
        permitted = self.services.delegations[self.person, actor.client_id, there]
        joined = {} if self.last is None else {"txn": claims_in(self.last.text)["txn"]}
        kind = "joined" if joined else "first"
        form = self.form(permitted) | {"resource": there} | joined
        return self.ask(kind, actor, None, permitted, form)

    def form(self, held: Held) -> dict[str, str]:
        """What is asked for: all that there is, or what the dice say."""
        return self.dice.form(held) if self.dice.dice.random() < 0.5 else {}

    def someone_in_it(self) -> Agent:
        return self.dice.dice.choice([link.client for link in self.links])

    def hand_on(self, last: Link) -> Link | None:
        actor = self.acme.agent(self.dice.dice.choice(AGENTS))
        is_own = str(actor.id) == actors_in(last.text)[0]
        permitted = None if is_own else self.services.delegations[self.person, actor.client_id, last.audience]
        return self.ask("narrowed" if is_own else "handed on", actor, last, permitted, self.form(as_held(last.claims)))

    def cross(self, last: Link) -> Link | None:
        here = last.audience
        there = self.dice.dice.choice([one for one in AUDIENCES if one != here])
        actor = self.services.clients[here]
        permitted = self.services.delegations[self.person, actor.client_id, there]
        form = self.form(permitted) | {"resource": there}
        return self.ask("crossed", actor, last, permitted, form, self.services.pairs.get((here, there)))

    def renew(self, last: Link) -> Link | None:
        """The present actor asks, or another one, who is refused."""
        actor = last.client if self.dice.dice.random() < 0.9 else self.someone_in_it()
        found = self.ask("renewed", actor, last, None, self.form(as_held(last.claims)) | {"renew": "true"})
        assert found is None or actor.id == last.client.id, "an actor renews its own token alone"
        return found

    def ask(
        self, kind: str, actor: Agent, before: Link | None, permitted: Permitted | None, form: Mapping[str, str],
        pair: Mapping[str, Any] | None = None,
    ) -> Link | None:  # fmt: skip
        answer = self.acme.exchange(actor, None if before is None else before.text, person=self.person, **form)
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code != 200:
            return None
        text = answer.json()["access_token"]
        claims = verify_token(text, self.keys, Expected(self.acme.issuer, claims_in(text)["aud"]), self.acme.now)
        length = 0 if before is None else len(actors_in(before.text))
        depths = [before.depth_max if before else 4, length + permitted.depth if permitted else 4]
        lifetimes = [before.lifetime_s if before else 300, permitted.lifetime_s if permitted else 300]
        tasks = [before.task_s if before else TASK_S, permitted.task_s if permitted else TASK_S]
        tasks += [self.links[0].task_s] if self.links else []
        link = Link(kind, text, claims, before, permitted, pair, actor, min(depths), min(lifetimes), min(tasks))
        self.links.append(link)
        return link


def check(link: Link, first: Link, name: str) -> None:
    """Look at one token beside the one before it, and beside the first of its task."""
    child, begun = claims_in(link.text), claims_in(first.text)
    assert [child[each] for each in ("sub", "txn", "iss")] == [begun[each] for each in ("sub", "txn", "iss")], name
    assert link.permitted is None or wider_than(link.claims, link.permitted) == [], name
    assert len(actors_in(link.text)) <= link.depth_max, name
    assert child["exp"] - child["iat"] <= link.lifetime_s, name
    assert child["exp"] <= begun["iat"] + link.task_s, name
    if link.before is None:
        assert actors_in(link.text) == [str(link.client.id)], name
    else:
        check_beside(link, link.before, name)


def check_beside(link: Link, before: Link, name: str) -> None:
    child, parent = claims_in(link.text), claims_in(before.text)
    actors, earlier = actors_in(link.text), actors_in(before.text)
    grown = link.kind in ("handed on", "crossed")
    assert actors == ([str(link.client.id), *earlier] if grown else earlier), f"{name}: nobody is lost"
    assert link.kind == "renewed" or child["exp"] <= parent["exp"], name
    if link.kind == "crossed":
        assert lets_in_more(link, before) == [], name
    else:
        assert (child["aud"], wider_than(link.claims, as_held(before.claims))) == (parent["aud"], []), name


def lets_in_more(link: Link, before: Link) -> list[Call]:
    """Return the calls that are open at the new audience, and in no scope that allows theirs at the one before."""
    assert link.pair is not None
    return [
        call
        for reading in READINGS
        for call in CALLS
        if reading(as_held(link.claims), call, RESTRICTIONS)
        and not any(reading(as_held(before.claims), other, RESTRICTIONS) for other in allowing(call, link.pair))
    ]


def allowing(call: Call, pair: Mapping[str, Any]) -> list[Call]:
    """The same call at the first audience: in each scope that allows its scope, or as the type that became its type."""
    if call.scope is None:
        types = pair["authorization_details_types"]
        return [replace(call, type=known) for known, become in types.items() if become == call.type]
    return [replace(call, scope=scope) for scope, allowed in pair["scopes"].items() if call.scope in allowed]


def check_end(course: Course, name: str) -> Iterator[str]:
    """End some tasks before their time: then nothing of them lives, and nothing more is had."""
    acme, last, random = course.acme, course.last, course.dice.dice
    if last is None or random.random() > 0.25:
        return
    if random.random() < 0.5:
        administer(acme, f"/tasks/{claims_in(last.text)['txn']}/cancel", {"reason": "test"}, status=200)
        yield "cancelled"
    else:
        begun: datetime = course.links[0].claims.issued_at
        course.clock.forward(max(0.0, TASK_S - (acme.now - begun).total_seconds()))
    assert not any(acme.is_live(link.text, course.services.clients[link.audience]) for link in course.links), name
    assert all(course.renew(link) is None for link in course.links), name
    assert course.hand_on(last) is None and course.cross(last) is None and course.begin() is None, name


@pytest.mark.promise(3)
@pytest.mark.timeout(max(120, TASKS))
@pytest.mark.parametrize("part", range(PARTS))
def test_however_a_task_goes_authority_never_grows_nobody_is_lost_and_nothing_lives_after_it(
    two_tenants: TwoTenants, part: int
) -> None:
    acme, seen = two_tenants.acme, Counter[str]()
    keys = parse_key_set(acme.http.get(f"/t/{acme.slug}/jwks").json())
    clients = services_in(acme)
    for number in range(part * TASKS, (part + 1) * TASKS):
        if (number - part * TASKS) % TASKS_OF_A_BATCH == 0:
            services = batch(acme, clients, number)
        dice, name = Dice(Random(number)), f"task {number}"
        person = dice.dice.choice(sorted({person for person, _, _ in services.delegations}))
        course = Course(acme, two_tenants.clock, keys, dice, person, services)
        for link in [course.go_on() for _ in range(LENGTH)]:
            seen.update(what_happened(link))
        for link in course.links:
            check(link, course.links[0], name)
        seen.update(check_end(course, name))
    assert seen.keys() >= WANTED, f"the tasks show nothing: {seen}"


def what_happened(link: Link | None) -> Iterator[str]:
    if link is None:
        yield "refused"
        return
    yield link.kind
    before = link.before
    if link.kind == "crossed" and link.claims.authorization_details:
        yield "crossed restricted"
    if before and link.kind in ("crossed", "renewed") and before.kind == link.kind:
        yield f"{link.kind} twice"
    if before and claims_in(before.text)["exp"] <= claims_in(link.text)["iat"]:
        yield f"{link.kind} late"
