"""A connection: one source that feeds a tenant, with its credential and its dialect."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.errors import InvalidRequest


class ConnectionKind(StrEnum):
    """The protocol of a source."""

    SCIM = "scim"
    OIDC = "oidc"


class Dialect(StrEnum):
    """The readings of SCIM that a connection's client needs."""

    RFC = "rfc"
    INTEROP = "interop"
    ENTRA = "entra"
    ENTRA_COMPLIANT = "entra-compliant"
    OKTA = "okta"
    ONELOGIN = "onelogin"
    JUMPCLOUD = "jumpcloud"
    SAILPOINT = "sailpoint"


class Match(StrEnum):
    """The attribute that the subject claim of an upstream token is compared with. E-mail is not among them."""

    SUBJECT = "subject"
    EXTERNAL_ID = "externalId"


class TokenKind(StrEnum):
    """The kinds of upstream tokens that are accepted for a person.

    ``access_token`` is that of RFC 9068; ``jwt_access_token`` any other, as Entra's, Keycloak's and Okta's.
    """

    ID_TOKEN = "id_token"  # noqa: S105
    ACCESS_TOKEN = "access_token"  # noqa: S105
    JWT_ACCESS_TOKEN = "jwt_access_token"  # noqa: S105


class UpstreamAct(StrEnum):
    """An upstream token that names actors itself is refused, or its chain is kept whole."""

    REFUSE = "refuse"
    KEEP = "keep"


AGE_MIN_S = 60
AGE_MAX_S = 7 * 86_400
AGE_DEFAULT_S = 86_400
"""Bounds of how long ago an upstream token was issued, and for how long it is good; a day is longer than the tokens of
the large identity providers live."""


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """The tokens of an upstream issuer that are accepted.

    Seconds: at most ``max_age_s`` since ``iat``, and ``max_lifetime_s`` from ``iat`` to ``exp``.
    """

    token_kinds: tuple[TokenKind, ...] = (TokenKind.ID_TOKEN, TokenKind.ACCESS_TOKEN)
    max_age_s: int = AGE_DEFAULT_S
    max_lifetime_s: int = AGE_DEFAULT_S
    upstream_act: UpstreamAct = UpstreamAct.REFUSE


DEFAULT_POLICY = UpstreamPolicy()

DEVELOPMENT_HOST = "development-issuer.invalid"
DEVELOPMENT_ISSUER = f"https://{DEVELOPMENT_HOST}"
"""The issuer of `identity dev`, whose key lies in a developer's folder. No server has the name (RFC 2606 §2)."""


def is_of_development(host: str) -> bool:
    """Return whether a URL's host is that of the development issuer, in any spelling."""
    return host.lower().rstrip(".") == DEVELOPMENT_HOST


FORBIDDEN_SUBJECT_CLAIMS = frozenset({"email", "preferred_username", "upn", "unique_name", "name", "phone_number"})
"""Claims that may pass to another person, or that a user can change: never a key to a person."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A SCIM connection has a ``dialect``; an OIDC one the members that follow it. ``epoch`` grows with every change
    after which it takes fewer tokens.
    """

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
    policy: UpstreamPolicy
    version: int
    created_at: datetime
    ended_at: datetime | None
    epoch: int = 0


def narrows(before: UpstreamPolicy, after: UpstreamPolicy) -> bool:
    """True when a token that was taken might not be taken any more."""
    return (
        not set(before.token_kinds) <= set(after.token_kinds)
        or after.max_age_s < before.max_age_s
        or after.max_lifetime_s < before.max_lifetime_s
        or (before.upstream_act is UpstreamAct.KEEP and after.upstream_act is UpstreamAct.REFUSE)
    )


def check_subject_claim(claim: str) -> str:
    """Return ``claim`` when it can name a person for good. Raises ``InvalidRequest``."""
    if claim.lower() in FORBIDDEN_SUBJECT_CLAIMS:
        raise InvalidRequest(
            f"must be a stable identifier of a person, such as sub or oid; {claim} is not stable",
            pointer="/subject_claim",
        )
    return claim
