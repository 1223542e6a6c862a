"""OAuth clients: how an agent, a resource server or a source proves itself to the token service (RFC 7591 §2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class AuthMethod(StrEnum):
    """Client authentication at every endpoint (RFC 6749 §2.3.1, RFC 10070)."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    CLIENT_SECRET_BASIC = "client_secret_basic"  # noqa: S105
    CLIENT_SECRET_POST = "client_secret_post"  # noqa: S105

    @property
    def has_secret(self) -> bool:
        """True when the client proves itself with a secret that it shares with us."""
        return self is not AuthMethod.PRIVATE_KEY_JWT


class GrantType(StrEnum):
    """What a client may ask for."""

    CLIENT_CREDENTIALS = "client_credentials"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105


CLIENTS_MAX = 50
"""Clients of one principal that are not revoked: all of them end with it, in one transaction."""

SCIM_SCOPE = "scim"
"""What opens a tenant's SCIM endpoint; the one scope that a connection's client holds."""


@dataclass(frozen=True, slots=True)
class Client:
    """Whom a client speaks for: ``principal_id``, an agent or service account; ``audience``, a resource server, which
    introspects the tokens meant for it; both, where the principal runs the resource server; or ``connection_id`` alone,
    a source that provisions by SCIM.

    ``scopes`` are what it may ask for as itself (client_credentials).
    """

    client_id: str
    client_name: str | None
    principal_id: UUID | None
    audience: str | None
    connection_id: UUID | None
    auth_method: AuthMethod
    secret_hash: bytes | None
    jwks: Mapping[str, Any] | None
    scopes: tuple[str, ...]
    grant_types: tuple[GrantType, ...]
    version: int
    created_at: datetime
    revoked_at: datetime | None
