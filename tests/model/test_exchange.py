"""Deciding an exchange: one fault per row, and the lattice that no decision climbs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.authorization_details import covers_each
from identity.model.delegation import Delegation, Details
from identity.model.exchange import (
    ANCESTORS_MAX,
    Allowed,
    Denied,
    Held,
    Requested,
    Route,
    TenantLimits,
    decide_exchange,
)
from identity.model.principal import Kind
from identity.model.tenant import DEPTH_MAX, TASK_DURATION_MAX_S, TASK_DURATION_S, TASK_LIFETIME_MAX_S
from identity.model.token import Party, TokenFacts
from tests.model.parties import (
    ARCHIVE,
    BOT,
    DETAILS,
    ERP,
    FIFTH,
    MAIL,
    NOW,
    OCR,
    SAM,
    delegation,
    from_token,
    from_upstream,
    party,
    server,
    soon,
    token,
    wants,
)
from tests.oracles.authority import Call, opens
from tests.trials import trials

RESTRICTIONS = {"invoice": frozenset({"read", "pay"})}
ROUTE = Route(server(invoice=("read", "pay"), payment=()))
ALONE: dict[str, Any] = {"route": Route(server(invoice=(), payment=()))}  # no type restricts a scope: all stand alone
OTHER = ({"type": "payment", "identifier": "17"},)


def limits(lifetime_max_s: int, max_task_s: int = TASK_DURATION_MAX_S) -> TenantLimits:
    return TenantLimits(lifetime_max_s, max_task_s)


def decide(
    wanted: Requested, held: Held, actor: Party | None, delegations: Sequence[Delegation], **changed: Any
) -> Allowed | Denied:
    known = {"route": ROUTE, "limits": limits(300), "now": NOW} | changed
    return decide_exchange(wanted, held, actor, delegations, **known)


def allowed(*arguments: Any, **changed: Any) -> Allowed:
    decision = decide(*arguments, **changed)
    assert isinstance(decision, Allowed), decision
    return decision


def test_an_agent_with_a_delegation_gets_what_the_delegation_gives() -> None:
    decision = allowed(wants(), from_upstream(), BOT, [delegation(BOT)])
    assert decision.chain == (BOT,)
    assert decision.audience == ERP
    assert decision.scopes == ("read", "pay")
    assert decision.authorization_details == DETAILS
    assert decision.expires_at == soon(120)
    assert decision.task_expires_at == soon(TASK_DURATION_S)


CHAIN_OF_FOUR = (ARCHIVE, MAIL, OCR, BOT)

REFUSALS: list[tuple[str, Requested, Held, Party | None, list[Delegation], dict[str, Any], tuple[str, str]]] = [
    ("nobody acts", wants(), from_upstream(), None, [], {}, ("party", "actor_unknown")),
    ("a person acts", wants(), from_upstream(), party(9, Kind.USER), [], {}, ("party", "actor_unknown")),
    ("a group acts", wants(), from_upstream(), party(9, Kind.GROUP), [], {}, ("party", "actor_unknown")),
    ("suspended actor", wants(), from_upstream(), replace(BOT, state="suspended"), [delegation(BOT)], {},
     ("party", "actor_inactive")),
    ("actor in an unknown state", wants(), from_upstream(), replace(BOT, state="asleep"), [delegation(BOT)], {},
     ("party", "actor_inactive")),
    ("actor not valid yet", wants(), from_upstream(), replace(BOT, valid_from=soon(1)), [delegation(BOT)], {},
     ("party", "actor_inactive")),
    ("actor no longer valid", wants(), from_upstream(), replace(BOT, valid_until=NOW), [delegation(BOT)], {},
     ("party", "actor_inactive")),
    ("dead subject", wants(), from_upstream(subject=replace(SAM, state="deprovisioned")), BOT, [delegation(BOT)], {},
     ("party", "subject_inactive")),
    ("dead link", wants(), from_token(replace(BOT, state="suspended")), OCR, [delegation(OCR)], {},
     ("party", "chain_inactive")),
    ("agent for itself", wants(), from_upstream(subject=BOT), BOT, [delegation(BOT)], {},
     ("delegation", "actor_is_subject")),
    ("actor is in the chain", wants(), from_token(OCR, BOT), BOT, [delegation(BOT)], {},
     ("delegation", "actor_already_in_chain")),
    ("endless narrowing", wants(), from_token(BOT, parent=token(BOT, ancestor_ids=(UUID(int=1),) * ANCESTORS_MAX)), BOT,
     [], {}, ("delegation", "too_many_ancestors")),
    ("no resource", wants(resource=None), from_upstream(), BOT, [delegation(BOT)], {},
     ("target", "resource_required")),
    ("unknown resource", wants(), from_upstream(), BOT, [delegation(BOT)], {"route": Route(None)},
     ("target", "unknown_resource")),
    ("another audience", wants(resource="https://crm.example"), from_token(BOT), OCR,
     [delegation(OCR, resource="https://crm.example")], {}, ("target", "audience_differs")),
    ("no delegation", wants(), from_upstream(), BOT, [], {}, ("delegation", "not_delegated")),
    ("for another resource", wants(), from_upstream(), BOT, [delegation(BOT, resource="https://crm.example")], {},
     ("delegation", "not_delegated")),
    ("expired delegation", wants(), from_upstream(), BOT, [delegation(BOT, expires_at=NOW)], {},
     ("delegation", "delegation_ended")),
    ("ended delegation", wants(), from_upstream(), BOT, [delegation(BOT, ended_at=NOW)], {},
     ("delegation", "delegation_ended")),
    ("handed on to nobody's delegate", wants(), from_token(BOT), OCR, [], {}, ("delegation", "not_delegated")),
    ("may not be handed on", wants(), from_token(BOT, parent=token(BOT, depth_max=1)), OCR, [delegation(OCR)], {},
     ("delegation", "depth_exceeded")),
    ("a fifth actor", wants(), from_token(*CHAIN_OF_FOUR), FIFTH, [delegation(FIFTH)], {},
     ("delegation", "depth_exceeded")),
    ("more scope than delegated", wants(scopes=("void",)), from_upstream(), BOT, [delegation(BOT)], {},
     ("scope", "scope_exceeded")),
    ("more scope than the token has", wants(scopes=("pay",)), from_token(BOT, parent=token(BOT, scopes=("read",))), OCR,
     [delegation(OCR)], {}, ("scope", "scope_exceeded")),
    ("more scope by narrowing alone", wants(scopes=("pay",)), from_token(BOT, parent=token(BOT, scopes=("read",))), BOT,
     [delegation(BOT)], {}, ("scope", "scope_exceeded")),
    ("more details than delegated", wants(authorization_details=({"type": "invoice", "actions": ["void"]},)),
     from_upstream(), BOT, [delegation(BOT)], {}, ("details", "authorization_details_exceeded")),
    ("an empty list of details", wants(authorization_details=()), from_upstream(), BOT, [delegation(BOT)], {},
     ("details", "authorization_details_exceeded")),
    ("an empty list where nothing is held", wants(authorization_details=()), from_upstream(), BOT,
     [delegation(BOT, authorization_details=())], {}, ("details", "authorization_details_exceeded")),
    ("an empty list by narrowing alone", wants(authorization_details=()), from_token(BOT), BOT, [], {},
     ("details", "authorization_details_exceeded")),
    ("details that the token lacks", wants(authorization_details=DETAILS),
     from_token(BOT, parent=token(BOT, authorization_details=())), OCR, [delegation(OCR)], ALONE,
     ("details", "authorization_details_exceeded")),
    ("details that the delegation lacks", wants(authorization_details=DETAILS), from_token(BOT), OCR,
     [delegation(OCR, authorization_details=())], ALONE, ("details", "authorization_details_exceeded")),
    ("details of nobody", wants(authorization_details=DETAILS), from_upstream(), BOT,
     [delegation(BOT, authorization_details=())], ALONE, ("details", "authorization_details_exceeded")),
    ("details of nobody that restrict a scope which is not granted",
     wants(scopes=("read",), authorization_details=DETAILS), from_upstream(), BOT,
     [delegation(BOT, authorization_details=())], {}, ("details", "authorization_details_exceeded")),
    ("one entry twice", wants(authorization_details=DETAILS * 2), from_upstream(), BOT, [delegation(BOT)], {},
     ("details", "authorization_details_exceeded")),
    ("a scope whose restriction is left out", wants(scopes=("pay",), authorization_details=OTHER),
     from_upstream(), BOT, [delegation(BOT, authorization_details=(*DETAILS, *OTHER))], {},
     ("scope", "scope_exceeded")),
    ("nothing in common", wants(), from_token(BOT, parent=token(BOT, scopes=("read",), authorization_details=())), OCR,
     [delegation(OCR, scopes=("pay",), authorization_details=())], {}, ("scope", "nothing_left")),
    ("a scope that is there no more", wants(), from_upstream(), BOT,
     [delegation(BOT, scopes=("void",), authorization_details=())], {}, ("delegation", "delegation_not_offered")),
    ("restrictions of a scope that is there no more", wants(), from_upstream(), BOT,
     [delegation(BOT, scopes=("void",))], {}, ("delegation", "delegation_not_offered")),
    ("details that are there no more", wants(), from_upstream(), BOT,
     [delegation(BOT, authorization_details=({"type": "gone"},))], {}, ("delegation", "delegation_not_offered")),
    ("details that are there no more, asked", wants(authorization_details=({"type": "gone"},)), from_upstream(), BOT,
     [delegation(BOT, authorization_details=())], {}, ("details", "authorization_details_exceeded")),
    ("no details in common although scopes are", wants(), from_token(BOT), OCR,
     [delegation(OCR, authorization_details=OTHER)], {}, ("scope", "nothing_left")),
    ("details that the token lacks in common", wants(), from_token(BOT, parent=token(BOT, authorization_details=())),
     OCR, [delegation(OCR, authorization_details=OTHER)], {}, ("scope", "nothing_left")),
    ("details that the delegation lacks in common", wants(),
     from_token(BOT, parent=token(BOT, authorization_details=OTHER)), OCR, [delegation(OCR, authorization_details=())],
     {}, ("scope", "nothing_left")),
    ("of a token that has nothing", wants(),
     from_token(BOT, parent=token(BOT, scopes=(), authorization_details=())), OCR, [delegation(OCR, scopes=())], {},
     ("scope", "nothing_left")),
    ("details that restricted a scope, without one", wants(), from_token(BOT, parent=token(BOT, scopes=("read",))), OCR,
     [delegation(OCR, scopes=("pay",))], {}, ("scope", "nothing_left")),
    ("less than a second is left", wants(), from_upstream(valid_until=soon(0.9)), BOT, [delegation(BOT)], {},
     ("party", "lifetime_spent")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "held", "actor", "delegations", "known", "refusal"),
    [row[1:] for row in REFUSALS],
    ids=[r[0] for r in REFUSALS],
)
def test_an_exchange_with_one_fault_is_denied_for_that_fault(
    wanted: Requested,
    held: Held,
    actor: Party | None,
    delegations: list[Delegation],
    known: dict[str, Any],
    refusal: tuple[str, str],
) -> None:
    assert decide(wanted, held, actor, delegations, **known) == Denied(*refusal)


LIMITED = ({"type": "invoice", "actions": ["pay"]},)
BARE = token(BOT, authorization_details=())


@pytest.mark.parametrize(
    ("wanted", "held", "delegated", "known", "scopes", "details"),
    [
        (wants(), from_token(BOT), delegation(OCR, authorization_details=()), {}, ("read", "pay"), DETAILS),
        (wants(), from_token(BOT, parent=BARE), delegation(OCR), {}, ("read", "pay"), DETAILS),
        (wants(), from_token(BOT), delegation(OCR, authorization_details=LIMITED), {}, ("read", "pay"), LIMITED),
        (wants(authorization_details=LIMITED), from_token(BOT), delegation(OCR, authorization_details=()), {},
         ("read", "pay"), LIMITED),
        (wants(authorization_details=LIMITED), from_token(BOT, parent=BARE), delegation(OCR, authorization_details=()),
         {}, ("read", "pay"), LIMITED),
        (wants(), from_token(BOT), delegation(OCR), ALONE, ("read", "pay"), DETAILS),
        (wants(scopes=("read",)), from_token(BOT, parent=BARE), delegation(OCR), {}, ("read",), DETAILS),
        (wants(authorization_details=OTHER), from_token(BOT, parent=token(BOT, authorization_details=DETAILS + OTHER)),
         delegation(OCR, authorization_details=OTHER + DETAILS), {}, (), OTHER),
        (wants(), from_token(BOT, parent=token(BOT, scopes=())), delegation(OCR, scopes=()), {}, (), DETAILS),
        (wants(), from_token(BOT, parent=token(BOT, scopes=("read",), authorization_details=DETAILS + OTHER)),
         delegation(OCR, scopes=("pay",), authorization_details=DETAILS + OTHER), {}, (), OTHER),
    ],
    ids=["the token's restriction stays", "the delegation's restriction comes", "what both have in common",
         "less asked", "a restriction of one's own", "what stands alone is held by both",
         "a restriction of another scope", "without the restriction no scope", "details alone",
         "what stands alone is left where no scope is"],
)  # fmt: skip
def test_what_restricts_stays_and_what_stands_alone_is_held_by_all(
    wanted: Requested,
    held: Held,
    delegated: Delegation,
    known: dict[str, Any],
    scopes: tuple[str, ...],
    details: Details,
) -> None:
    decision = allowed(wanted, held, OCR, [delegated], **known)
    assert (decision.scopes, decision.authorization_details) == (scopes, details)


def test_an_expired_delegation_does_not_hide_one_that_stands() -> None:
    old, other = delegation(BOT, expires_at=soon(-1)), delegation(BOT, id=UUID(int=999))
    assert allowed(wants(), from_upstream(), BOT, [old, other]).delegation == other


def test_a_delegation_in_its_last_split_second_does_not_hide_one_that_stands() -> None:
    now = soon(0.5)
    old, other = delegation(BOT, expires_at=soon(0.9)), delegation(BOT, id=UUID(int=999))
    assert allowed(wants(), from_upstream(), BOT, [old, other], now=now).delegation == other


def test_of_two_delegations_the_one_that_allows_what_is_asked_decides() -> None:
    reads, pays = delegation(BOT, scopes=("read",)), delegation(BOT, id=UUID(int=999), scopes=("pay",))
    assert allowed(wants(scopes=("pay",)), from_upstream(), BOT, [reads, pays]).delegation == pays
    assert decide(wants(scopes=("read", "pay")), from_upstream(), BOT, [reads, pays]) == Denied(
        "scope", "scope_exceeded"
    ), "two delegations never add up"


def test_an_actor_that_narrows_its_own_token_needs_no_delegation_and_adds_no_link() -> None:
    decision = allowed(wants(resource=None, scopes=("read",)), from_token(OCR, BOT), OCR, [])
    assert decision.chain == (OCR, BOT)
    assert decision.scopes == ("read",)
    assert decision.delegation is None
    assert decision.expires_at == soon(120)


@pytest.mark.parametrize(
    ("held", "changed", "known", "seconds"),
    [
        (from_upstream(), {}, {}, 120),
        (from_upstream(), {"max_lifetime_s": 300}, {}, 300),
        (from_upstream(), {"max_lifetime_s": 10_000}, {"limits": limits(10_000)}, TASK_LIFETIME_MAX_S),
        (from_upstream(), {"max_lifetime_s": 7}, {}, 7),
        (from_upstream(), {}, {"limits": limits(8)}, 8),
        (from_upstream(), {"expires_at": soon(9.9)}, {}, 9),
        (from_upstream(valid_until=soon(10.9)), {}, {}, 10),
        (from_upstream(subject=replace(SAM, valid_until=soon(11))), {}, {}, 11),
        (from_token(BOT, parent=token(BOT, expires_at=soon(12))), {}, {}, 12),
        (from_token(BOT, parent=token(BOT, task_expires_at=soon(13))), {}, {}, 13),
        (from_token(replace(BOT, valid_until=soon(14))), {}, {}, 14),
    ],
)
def test_a_token_lives_as_long_as_the_shortest_lived_thing_it_rests_on(
    held: Held, changed: dict[str, Any], known: dict[str, Any], seconds: int
) -> None:
    actor = OCR if held.chain else BOT
    assert allowed(wants(), held, actor, [delegation(actor, **changed)], **known).expires_at == soon(seconds)


# X1: a chain of any length, with any delegations and any wishes, only ever narrows.


@dataclass(frozen=True, slots=True)
class Dice:
    """Everything random about a chain, from one number: 5,000 chains in seconds, and each can be had again."""

    dice: Random

    def some(self, of: Sequence[Any], most: int = 3) -> tuple[Any, ...]:
        return tuple(self.dice.sample(of, self.dice.randint(0, most)))

    def scopes(self) -> tuple[str, ...]:
        return self.some(["read", "pay", "void"])

    def details(self) -> Details:
        return tuple(
            {"type": self.dice.choice(["invoice", "invoice", "payment"]),
             "actions": list(self.some(["read", "pay"], 2)) or ["read"], "constraints": {"max": limit}}
            for limit in self.some([1, 2, 3], 2)
        )  # fmt: skip

    def delegation(self, actor: Party) -> Delegation:
        return delegation(
            actor,
            scopes=self.scopes() or ("read",),
            authorization_details=self.details(),
            max_lifetime_s=self.dice.randint(1, 300),
            max_depth=self.dice.randint(1, 4),
            expires_at=self.dice.choice([None, soon(self.dice.randint(-5, 400))]),
        )

    def wish(self) -> Requested:
        return Requested(
            self.dice.choice([None, ERP, ERP]),
            self.dice.choice([None, None, self.scopes()]),
            self.dice.choice([None, None, self.details()]),
        )


@pytest.mark.promise(3)
@settings(max_examples=trials(5_000), deadline=None)
@given(st.integers(0, 2**64))
def test_authority_only_shrinks_down_a_chain(seed: int) -> None:
    throws = Dice(Random(seed))
    now, tenant_max_s = NOW, throws.dice.randint(1, 300)
    held: Held = from_upstream(valid_until=soon(throws.dice.randint(1, 600)))
    for actor in throws.dice.choices([BOT, OCR, MAIL, ARCHIVE, FIFTH], k=7):
        now += timedelta(seconds=throws.dice.randint(0, 20))
        terms, wanted = throws.delegation(actor), throws.wish()
        decision = decide(wanted, held, actor, [terms], limits=limits(tenant_max_s), now=now)
        if isinstance(decision, Allowed):
            assert_narrower(decision, held, terms, wanted, actor, now, tenant_max_s)
            held = as_held(decision, held)


def assert_narrower(
    decision: Allowed, held: Held, terms: Delegation, wanted: Requested, actor: Party, now: datetime, tenant_max_s: int
) -> None:
    lifetime = (decision.expires_at - now).total_seconds()
    assert 0 < lifetime <= min(TASK_LIFETIME_MAX_S, tenant_max_s)
    assert decision.expires_at <= held.valid_until
    assert decision.chain == ((actor, *held.chain) if held.chain[:1] != (actor,) else held.chain)
    assert len(decision.chain) <= min(DEPTH_MAX, decision.depth_max)
    assert len({link.id for link in decision.chain}) == len(decision.chain)
    if wanted.scopes is not None:
        assert set(decision.scopes) <= set(wanted.scopes)
    if held.parent is not None:
        assert set(decision.scopes) <= set(held.parent.scopes)
        assert_no_wider(decision, held.parent)
        assert decision.depth_max <= held.parent.depth_max
        assert decision.audience == held.parent.audience
    if decision.delegation is not None:
        assert set(decision.scopes) <= set(terms.scopes)
        assert_no_wider(decision, terms)
        assert lifetime <= terms.max_lifetime_s
        assert terms.expires_at is None or decision.expires_at <= terms.expires_at
    else:
        assert held.chain[0] == actor


CALLS = [
    Call(scope, type_, action, amount)
    for scope, type_ in (("read", "invoice"), ("pay", "invoice"), ("void", "invoice"), (None, "payment"))
    for action in ("read", "pay")
    for amount in (1, 2, 3, 4)
]


def assert_no_wider(decision: Allowed, holder: Delegation | TokenFacts) -> None:
    """Details are no weaker: none are shed, each is covered, and none appears that would open more."""
    if holder.authorization_details:
        assert decision.authorization_details
        assert covers_each(holder.authorization_details, decision.authorization_details)
    wider = [call for call in CALLS if opens(decision, call, RESTRICTIONS) and not opens(holder, call, RESTRICTIONS)]
    assert wider == []


def as_held(decision: Allowed, before: Held) -> Held:
    parent = token(
        *decision.chain,
        scopes=decision.scopes,
        authorization_details=decision.authorization_details,
        depth_max=decision.depth_max,
        expires_at=decision.expires_at,
        task_expires_at=decision.task_expires_at,
        ancestor_ids=(*(before.parent.ancestor_ids if before.parent else ()), UUID(int=1)),
    )
    return Held(SAM, decision.chain, parent, parent.expires_at)
