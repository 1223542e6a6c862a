"""What is answered of connections. The bearer token of a scim one is in the answer that makes it, and in no other."""

from datetime import datetime
from uuid import UUID

from identity.admin.responses import Items, JsonObject, View
from identity.model.connection import ConnectionKind, Dialect, Match, TokenKind, UpstreamAct


class Connection(View):
    """A scim connection has a dialect and a base URL, an oidc one the members from ``issuer`` on."""

    id: UUID
    kind: ConnectionKind
    name: str
    dialect: Dialect | None
    scim_base_url: str | None = None
    issuer: str | None
    jwks_uri: str | None
    jwks: JsonObject | None
    audiences: list[str]
    subject_claim: str | None
    match: Match | None
    provisioned_by: UUID | None
    token_kinds: list[TokenKind] | None = None
    max_age_s: int | None = None
    max_lifetime_s: int | None = None
    upstream_act: UpstreamAct | None = None
    version: int
    created_at: datetime
    ended_at: datetime | None


class CreatedConnection(Connection):
    """With ``token``, a scim connection's bearer token: shown here and never again."""

    token: str | None = None


class ConnectionToken(View):
    """What is known of a bearer token; the token itself is not."""

    id: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ConnectionTokens(View):
    """The tokens of one connection, newest first."""

    items: list[ConnectionToken]
    next_cursor: None = None


class RotatedToken(View):
    """``token`` is shown here and never again; the others live until ``previous_expires_at``."""

    token: str
    previous_expires_at: datetime


class ConnectionList(Items[Connection]):
    """Connections in the order of creation, ended ones among them."""
