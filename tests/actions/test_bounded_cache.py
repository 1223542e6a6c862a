"""What a cache forgets when it is full, and what it does not."""

import threading

import pytest

from identity.actions.bounded_cache import BoundedCache
from identity.edge.rate_limits import BUCKETS_MAX, Buckets
from identity.model.rate import Rate

ONE_A_DAY = Rate(per_s=1 / 86_400, burst=1)


@pytest.fixture
def full() -> BoundedCache[str, int]:
    """A cache for four values, of which two were used before the other two."""
    cache = BoundedCache[str, int](4)
    for value, key in enumerate("abc"):
        cache.put(key, value)
    return cache


def test_what_was_unused_for_longest_goes_first_and_half_at_most(full: BoundedCache[str, int]) -> None:
    assert full.get("a") == 0  # so "a" and "c" were used last
    full.put("d", 3)
    assert {key for key in "abcd" if key in full} == set("acd")
    assert full.get("a") == 0


def test_a_value_is_replaced_by_a_later_one_of_its_key(full: BoundedCache[str, int]) -> None:
    full.put("a", 10)
    full.put("c", 12)
    assert (full.get("a"), full.get("c")) == (10, 12)


def test_a_value_that_is_made_is_made_once(full: BoundedCache[str, int]) -> None:
    assert full.get_or_make("a", lambda: 100) == 0
    assert full.get_or_make("d", lambda: 3) == full.get_or_make("d", lambda: 100) == 3


def test_a_value_that_is_removed_is_gone_and_so_is_everything_that_is_cleared(full: BoundedCache[str, int]) -> None:
    full.remove("a")
    full.remove("a")
    assert full.get("a") is None
    assert full.get("c") == 2
    full.clear()
    assert len(full) == 0
    assert full.get("c") is None


def test_threads_keep_it_within_its_limit() -> None:
    cache = BoundedCache[int, int](10)

    def use(first: int) -> None:
        for key in range(first, first + 2_000):
            cache.put(key, key)
            assert cache.get(key) in (key, None)
            assert cache.get_or_make(key % 20, lambda key=key: key % 20) == key % 20  # type: ignore[misc]

    crowd = [threading.Thread(target=use, args=(100 * number,)) for number in range(4)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert 5 <= len(cache) <= 10


def test_a_caller_that_goes_on_keeps_its_bucket_while_others_come_and_go() -> None:
    buckets = Buckets()
    assert buckets.take("busy", ONE_A_DAY, 0) == 0
    for caller in range(2 * BUCKETS_MAX):
        assert buckets.take(caller, ONE_A_DAY, 1) == 0
        if caller % 1_000 == 0:
            assert buckets.take("busy", ONE_A_DAY, 1) > 0
    assert buckets.take("busy", ONE_A_DAY, 1) > 0
    assert buckets.take(0, ONE_A_DAY, 1) == 0, "the one that was away longest begins with a full bucket"
