"""Identifiers: never reused, never chosen by a client, never an e-mail address."""

from datetime import datetime
from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)

PLATFORM = TenantId(UUID(int=0))
"""Owner of what happens before there is a tenant: an administrator's refusals, idempotency of POST /tenants."""

NO_ID = UUID(int=0)
"""No principal, connection or client has it, and each of theirs comes after it."""

RANDOM_BITS = 62


def new_id(now_ns: int, random_bits: int) -> UUID:
    """Return a UUID version 7 of ``now_ns`` nanoseconds since 1970 and 62 random bits.

    The 12 bits behind the milliseconds hold the fraction of one (RFC 9562 §6.2, method 3), so ids made one after the
    other sort in that order.
    """
    now_ms, rest_ns = divmod(now_ns, 1_000_000)
    fraction = rest_ns * 4096 // 1_000_000
    low = random_bits & ((1 << RANDOM_BITS) - 1)
    return UUID(int=(now_ms & (1 << 48) - 1) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | low)


def first_id_at(instant: datetime) -> UUID:
    """Return an id that is lower than every id made from ``instant`` on, and higher than every earlier one."""
    return UUID(int=int(instant.timestamp() * 1_000) << 80)


def parse_id(text: str) -> UUID | None:
    """Return the id that ``text`` spells in its one canonical form, or None: what is malformed is not there."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
