"""Rate limits, counted in this process alone before any query."""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

from identity.model.rate import Bucket, Rate, take

KEPT_MAX = 10_000


@dataclass(slots=True)
class Buckets:
    """What every caller has left, in this process. A caller that was forgotten begins with a full bucket."""

    _kept: dict[Hashable, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, caller: Hashable, rate: Rate, now_s: float) -> float:
        """Take one request; return how many seconds to wait, zero when there is no need."""
        with self._lock:
            taken = take(self._kept.get(caller), rate, now_s)
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            self._kept[caller] = taken.bucket
        return taken.wait_s


BURST_S = 10
"""A source that was quiet may ask for so many seconds' worth at once: generic suites ask as fast as it goes."""

SCIM_RATE = Rate(per_s=200, burst=200 * BURST_S)
"""Of one connection in one process. Entra's gallery and IPSIE ask for at least 25 requests a second and tenant."""

UNKNOWN_TOKEN_RATE = Rate(per_s=25, burst=50)
"""Of tokens of one tenant that did not prove anything in this process yet; a good one is among them once."""
