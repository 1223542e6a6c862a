"""What a cache forgets when it is full, and what it does not."""

import threading

import pytest

from identity.actions.bounded_cache import BoundedCache
from identity.edge.rate_limits import BUCKETS_MAX, Buckets
from identity.model.rate import Rate

ONE_A_DAY = Rate(per_s=1 / 86_400, burst=1)


@pytest.fixture
def full() -> BoundedCache[str, int]:
    cache = BoundedCache[str, int](3)
    for value, key in enumerate("abc"):
        cache.put(key, value)
    return cache


def test_the_least_recently_used_goes_first_and_alone(full: BoundedCache[str, int]) -> None:
    assert full.get("a") == 0
    full.put("b", 10)
    full.put("d", 3)
    assert {key: full.get(key) for key in "abcd"} == {"a": 0, "b": 10, "c": None, "d": 3}
    assert len(full) == 3


def test_a_value_that_is_made_counts_as_used_and_is_made_once(full: BoundedCache[str, int]) -> None:
    assert full.get_or_make("a", lambda: 100) == 0
    assert full.get_or_make("d", lambda: 3) == full.get_or_make("d", lambda: 100) == 3
    assert "b" not in full
    full.remove("a")
    full.remove("a")
    assert "a" not in full
    full.clear()
    assert len(full) == 0


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
    assert len(cache) == 10


def test_a_caller_that_goes_on_keeps_its_bucket_while_others_come_and_go() -> None:
    buckets = Buckets()
    assert buckets.take("busy", ONE_A_DAY, 0) == 0
    for caller in range(2 * BUCKETS_MAX):
        assert buckets.take(caller, ONE_A_DAY, 1) == 0
        if caller % 1_000 == 0:
            assert buckets.take("busy", ONE_A_DAY, 1) > 0
    assert buckets.take("busy", ONE_A_DAY, 1) > 0
    assert buckets.take(0, ONE_A_DAY, 1) == 0, "the one that was away longest begins with a full bucket"
