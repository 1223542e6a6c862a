"""Identifiers: never reused, never chosen by a client, never an e-mail address."""

from typing import NewType
from uuid import UUID

TenantId = NewType("TenantId", UUID)
PrincipalId = NewType("PrincipalId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
DelegationId = NewType("DelegationId", UUID)
TokenId = NewType("TokenId", UUID)
EventId = NewType("EventId", UUID)

PLATFORM = TenantId(UUID(int=0))
"""Owner of what happens before there is a tenant: an administrator's refusals, idempotency of POST /tenants."""

_RANDOM_BITS = 74


def new_id(now_ms: int, dice: int) -> UUID:
    """Return a UUID version 7 (RFC 9562 §5.7) of ``now_ms`` milliseconds since 1970 and 74 random bits."""
    dice &= (1 << _RANDOM_BITS) - 1
    rand_a, rand_b = dice >> 62, dice & ((1 << 62) - 1)
    return UUID(int=(now_ms & (1 << 48) - 1) << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b)


def parse_id(text: str) -> UUID | None:
    """Return the id that ``text`` spells in its one canonical form, or None: what is malformed is not there."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
