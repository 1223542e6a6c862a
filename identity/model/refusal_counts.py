"""Refusals of anonymous callers: one event a minute for each tenant, surface and reason; the others are counted.

So callers without a credential cannot fill the audit log, and it still says why and how often they were refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.model.ids import TenantId

KEYS_MAX = 10_000
"""Keys that one process counts at once; a refusal of any other key is an event of its own."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RefusalKey:
    """Refusals are counted by tenant, surface and reason."""

    tenant_id: TenantId
    surface: str
    reason: str


@dataclass(frozen=True, slots=True)
class CountedRefusals:
    """``number`` refusals of one key in the minute that began at ``since``, besides the first one."""

    key: RefusalKey
    number: int
    since: datetime

    def is_over(self, now: datetime) -> bool:
        """True when the minute has ended."""
        return now >= self.since + MINUTE
