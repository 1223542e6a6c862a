"""A connection: one source that feeds a tenant, with its credential and its dialect."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.errors import Malformed


class ConnectionKind(StrEnum):
    """How a source speaks to us."""

    SCIM = "scim"
    OIDC = "oidc"


class Dialect(StrEnum):
    """Which readings of SCIM a connection's client needs."""

    RFC = "rfc"
    INTEROP = "interop"
    ENTRA = "entra"
    ENTRA_COMPLIANT = "entra-compliant"
    OKTA = "okta"
    ONELOGIN = "onelogin"
    JUMPCLOUD = "jumpcloud"
    SAILPOINT = "sailpoint"


class Match(StrEnum):
    """Which of our facts the subject claim of an upstream token is compared with. E-mail is not among them."""

    SUBJECT = "subject"
    EXTERNAL_ID = "externalId"


FORBIDDEN_SUBJECT_CLAIMS = frozenset({"email", "preferred_username", "upn", "unique_name", "name", "phone_number"})
"""Claims that somebody else may hold tomorrow, or that a user can change: never a key to a person."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A SCIM connection has a ``dialect``; an OIDC one the members that follow it."""

    id: UUID
    kind: ConnectionKind
    name: str
    dialect: Dialect | None
    issuer: str | None
    jwks_uri: str | None
    jwks: Mapping[str, Any] | None
    audiences: tuple[str, ...]
    subject_claim: str | None
    match: Match | None
    provisioned_by: UUID | None
    version: int
    created_at: datetime
    ended_at: datetime | None


def check_subject_claim(claim: str) -> str:
    """Return ``claim`` when it can name a person for good. Raises ``Malformed``."""
    if claim.lower() in FORBIDDEN_SUBJECT_CLAIMS:
        raise Malformed(f"{claim} is not a lasting name of a person; use sub or oid", pointer="/subject_claim")
    return claim
