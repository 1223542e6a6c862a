"""Rate limits: a token bucket that fills steadily and holds a burst."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_s`` requests a second for ever, and ``burst`` at once after a pause."""

    per_s: float
    burst: float

    def times(self, factor: float) -> "Rate":
        """Return the rate of so many callers together."""
        return Rate(self.per_s * factor, self.burst * factor)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The requests that one caller has left. ``at_s`` is a monotonic instant in seconds."""

    left: float
    at_s: float


@dataclass(frozen=True, slots=True)
class BucketState:
    """The bucket after a request, and how long to wait when it was too early; zero when it was not."""

    bucket: Bucket
    wait_s: float


def take(bucket: Bucket | None, rate: Rate, now_s: float) -> BucketState:
    """Take one request out of a bucket; None is a full one. A clock that goes back adds nothing."""
    before = bucket or Bucket(rate.burst, now_s)
    left = min(rate.burst, before.left + max(0.0, now_s - before.at_s) * rate.per_s)
    if left < 1:
        return BucketState(Bucket(left, max(now_s, before.at_s)), (1 - left) / rate.per_s)
    return BucketState(Bucket(left - 1, max(now_s, before.at_s)), 0.0)
