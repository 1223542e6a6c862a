"""Links from the subject of an upstream issuer to a user of the tenant."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from identity.model.errors import InvalidRequest

SUBJECT_LENGTH_MAX = 255  # characters; OpenID Connect Core §2, sub


@dataclass(frozen=True, slots=True)
class FederatedSubject:
    """``subject`` is what the connection's subject claim says, compared octet by octet."""

    connection_id: UUID
    subject: str
    principal_id: UUID
    created_at: datetime


def upstream_key_of(connection_id: UUID, subject: str) -> str:
    """Return the key under which a subject of a connection is cut off; the subject itself is personal and not in it."""
    return f"{connection_id} {sha256(subject.encode()).hexdigest()}"


def check_subject(subject: str) -> str:
    """Return a subject identifier that an issuer may use. Raises ``InvalidRequest``."""
    if not 0 < len(subject) <= SUBJECT_LENGTH_MAX or not subject.isprintable():
        raise InvalidRequest(f"subject must be 1 to {SUBJECT_LENGTH_MAX} printable characters", pointer="/subject")
    return subject
