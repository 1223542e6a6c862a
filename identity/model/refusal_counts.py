"""Refusals of callers who proved nothing: of a tenant, a surface and a reason one event a minute, the others counted.

So nobody without a credential fills the audit log, and what it was refused for and how often is in there all the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from identity.model.ids import TenantId

KEYS_MAX = 10_000
"""That are counted at once, in one process; a refusal of any other key is an event of its own."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class RefusalKey:
    """What refusals are counted by."""

    tenant_id: TenantId
    surface: str
    reason: str


@dataclass(frozen=True, slots=True)
class CountedRefusals:
    """``number`` refusals of one key in the minute that began at ``since``, besides the first one."""

    key: RefusalKey
    number: int
    since: datetime


@dataclass(slots=True)
class RefusalCounts:
    """The counts of the present minute, and those of earlier ones that are not written yet."""

    kept: dict[RefusalKey, CountedRefusals] = field(default_factory=dict)

    def add(self, key: RefusalKey, now: datetime) -> bool:
        """Count a refusal; return whether it is an event of its own. What is due of its key was taken before."""
        found = self.kept.get(key)
        if found is not None:
            self.kept[key] = CountedRefusals(key, found.number + 1, found.since)
            return False
        if len(self.kept) < KEYS_MAX:
            self.kept[key] = CountedRefusals(key, 0, now.replace(second=0, microsecond=0))
        return True

    def take_due(self, now: datetime | None, tenant_id: TenantId | None = None) -> tuple[CountedRefusals, ...]:
        """Return what was counted in minutes that are over, of one tenant or of all, and count it no longer.

        Without ``now``, in the present one too.
        """
        over = [
            counted
            for key, counted in self.kept.items()
            if tenant_id in (None, key.tenant_id) and (now is None or now >= counted.since + MINUTE)
        ]
        for counted in over:
            del self.kept[counted.key]
        return tuple(counted for counted in over if counted.number)

    def put_back(self, counted: Iterable[CountedRefusals]) -> None:
        """Keep what could not be written, to be written later."""
        for each in counted:
            since_then = self.kept.get(each.key)
            number = each.number + (since_then.number + 1 if since_then else 0)
            self.kept[each.key] = CountedRefusals(each.key, number, each.since)

    def forget(self, key: RefusalKey) -> None:
        """Take back a count whose event could not be written: the next one is an event again."""
        self.kept.pop(key, None)
