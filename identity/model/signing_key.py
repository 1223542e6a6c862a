"""Signing keys of a tenant: prepared, active, retiring, revoked. Everything about their life is in this file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from identity.model.errors import Unavailable
from identity.model.tenant import ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S

JWKS_LIFETIME_S = 300
"""Seconds for which others may keep the published key set (Cache-Control: max-age)."""

CLOCK_SKEW_S = 30

RETIRING_S = max(ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S) + JWKS_LIFETIME_S + CLOCK_SKEW_S
"""Seconds for which a replaced key still verifies: the longest token, and a key set that was fetched just before."""


class KeyState(StrEnum):
    """Only ``live`` and not past ``verify_until`` may be published."""

    LIVE = "live"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A published key signs from ``activates_at`` until a newer one does, and verifies until ``verify_until``."""

    kid: str
    alg: str
    state: KeyState
    public_jwk: Mapping[str, Any]
    sealed_private: bytes
    created_at: datetime
    activates_at: datetime
    verify_until: datetime | None


def is_published(key: SigningKey, now: datetime) -> bool:
    """True while verifiers must be able to find the key."""
    return key.state is KeyState.LIVE and (key.verify_until is None or now < key.verify_until)


def signing_key(keys: Iterable[SigningKey], now: datetime) -> SigningKey:
    """Return the newest key that others have had time to fetch. Raises ``Unavailable``."""
    ready = [key for key in keys if is_published(key, now) and key.activates_at <= now]
    if not ready:
        raise Unavailable("the tenant has no active signing key", reason="no_signing_key")
    return max(ready, key=lambda key: (key.activates_at, key.kid))


def activation_of_next(now: datetime) -> datetime:
    """Return when a key that is published now may sign: when every cached key set has been replaced."""
    return now + timedelta(seconds=JWKS_LIFETIME_S)


def retirement_of_last(activation: datetime) -> datetime:
    """Return until when the present keys verify, once another signs from ``activation``."""
    return activation + timedelta(seconds=RETIRING_S)
