"""A bucket that fills steadily and holds a burst."""

from hypothesis import given
from hypothesis import strategies as st

from identity.model.rate import Bucket, Rate, take

RATE = Rate(per_s=25, burst=50)


def granted(instants: list[float]) -> int:
    bucket: Bucket | None = None
    count = 0
    for instant in instants:
        taken = take(bucket, RATE, instant)
        bucket, count = taken.bucket, count + (taken.wait_s == 0)
    return count


def test_a_burst_is_granted_and_what_comes_after_it_at_once_is_not() -> None:
    assert granted([10.0] * 60) == 50


def test_a_steady_caller_within_its_rate_is_never_refused() -> None:
    assert granted([number / 25 for number in range(1_000)]) == 1_000


def test_who_waits_as_long_as_told_is_granted() -> None:
    bucket = Bucket(left=0.25, at_s=5.0)
    wait_s = take(bucket, RATE, 5.0).wait_s
    assert wait_s > 0
    assert take(bucket, RATE, 5.0 + wait_s).wait_s == 0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300))
def test_no_order_of_instants_grants_more_than_burst_and_rate(instants: list[float]) -> None:
    assert granted(instants) <= RATE.burst + max(instants) * RATE.per_s + 1
