"""What crosses from one resource server to another: one fault per row, and nothing is let through that was not held."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.authority import Authority, narrow_authority
from identity.model.delegation import Details
from identity.model.errors import InvalidRequest
from identity.model.resource import DetailsType, ResourceServer
from identity.model.resource_pair import ResourcePair, carry, check_pair
from tests.model.parties import NOW, server
from tests.oracles.authority import Call, opens, opens_where_nothing_restricts
from tests.trials import trials

SOURCE = server("https://one.example", ("read", "pay"), order=("pay",), list=("read", "pay"), note=())
TARGET = server("https://two.example", ("look", "write", "close"), entry=("write",), page=("look", "write"), memo=())
LIMIT: Details = ({"type": "order", "actions": ["pay"]},)
ENTRY: Details = ({"type": "entry", "actions": ["pay"]},)


def pair(scopes: Mapping[str, tuple[str, ...]] | None = None, **types: str) -> ResourcePair:
    known = {"read": ("look",), "pay": ("look", "write")} if scopes is None else scopes
    return ResourcePair(UUID(int=1), SOURCE.audience, TARGET.audience, known, types, NOW)


@pytest.mark.parametrize(
    ("between", "scopes", "details", "carried"),
    [
        (pair(), ("read",), (), (("look",), ())),
        (pair(), ("pay", "read"), (), (("look", "write"), ())),
        (pair({"read": ("look",)}), ("pay",), (), ((), ())),
        (pair(order="entry"), ("pay",), LIMIT, (("write",), ENTRY)),
        (pair(order="entry"), ("pay", "read"), LIMIT, (("write",), ENTRY)),
        (pair(), ("pay",), LIMIT, None),
        (pair(note="memo"), ("pay",), (*LIMIT, {"type": "note"}), None),
        (pair(note="memo"), ("read",), ({"type": "note"},), ((), ({"type": "memo"},))),
        (pair(note="memo"), (), ({"type": "note"},), ((), ({"type": "memo"},))),
        (pair({"pay": ("close",)}, order="entry"), ("pay",), LIMIT, ((), ())),
        (pair(order="entry"), (), LIMIT, ((), ENTRY)),
        (pair({"pay": ("look",)}, order="entry"), (), LIMIT, None),
        (pair({"read": ("look",)}, order="entry"), ("read",), LIMIT, ((), ())),
        (pair({"read": ("look",)}, order="entry"), ("pay",), LIMIT, ((), ())),
        (pair(order="memo"), ("pay",), LIMIT, None),
        (pair(note="entry"), ("read",), ({"type": "note"},), None),
        (pair(strange="entry"), ("read",), ({"type": "strange"},), None),
    ],
    ids=["a scope", "several scopes in the order of the second", "a scope that allows none",
         "a restriction goes with its scope", "what another type restricts stays out", "a type that is not mapped",
         "one of two types is mapped", "what stands alone beside a shut scope", "what stands alone without a scope",
         "a scope that would be unrestricted there", "details alone", "details alone that would open other scopes",
         "a scope that its restriction shuts", "a restriction whose scope does not cross",
         "a restriction may not come to stand alone", "what stands alone may not come to restrict",
         "a type that is not known any more"],
)  # fmt: skip
def test_what_is_held_at_the_first_as_it_is_held_at_the_second(
    between: ResourcePair, scopes: tuple[str, ...], details: Details, carried: tuple[Any, Any] | None
) -> None:
    assert carry(between, Authority(scopes, details), SOURCE, TARGET) == (carried and Authority(*carried))


def test_a_scope_that_is_there_no_more_allows_none() -> None:
    """An entry that stands without a scope opens what its type restricts, as far as that is registered."""
    between = pair({"pay": ("write",)}, order="entry")
    assert carry(between, Authority((), LIMIT), SOURCE, TARGET) == Authority((), ENTRY)
    assert carry(between, Authority((), LIMIT), replace(SOURCE, scopes=("read",)), TARGET) is None


FAULTS = [
    ("of itself", replace(pair(), target=SOURCE.audience), SOURCE, "/to", "invalid_value"),
    ("that allows nothing", pair({}), TARGET, "/scopes", "invalid_value"),
    ("of a scope that the first has not", pair({"void": ("look",)}), TARGET, "/scopes", "unknown_at_resource"),
    ("of a scope that the second has not", pair({"read": ("void",)}), TARGET, "/scopes", "unknown_at_resource"),
    ("of a scope that allows none", pair({"read": ()}), TARGET, "/scopes", "invalid_value"),
    ("of a scope that allows one twice", pair({"read": ("look", "look")}), TARGET, "/scopes", "invalid_value"),
    ("of a type that the first has not", pair(void="entry"), TARGET, "/authorization_details_types",
     "unknown_at_resource"),
    ("of a type that the second has not", pair(order="void"), TARGET, "/authorization_details_types",
     "unknown_at_resource"),
    ("that frees a restriction", pair(order="memo"), TARGET, "/authorization_details_types", "types_differ"),
    ("that makes a restriction", pair(note="entry"), TARGET, "/authorization_details_types", "types_differ"),
    ("of types of other scopes", pair({"pay": ("look",)}, order="entry"), TARGET, "/authorization_details_types",
     "type_restricts_other_scopes"),
    ("of two types that become one", pair(order="entry", list="entry"), TARGET, "/authorization_details_types",
     "invalid_value"),
]  # fmt: skip


@pytest.mark.parametrize(("between", "target", "pointer", "reason"), [row[1:] for row in FAULTS],
                         ids=[row[0] for row in FAULTS])  # fmt: skip
def test_a_pair_with_one_fault_is_refused_for_it(
    between: ResourcePair, target: ResourceServer, pointer: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_pair(between, SOURCE, target)
    assert (refused.value.pointer, refused.value.reason) == (pointer, reason)


def test_a_pair_that_is_right_is_returned() -> None:
    right = pair(order="entry", list="page", note="memo")
    assert check_pair(right, SOURCE, TARGET) == right


# --- whatever is let through at the second was held at the first ------------------------------------------------

NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Dice:
    """Two resource servers, a pair, and what is held and delegated, from one number."""

    dice: Random

    def some(self, of: Any, least: int = 0) -> tuple[Any, ...]:
        return tuple(self.dice.sample(list(of), self.dice.randint(least, len(of))))

    def server(self, audience: str) -> ResourceServer:
        scopes = self.some(NAMES, 1)
        types = tuple(DetailsType(name, self.some(scopes)) for name in self.some(("x", "y", "z"), 1))
        return ResourceServer(UUID(int=1), audience, None, scopes, types, NOW)

    def pair(self, source: ResourceServer, target: ResourceServer) -> ResourcePair:
        """One that may have been right once, when the resource servers were others."""
        scopes = {scope: self.some(target.scopes, 1) for scope in self.some(source.scopes)}
        types = dict(zip(self.some(source.type_names), self.some(target.type_names), strict=False))
        return ResourcePair(UUID(int=2), source.audience, target.audience, scopes, types, NOW)

    def authority(self, at: ResourceServer) -> Authority:
        entry = {
            "actions": list(self.some(("read", "pay"), 1)),
            "constraints": {"max_amount": self.dice.choice([1, 9])},
        }
        types = [self.dice.choice(sorted(at.type_names)) for _ in range(self.dice.randint(0, 2))]
        return Authority(self.some(at.scopes), tuple({"type": type_, **entry} for type_ in types))


def calls(scopes: tuple[str, ...], types: frozenset[str]) -> list[Call]:
    wanted = [*scopes, None]
    return [
        Call(scope, type_, action, amount)
        for scope in wanted
        for type_ in sorted(types)
        for action in ("read", "pay")
        for amount in (1, 9)
    ]


@pytest.mark.promise(3)
@settings(max_examples=trials(5_000), deadline=None)
@given(st.integers(0, 2**64))
def test_what_the_second_lets_through_the_first_lets_through_in_a_scope_that_allows_it(seed: int) -> None:
    dice = Dice(Random(seed))
    source, target = dice.server("one"), dice.server("two")
    between, held = dice.pair(source, target), dice.authority(source)
    carried = carry(between, held, source, target)
    if carried is None:
        return
    delegation, asked = dice.authority(target), dice.authority(target)
    wish = dice.dice.choice([(None, None), (asked.scopes, None), (None, asked.authorization_details or None)])
    granted = narrow_authority([carried, delegation], *wish, target.restrictions)
    if not isinstance(granted, Authority):
        return
    for reading in (opens, opens_where_nothing_restricts):
        for call in calls(target.scopes, target.type_names):
            if reading(granted, call, target.restrictions):
                assert any(reading(held, before, source.restrictions) for before in allowing(call, between)), call
                assert reading(delegation, call, target.restrictions)


def allowing(call: Call, between: ResourcePair) -> list[Call]:
    """The same call at the first resource server, in each scope that allows its scope, and as each type."""
    types = [known for known, become in between.authorization_details_types.items() if become == call.type]
    if call.scope is None:
        return [replace(call, type=known) for known in types]
    return [replace(call, scope=scope) for scope, allowed in between.scopes.items() if call.scope in allowed]
