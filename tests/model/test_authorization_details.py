"""Authority only shrinks: the laws of narrowing authorization details."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.authorization_details import DETAILS_BYTES_MAX, check_details, common_details, covers, covers_each
from identity.model.errors import InvalidRequest
from tests.trials import trials

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


@settings(max_examples=trials(1_000))
@given(ENTRIES)
def test_an_entry_covers_itself(entry: dict[str, Any]) -> None:
    assert covers(entry, copy.deepcopy(entry))


@settings(max_examples=trials(1_000))
@given(st.data())
def test_covering_is_transitive(data: st.DataObject) -> None:
    first = data.draw(ENTRIES)
    second = data.draw(narrower(first))
    third = data.draw(narrower(second))
    if covers(first, second) and covers(second, third):
        assert covers(first, third)


@settings(max_examples=trials(1_000))
@given(st.lists(ENTRIES, max_size=3), st.lists(ENTRIES, max_size=3))
def test_what_two_have_in_common_is_covered_by_both(one: list[Any], other: list[Any]) -> None:
    common = common_details(tuple(one), tuple(other))
    assert covers_each(tuple(one), common)
    assert covers_each(tuple(other), common)


@settings(max_examples=trials(1_000))
@given(st.data())
def test_what_is_narrower_than_an_entry_is_all_that_both_have_in_common(data: st.DataObject) -> None:
    entry = data.draw(ENTRIES)
    asked = data.draw(narrower(entry))
    if covers(entry, asked):
        [common] = common_details((entry,), (asked,))
        assert covers(asked, common)
        assert covers(common, asked)


HELD = {
    "type": "invoice",
    "actions": ["read", "pay"],
    "locations": ["https://erp.example"],
    "identifier": "17",
    "except": ["void", "write_off"],
    "max_count": 3,
    "constraints": {"max_amount": 500, "min_age": 18, "currencies": ["EUR", "USD"], "weekdays": {"max_hours": 8}},
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
        ({"actions": ["read", "read"]}, False),  # twice what is held once
        ({"actions": ["read", 1]}, False),
        ({"locations": ["HTTPS://ERP.EXAMPLE"]}, False),
        ({"privileges": ["admin"]}, False),  # a member that nobody held
        ({"or": {"actions": ["void"]}}, False),
        ({"identifier": ...}, False),
        ({"identifier": "18"}, False),
        ({"except": ["void"]}, False),  # losing an exception widens
        ({"except": []}, False),
        ({"max_count": 2}, False),  # not under constraints: it may mean anything
        ({"constraints": {}}, False),
        ({"constraints": None}, False),
        ({"constraints": []}, False),
        ({"constraints": ...}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": 499.5}}, True),
        ({"constraints": HELD["constraints"] | {"max_amount": 500.0}}, True),
        ({"constraints": HELD["constraints"] | {"max_amount": -1}}, True),
        ({"constraints": HELD["constraints"] | {"max_amount": -(10**400)}}, True),
        ({"constraints": HELD["constraints"] | {"max_amount": 10**400}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": 500.01}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": float("nan")}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": float("-inf")}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": True}}, False),  # in Python it would be 1
        ({"constraints": HELD["constraints"] | {"max_amount": "1"}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": None}}, False),
        ({"constraints": HELD["constraints"] | {"max_amount": [1]}}, False),
        ({"constraints": {name: value for name, value in HELD["constraints"].items() if name != "max_amount"}}, False),
        ({"constraints": HELD["constraints"] | {"min_age": 17}}, False),  # a minimum widens by shrinking
        ({"constraints": HELD["constraints"] | {"min_age": 19}}, False),
        ({"constraints": HELD["constraints"] | {"currencies": ["EUR"]}}, False),
        ({"constraints": HELD["constraints"] | {"currencies": []}}, False),
        ({"constraints": HELD["constraints"] | {"weekdays": {"max_hours": 4}}}, False),  # it may stand under a "not"
        ({"constraints": HELD["constraints"] | {"weekdays": {}}}, False),
        ({"constraints": HELD["constraints"] | {"or": {"max_amount": 9_000}}}, False),
        ({"constraints": HELD["constraints"] | {"max_more": 1}}, False),
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


READ_OR_PAY = {"type": "t", "actions": ["read", "pay"]}
READ, PAY = {"type": "t", "actions": ["read"]}, {"type": "t", "actions": ["pay"]}


@pytest.mark.parametrize(
    ("held", "asked", "covered"),
    [
        ([PAY], [PAY], True),
        ([PAY], [PAY, PAY], False),  # one payment is not two
        ([PAY, PAY], [PAY, PAY], True),
        ([READ_OR_PAY], [READ, PAY], False),
        ([READ_OR_PAY, READ], [READ, PAY], True),  # the first held entry that would do is needed for the second asked
        ([READ, READ_OR_PAY], [PAY, READ], True),
        ([READ_OR_PAY] * 20, [READ] * 20, True),
        ([READ_OR_PAY] * 19 + [PAY], [READ] * 20, False),
    ],
)
def test_no_held_entry_is_used_twice(held: list[Any], asked: list[Any], covered: bool) -> None:
    assert covers_each(tuple(held), tuple(asked)) is covered


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ([READ_OR_PAY], [PAY], [PAY]),
        ([READ, PAY], [READ_OR_PAY], [READ]),
        ([{"type": "t", "actions": ["a", "b", "c"], "constraints": {"max": 9, "max_n": 1, "min": 3}}],
         [{"type": "t", "actions": ["c", "b"], "constraints": {"max": 8.5, "max_n": 2, "min": 3}}],
         [{"type": "t", "actions": ["b", "c"], "constraints": {"max": 8.5, "max_n": 1, "min": 3}}]),
        ([READ], [PAY], []),
        ([READ], [READ | {"type": "u"}], []),
        ([READ], [READ | {"constraints": {"max": 1}}], []),
    ],
)  # fmt: skip
def test_what_two_have_in_common_is_as_much_as_both_cover(one: list[Any], other: list[Any], common: list[Any]) -> None:
    assert common_details(tuple(one), tuple(other)) == tuple(common)


@pytest.mark.parametrize("name", ["actions", "locations", "datatypes", "privileges"])
def test_an_entry_with_an_empty_list_of_what_it_grants_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name):
        check_details([{"type": "t", name: []}])


@pytest.mark.parametrize(
    "details",
    [None, [{"type": "t", "n": float("nan")}], [{"type": "t", "n": [float("inf")]}], [{"type": "t", "n": "\ud800"}],
     {}, "[]", [1], [None], [{}], [{"type": 1}], [{"type": ""}], [{"type": "t"}] * 21,
     [{"type": "t", "a": [[[[[[[[[1]]]]]]]]]}], [{"type": "t", "a": "é" * DETAILS_BYTES_MAX}],
     [{"type": "x" * 220}] * 20],
)  # fmt: skip
def test_details_of_an_unbearable_shape_are_refused(details: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_details(details)
    assert refusal.value.pointer == "authorization_details"
