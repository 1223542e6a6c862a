"""After the database was restored to a point in time: what the tenant knows, and who must say again what came later."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

AHEAD = timedelta(seconds=30)
"""How far the clocks of those who issued, signed or used something before may have been ahead of ours."""

EVENT = "tenant.restored"


@dataclass(frozen=True, slots=True)
class Source:
    """A live SCIM connection. ``last_heard_at`` is when it last changed something here, as far as is known."""

    id: UUID
    name: str
    dialect: str
    last_heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class RestoredTenant:
    """What was done to one tenant. ``is_new`` is False where it had been done before, for the same point.

    Everything issued up to ``cut_off`` is dead; nothing is issued before it is past. ``restored_to`` is the point that
    was told, or the instant of the last thing on record.
    """

    tenant_id: UUID
    slug: str
    restored_to: datetime
    cut_off: datetime
    is_new: bool
    sources: tuple[Source, ...]
