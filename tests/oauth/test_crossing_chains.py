"""Over whole chains from service to service, had through the API: authority never grows, and nobody is lost.

IDENTITY_PROVE_CHAINS says how many chains; each has its number, from which it can be had again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from identity_verifier import Expected, KeySet, VerifiedClaims, parse_key_set, verify_token

from identity.model.principal import Kind
from tests.oauth.books import LIST, PAY, READ, RESTRICTIONS, TRANSFER, administer
from tests.oauth.test_authority_chains import CALLS, CHAINS, READINGS, Dice, Held, as_held, wider_than
from tests.oracles.authority import Call
from tests.world import ADMIN_TOKEN, AGENTS, Agent, Tenant, actors_in, claims_in, employ, provision

AUDIENCES = ("https://one.example", "https://two.example", "https://three.example")
PEOPLE = 6  # each with a delegation for each actor at each audience
CHAINS_OF_A_BATCH = 100
LENGTH = 6
WANTED = {"first", "handed on", "narrowed", "crossed", "crossed restricted", "crossed twice", "refused"}
TYPES = [TRANSFER, *({"type": type_, "scopes": scopes} for type_, scopes in RESTRICTIONS.items())]
Pairs = dict[tuple[str, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Services:
    """A resource server at each audience, all with the same scopes and types, and the client of each."""

    clients: Mapping[str, Agent]
    pairs: Pairs
    delegations: Mapping[tuple[str, str, str], Held]
    """By person, actor's client id and audience."""


def services_in(acme: Tenant) -> Mapping[str, Agent]:
    clients = {}
    for number, audience in enumerate(AUDIENCES):
        with acme.tx() as tx:
            bot = employ(tx, f"service-{number}", acme.planted.dana)
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
                        "max_depth": dice.dice.choice([2, 3, 4, 4]), **dice.delegation()}  # fmt: skip
                made = administer(acme, "/delegations", body)
                held = Held(tuple(made["scopes"]), tuple(made["authorization_details"]))
                delegations[name, actor.client_id, audience] = held
    return Services(clients, pairs, delegations)


def administered(acme: Tenant, method: str, path: str) -> Any:
    url = f"/admin/v1/tenants/{acme.slug}{path}"
    answer = acme.http.request(method, url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@dataclass(frozen=True, slots=True)
class Link:
    """One token that was had, the one that it was traded for, the delegation, and the pair by which it crossed."""

    text: str
    claims: VerifiedClaims
    before: "Link | None"
    delegation: Held | None
    pair: Mapping[str, Any] | None


def links_of(acme: Tenant, keys: KeySet, dice: Dice, person: str, services: Services) -> Iterator[Link | None]:
    """Ask for one token after the other: hand on, narrow, or go on to another audience. A refusal changes nothing."""
    last: Link | None = None
    for _ in range(LENGTH):
        here = None if last is None else claims_in(last.text)["aud"]
        crosses = here is not None and dice.dice.random() < 0.5
        there = dice.dice.choice([one for one in AUDIENCES if one != here]) if crosses or here is None else here
        actor = services.clients[str(here)] if crosses else acme.agent(dice.dice.choice(AGENTS))
        delegation = services.delegations[person, actor.client_id, str(there)]
        form = dice.form(delegation) if last is None or crosses else dice.form(as_held(last.claims))
        target = {"resource": there} if here != there else {}
        answer = acme.exchange(actor, None if last is None else last.text, person=person, **target, **form)
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code != 200:
            yield None
            continue
        text = answer.json()["access_token"]
        claims = verify_token(text, keys, Expected(acme.issuer, str(there)), acme.now)
        is_narrowed = last is not None and actors_in(last.text) == actors_in(text)
        pair = services.pairs[str(here), str(there)] if crosses else None
        last = Link(text, claims, last, None if is_narrowed else delegation, pair)
        yield last


def check(link: Link, number: int) -> None:
    child, before = claims_in(link.text), link.before
    assert link.delegation is None or wider_than(link.claims, link.delegation) == [], f"chain {number}"
    if before is None:
        assert len(actors_in(link.text)) == 1
        return
    parent = claims_in(before.text)
    assert [child[name] for name in ("sub", "txn", "iss")] == [parent[name] for name in ("sub", "txn", "iss")]
    assert child["exp"] <= parent["exp"]
    actors, earlier = actors_in(link.text), actors_in(before.text)
    assert actors[-len(earlier) :] == earlier, "nobody is lost"
    assert len(actors) - len(earlier) == (link.delegation is not None)
    assert len(actors) <= 4
    if link.pair is None:
        assert (child["aud"], wider_than(link.claims, as_held(before.claims))) == (parent["aud"], []), f"chain {number}"
    else:
        assert lets_in_more(link, before) == [], f"chain {number}"


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


@pytest.mark.promise(3)
@pytest.mark.timeout(max(120, CHAINS))
def test_from_service_to_service_authority_never_grows_and_nobody_is_lost(acme: Tenant) -> None:
    keys = parse_key_set(acme.http.get(f"/t/{acme.slug}/jwks").json())
    clients, seen = services_in(acme), Counter[str]()
    services: Services | None = None
    for number in range(CHAINS):
        dice = Dice(Random(number))
        if services is None or number % CHAINS_OF_A_BATCH == 0:
            services = batch(acme, clients, number)
        person = dice.dice.choice(sorted({person for person, _, _ in services.delegations}))
        for link in links_of(acme, keys, dice, person, services):
            seen.update(what_happened(link))
            if link is not None:
                check(link, number)
    assert seen.keys() >= WANTED, f"the chains show nothing: {seen}"


def what_happened(link: Link | None) -> Iterator[str]:
    if link is None:
        yield "refused"
    elif link.pair is None:
        yield "first" if link.before is None else "narrowed" if link.delegation is None else "handed on"
    else:
        yield "crossed"
        if link.claims.authorization_details:
            yield "crossed restricted"
        if link.before is not None and link.before.pair is not None:
            yield "crossed twice"
