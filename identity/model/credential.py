"""Secrets that callers hold. We keep only their hash; they are shown once."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

SCIM_TOKEN_PREFIX = "idf_scim_"  # noqa: S105 - lets secret scanners find a leaked one
CLIENT_SECRET_PREFIX = "idf_client_"  # noqa: S105
ADMIN_TOKEN_LENGTH_MIN = 32  # characters; stored as a plain SHA-256, which only a guess-proof secret survives


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a random secret of at least 128 bits: such a one needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same_secret(secret: str, stored: bytes | None) -> bool:
    """Compare in constant time, whatever characters ``secret`` holds, and just as long when nothing is stored."""
    return hmac.compare_digest(hash_secret(secret), stored or bytes(32)) and stored is not None


@dataclass(frozen=True, slots=True)
class ConnectionToken:
    """A bearer token of a SCIM connection. Two live side by side while one is rotated out."""

    id: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
