"""OAuth clients (RFC 7591 §2): the credentials of agents, resource servers and sources at the token service."""

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
    """The grant types that a client may use (RFC 6749 §4.4, RFC 8693)."""

    CLIENT_CREDENTIALS = "client_credentials"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105


CLIENTS_MAX = 50
"""Clients of one principal that are not revoked: all of them end with it, in one transaction."""

SCIM_SCOPE = "scim"
"""The scope that opens a tenant's SCIM endpoint, and the only one that a connection's client holds."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. It speaks for ``principal_id``, an agent or service account; for ``audience``, a resource
    server, which introspects the tokens meant for it; for both, where the principal runs the resource server; or for
    ``connection_id`` alone, a source that provisions by SCIM.

    ``scopes`` are the most that it may request for itself (client_credentials).
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
