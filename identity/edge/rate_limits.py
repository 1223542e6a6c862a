"""Rate limits, counted in this process alone before any query."""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

from identity.actions.bounded_cache import BoundedCache
from identity.model.rate import Bucket, Rate, take

BUCKETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """The bucket of every caller, in this process. A caller whose bucket is forgotten begins with a full one."""

    _buckets: BoundedCache[Hashable, Bucket] = field(default_factory=lambda: BoundedCache(BUCKETS_MAX))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, caller: Hashable, rate: Rate, now_s: float) -> float:
        """Take one request; return how many seconds to wait, zero when there is no need."""
        with self._lock:
            taken = take(self._buckets.get(caller), rate, now_s)
            self._buckets.put(caller, taken.bucket)
        return taken.wait_s


BURST_S = 10
"""A source may send so many seconds' worth of requests at once after a pause: test suites send as fast as they can."""

SCIM_RATE = Rate(per_s=200, burst=200 * BURST_S)
"""Of one connection in one process. Entra's gallery and IPSIE demand at least 25 requests a second and tenant."""

UNKNOWN_TOKEN_RATE = Rate(per_s=25, burst=50)
"""Of all tokens of one tenant that this process has not accepted yet; a valid token is among them once."""
