"""Authority only shrinks: the laws of narrowing authorization details."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.authorization_details import DETAILS_BYTES_MAX, check_details, covers, narrow_details
from identity.model.errors import Malformed

WORDS = st.sampled_from(["read", "pay", "list", "void", "approve"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -1.0])
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS
INNER = st.dictionaries(st.sampled_from(["a", "max_a", "constraints"]), LEAVES, max_size=2)
VALUES = LEAVES | st.lists(LEAVES, max_size=2) | INNER
ENTRIES = st.fixed_dictionaries(
    {"type": st.sampled_from(["invoice", "order"])},
    optional={"actions": st.lists(WORDS, max_size=3), "constraints": VALUES, "else": VALUES},
)


@st.composite
def narrower(draw: st.DrawFn, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry that differs from ``entry`` as somebody who asks for less would write it, or tries to get more."""
    changed = copy.deepcopy(entry)
    if changed.get("actions"):
        changed["actions"] = draw(st.lists(st.sampled_from(changed["actions"])) | st.just(changed["actions"]))
    if isinstance(changed.get("constraints"), dict):
        changed["constraints"] |= draw(st.dictionaries(st.sampled_from(["a", "max_a"]), NUMBERS, max_size=1))
    return changed


@settings(max_examples=1_000)
@given(ENTRIES)
def test_an_entry_covers_itself(entry: dict[str, Any]) -> None:
    assert covers(entry, copy.deepcopy(entry))


@settings(max_examples=1_000)
@given(st.data())
def test_covering_is_transitive(data: st.DataObject) -> None:
    first = data.draw(ENTRIES)
    second = data.draw(narrower(first))
    third = data.draw(narrower(second))
    if covers(first, second) and covers(second, third):
        assert covers(first, third)


@settings(max_examples=1_000)
@given(st.lists(ENTRIES, max_size=3), st.none() | st.lists(ENTRIES, max_size=2))
def test_details_that_are_issued_are_each_covered(held: list[Any], asked: list[Any] | None) -> None:
    granted = narrow_details(tuple(held), None if asked is None else tuple(asked))
    assert granted is None or all(any(covers(have, got) for have in held) for got in granted)


HELD = {
    "type": "invoice",
    "actions": ["read", "pay"],
    "locations": ["https://erp.example"],
    "constraints": {"max_amount": 500, "min_age": 18, "currencies": ["EUR"], "weekdays": {"max_hours": 8}},
}


@pytest.mark.rfc("9396", "2")
@pytest.mark.parametrize(
    ("changed", "covered"),
    [
        ({}, True),
        ({"actions": ["read"]}, True),
        ({"actions": ["pay", "read"]}, True),  # a list is a set
        ({"actions": ["read", "void"]}, False),
        ({"actions": []}, False),  # a resource server may read it as: every action
        ({"actions": None}, False),
        ({"actions": "read"}, False),
        ({"actions": ...}, False),
        ({"locations": []}, False),
        ({"locations": ["https://erp.example/"]}, False),
        ({"type": "order"}, False),
        ({"type": "Invoice"}, False),
        ({"privileges": ["admin"]}, False),  # a member that nobody held
        ({"constraints": {}}, False),
        ({"constraints": None}, False),
        ({"constraints": ...}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": 499.5}}, True),
        ({"constraints": HELD["constraints"] | {"max_amount": 500.01}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": True}}, False),  # in Python it would be 1
        ({"constraints": HELD["constraints"] | {"max_amount": "1"}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": None}}, False),
        ({"constraints": HELD["constraints"] | {"min_age": 17}}, False),  # a minimum widens by shrinking
        ({"constraints": HELD["constraints"] | {"min_age": 19}}, False),
        ({"constraints": HELD["constraints"] | {"currencies": []}}, False),
        ({"constraints": HELD["constraints"] | {"weekdays": {"max_hours": 4}}}, True),
        ({"constraints": HELD["constraints"] | {"weekdays": {}}}, False),
        ({"constraints": HELD["constraints"] | {"only_before": "noon"}}, True),  # one more restriction
    ],
)
def test_an_entry_is_covered_only_when_it_is_no_broader(changed: dict[str, Any], covered: bool) -> None:
    asked = {name: value for name, value in (HELD | changed).items() if value is not ...}
    assert covers(HELD, asked) is covered


@pytest.mark.parametrize(
    ("held", "asked"), [([1], [True]), ([[1]], [[True]]), ([{"a": 1}], [{"a": 1.0}]), ([0], [None])]
)
def test_values_are_compared_as_json_does_and_not_as_python_does(held: list[Any], asked: list[Any]) -> None:
    assert not covers({"type": "t", "values": held}, {"type": "t", "values": asked})


@pytest.mark.parametrize(
    "details",
    [None, {}, "[]", [1], [None], [{}], [{"type": 1}], [{"type": ""}], [{"type": "t"}] * 21,
     [{"type": "t", "a": [[[[[[[[[1]]]]]]]]]}], [{"type": "t", "a": "é" * DETAILS_BYTES_MAX}],
     [{"type": "x" * 220}] * 20],
)  # fmt: skip
def test_details_of_an_unbearable_shape_are_refused(details: Any) -> None:
    with pytest.raises(Malformed) as refusal:
        check_details(details)
    assert refusal.value.pointer == "authorization_details"
