"""Whoever has least comes first, and nobody takes all."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.fair_share import has_room, next_of


def fill(places: int, *parties: str) -> Counter[str]:
    """Let each party in turn take all that it may have."""
    held: Counter[str] = Counter()
    for party in parties:
        while has_room(held[party], held.total(), places):
            held[party] += 1
    return held


@pytest.mark.parametrize(
    ("places", "parties", "held"),
    [
        (8, "a", [4]),  # one alone has half
        (8, "ab", [4, 2]),  # the next half of the rest
        (8, "abcde", [4, 2, 1, 1, 0]),
        (2, "ab", [1, 1]),
        (1, "ab", [1, 0]),
        (56, "ab", [28, 14]),
    ],
)
def test_one_party_takes_half_and_the_next_half_of_the_rest(places: int, parties: str, held: list[int]) -> None:
    assert [fill(places, *parties)[party] for party in parties] == held


@given(st.integers(2, 64), st.lists(st.sampled_from("abc"), max_size=100))
def test_while_one_floods_who_has_nothing_begins_at_once(places: int, arrivals: list[str]) -> None:
    held = fill(places, "flood")
    assert has_room(0, held.total(), places)
    for party in arrivals:
        if has_room(held[party], held.total(), places):
            held[party] += 1
    assert held.total() <= places
    assert all(held[party] for party in dict.fromkeys(arrivals[:1]))


@pytest.mark.parametrize(
    ("waiting", "running", "index"),
    [
        ("ab", {"a": 2, "b": 1}, 1),  # who has least going, though it came later
        ("ab", {"a": 1, "b": 1}, 0),  # else who waits longest
        ("aab", {"a": 4}, 2),  # who has half already waits on
        ("a", {"a": 4}, None),
        ("", {"a": 1}, None),
        ("ab", {"c": 8}, None),
    ],
)
def test_the_next_is_of_those_who_may_who_has_least(waiting: str, running: dict[str, int], index: int | None) -> None:
    assert next_of(list(waiting), running, 8) == index
