"""Over whole chains that are had through the API: what a resource server lets through never grows.

IDENTITY_PROVE_CHAINS says how many chains; each has its number, from which it can be had again.
"""

import copy
import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import pytest
from identity_verifier import Expected, KeySet, VerifiedClaims, parse_key_set, verify_token

from examples.erp.policy import Action, Invoice, decide
from identity.model.principal import Kind
from tests.fixtures import AGENTS, Tenant, provision
from tests.oauth.books import (
    ACCESS,
    BOOKS,
    LIST,
    PAY,
    READ,
    RESTRICTIONS,
    STATEMENT,
    TRANSFER,
    delegate,
    register_books,
)
from tests.oracles.authority import Call, Holder, opens, opens_where_nothing_restricts

CHAINS = int(os.environ.get("IDENTITY_PROVE_CHAINS", "200"))
PEOPLE = 40  # each with a delegation for each agent
LENGTH = 5
WANTED = {f"{kind}{restricted}" for kind in ("first", "handed on", "narrowed") for restricted in ("", " restricted")}

SCOPES = (READ, PAY, LIST)
AMOUNTS = (-1, 99, 100, 420, 9_800)
Reading = Callable[[Holder, Call, Mapping[str, Any]], bool]
READINGS: tuple[Reading, ...] = (opens, opens_where_nothing_restricts)
CALLS = [
    Call(scope, type_, *rest)
    for scope, type_ in ((READ, ACCESS), (PAY, ACCESS), (LIST, ACCESS), (None, TRANSFER), (None, ACCESS))
    for rest in itertools.product((READ, PAY), AMOUNTS, ("here", "there"), ("17", "18"))
]
INVOICES = [Invoice(str(amount), amount, "Paper & Sons") for amount in AMOUNTS]
ACTIONS: tuple[Action, ...] = ("read", "pay")


@dataclass(frozen=True, slots=True)
class Held:
    """What a token or a delegation has."""

    scopes: tuple[str, ...]
    authorization_details: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Dice:
    """Everything random about authority, from one number."""

    dice: Random

    def some(self, of: Any, least: int = 0) -> list[Any]:
        return self.dice.sample(of, self.dice.randint(least, len(of)))

    def entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": self.dice.choice([ACCESS, ACCESS, ACCESS, STATEMENT, TRANSFER])}
        members = {
            "actions": self.some([READ, PAY], 1),
            "locations": self.some(["here", "there"], 1),
            "constraints": {
                self.dice.choice(["max_amount_usd", "min_amount"]): self.dice.choice([99, 100, 420, 500.5])
            },
            "except": self.some([READ, PAY], 1),
            "identifier": self.dice.choice(["17", "18"]),
        }
        kept = self.dice.choices(list(members), weights=[8, 2, 8, 1, 1], k=2)
        return entry | {name: members[name] for name in kept}

    def details(self, most: int) -> list[dict[str, Any]]:
        return [self.entry() for _ in range(self.dice.randint(0, most))]

    def delegation(self) -> dict[str, Any]:
        """Return what a delegation may have: a scope that its details would never open is refused there."""
        details = self.details(3) if self.dice.random() < 0.7 else []
        types = {entry["type"] for entry in details}
        shut = {READ, PAY} - {scope for type_ in types for scope in RESTRICTIONS.get(type_, ())} if details else set()
        scopes = [scope for scope in self.some(SCOPES, 1) if scope not in shut]
        if not scopes and not details:
            return self.delegation()
        return {"scopes": scopes, "authorization_details": details}

    def form(self, held: Held) -> dict[str, str]:
        """Return what is asked for: nothing, or what is held with a change that narrows or tries to widen."""
        form = {}
        if self.dice.random() < 0.3:
            form["scope"] = " ".join(self.some(held.scopes if self.dice.random() < 0.8 else SCOPES))
        if self.dice.random() < 0.6:
            wanted = [dict(entry) for entry in self.some(held.authorization_details)]
            if wanted and self.dice.random() < 0.7:
                wanted[0] = self.changed(wanted[0])
            wanted += [self.entry()] * (self.dice.random() < 0.2) + wanted[:1] * (self.dice.random() < 0.1)
            form["authorization_details"] = json.dumps(wanted)
        return form

    def changed(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry with one change: a list, a limit, a limit more, an exception, a member less, or any more."""
        changed = copy.deepcopy(dict(entry))
        match self.dice.choice(["actions", "locations", "limit", "limit", "more limits", "except", "less", "more"]):
            case ("actions" | "locations" | "except") as name if name in changed:
                changed[name] = self.some({"locations": ["here", "there"]}.get(name, [READ, PAY]))
            case "limit" if changed.get("constraints"):
                name = next(iter(changed["constraints"]))
                changed["constraints"][name] = self.dice.choice([-1, 99, 100.0, 9_800, 9_800, True, "100", None])
            case "more limits" if "constraints" in changed:
                name = self.dice.choice(["or", "not", "max_amount_usd", "min_amount"])
                changed["constraints"][name] = self.dice.choice([{"max_amount_usd": 9_800}, {}, 99])
            case "less":
                changed.pop(self.dice.choice(list(changed)))
            case "more":
                changed |= self.entry()
        return changed


def people_with_delegations(acme: Tenant, dice: Dice, batch: int) -> dict[str, dict[str, Held]]:
    """Write people, and let each agent act for each of them, with what the dice say."""
    found: dict[str, dict[str, Held]] = {}
    for number in range(PEOPLE):
        name = f"person-{batch}-{number}"
        with acme.tx() as tx:
            person: UUID = provision(tx, Kind.USER, name)
        found[name] = {}
        for agent in AGENTS:
            made = delegate(acme, agent, subject_id=str(person), **dice.delegation())
            found[name][agent] = Held(tuple(made["scopes"]), tuple(made["authorization_details"]))
    return found


def links_of(acme: Tenant, keys: KeySet, dice: Dice, name: str, delegations: Mapping[str, Held]) -> Iterator[Any]:
    """Ask for one token after the other, and give each with the token before it and the delegation it was had under.

    The agent that holds a token may narrow it itself; then there is no delegation. A refusal leaves the chain as it is.
    """
    parent: VerifiedClaims | None = None
    text: str | None = None
    actor = ""
    for _ in range(LENGTH):
        agent = dice.dice.choice(AGENTS)
        form = dice.form(delegations[agent] if parent is None else as_held(parent))
        target = {"resource": BOOKS} if text is None else {}
        answer = acme.exchange(agent, text, person=name, **target, **form)
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200:
            text = answer.json()["access_token"]
            child = verify_token(text, keys, Expected(acme.issuer, BOOKS), acme.now)
            yield child, parent, None if agent == actor else delegations[agent]
            parent, actor = child, agent
        else:
            yield None, parent, None


def as_held(claims: VerifiedClaims) -> Held:
    return Held(claims.scopes, tuple(map(dict, claims.authorization_details)))


def wider_than(child: VerifiedClaims, holder: Held) -> list[tuple[Reading, Call]]:
    """Return the calls that the child opens and the holder does not, by any reading that a resource server may have."""
    return [
        (reading, call)
        for reading in READINGS
        for call in CALLS
        if reading(as_held(child), call, RESTRICTIONS) and not reading(holder, call, RESTRICTIONS)
    ]


def allowed_by_the_example(claims: VerifiedClaims) -> set[tuple[str, str]]:
    return {
        (action, invoice.id) for action in ACTIONS for invoice in INVOICES if decide(claims, action, invoice).is_allowed
    }


@pytest.mark.promise(3)
@pytest.mark.timeout(max(120, CHAINS))
def test_what_a_resource_server_lets_through_never_grows_along_a_chain(acme: Tenant) -> None:
    register_books(acme)
    keys = parse_key_set(acme.http.get(f"/t/{acme.slug}/jwks").json())
    seen: Counter[str] = Counter()
    delegations: dict[str, dict[str, Held]] = {}
    for number in range(CHAINS):
        dice = Dice(Random(number))
        if number % (PEOPLE * 5) == 0:
            delegations = people_with_delegations(acme, dice, number)
        name = dice.dice.choice(list(delegations))
        for child, parent, delegation in links_of(acme, keys, dice, name, delegations[name]):
            seen[what_happened(child, parent, delegation)] += 1
            if child is None:
                continue
            assert delegation is None or wider_than(child, delegation) == [], f"chain {number}"
            assert parent is None or wider_than(child, as_held(parent)) == [], f"chain {number}"
            assert parent is None or allowed_by_the_example(child) <= allowed_by_the_example(parent), f"chain {number}"
    assert seen.keys() >= WANTED, f"the chains show nothing: {seen}"


def what_happened(child: VerifiedClaims | None, parent: VerifiedClaims | None, delegation: Held | None) -> str:
    if child is None:
        return "refused"
    kind = "first" if parent is None else "narrowed" if delegation is None else "handed on"
    return f"{kind} restricted" if child.authorization_details else kind
