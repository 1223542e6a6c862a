"""A restoration to a point in time: the cut-off of a tenant, and the sources that must provision again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

AHEAD = timedelta(seconds=30)
"""How far the clocks of issuers and clients may have been ahead of ours."""

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
    """The restoration of one tenant. ``is_new`` is False where it had been done before, for the same point.

    Everything issued up to ``cut_off`` is invalid; nothing is issued before it is past. ``restored_to`` is the point
    that the administrator gave, or the instant of the last event on record.
    """

    tenant_id: UUID
    slug: str
    restored_to: datetime
    cut_off: datetime
    is_new: bool
    sources: tuple[Source, ...]
