"""Connections: the sources that feed a tenant."""

from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, RootModel, StringConstraints, ValidationInfo, model_validator

from identity.actions import connections as actions
from identity.admin.endpoints import delete, get, listing, operation, patch
from identity.admin.requests import Change, JsonObject, Line, Name, Page, RequestModel
from identity.admin.responses import Items, ResponseModel, members_of
from identity.edge.call import Call
from identity.edge.runtime import new_secret, runtime
from identity.model.connection import (
    AGE_MAX_S,
    AGE_MIN_S,
    DEFAULT_POLICY,
    ConnectionKind,
    Dialect,
    Match,
    TokenKind,
    UpstreamAct,
    UpstreamPolicy,
)
from identity.model.credential import SCIM_TOKEN_PREFIX
from identity.model.tenant import issuer_of, scim_url_of

CONNECTIONS = "/tenants/{tenant}/connections"
CONNECTION = f"{CONNECTIONS}/{{connection_id}}"
POLICY = {member.name for member in fields(UpstreamPolicy)}

TokenKinds = Annotated[tuple[TokenKind, ...], Field(min_length=1, max_length=len(TokenKind))]
AgeSeconds = Annotated[int, Field(ge=AGE_MIN_S, le=AGE_MAX_S)]


class NewScimConnection(RequestModel):
    """A source that pushes principals by SCIM 2.0."""

    kind: Literal["scim"]
    name: Name
    dialect: Dialect = Dialect.RFC


class NewOidcConnection(RequestModel):
    """An upstream issuer whose tokens may name a person (OpenID Connect)."""

    kind: Literal["oidc"]
    name: Name
    issuer: Line
    jwks_uri: Line | None = None
    jwks: JsonObject | None = None
    audiences: Annotated[tuple[Line, ...], Field(min_length=1, max_length=20)]
    subject_claim: Annotated[str, StringConstraints(min_length=1, max_length=128)] = "sub"
    match: Match = Match.SUBJECT
    provisioned_by: UUID | None = None
    token_kinds: TokenKinds = DEFAULT_POLICY.token_kinds
    max_age_s: AgeSeconds = DEFAULT_POLICY.max_age_s
    max_lifetime_s: AgeSeconds = DEFAULT_POLICY.max_lifetime_s
    upstream_act: UpstreamAct = DEFAULT_POLICY.upstream_act


class NewConnection(RootModel[Annotated[NewScimConnection | NewOidcConnection, Field(discriminator="kind")]]):
    """A source that feeds the tenant."""

    model_config = ConfigDict(strict=True, frozen=True)


class ConnectionChange(Change):
    """What is left out stays as it is."""

    name: Name | None = None
    dialect: Dialect | None = None
    token_kinds: TokenKinds | None = None
    max_age_s: AgeSeconds | None = None
    max_lifetime_s: AgeSeconds | None = None
    upstream_act: UpstreamAct | None = None


class TokenRotation(RequestModel):
    """A new bearer token; the present ones live on for ``overlap_s`` seconds."""

    overlap_s: Annotated[int, Field(ge=0, le=actions.OVERLAP_MAX_S)] = actions.OVERLAP_S


class ConnectionPage(Page):
    """Connections, of one name if it is given."""

    name: Name | None = None


class Connection(ResponseModel):
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

    @model_validator(mode="before")
    @classmethod
    def with_members_of_its_kind(cls, connection: Any, info: ValidationInfo[Call]) -> dict[str, Any]:
        """Add the base URL of a scim connection, the policy of an oidc one."""
        members = members_of(connection)
        if members["kind"] is ConnectionKind.OIDC:
            return members | members_of(members["policy"])
        return members | {"scim_base_url": scim_url_of(issuer_of(runtime().external_url, info.context.slug))}


class CreatedConnection(Connection):
    """With ``token``, a scim connection's bearer token: shown here and never again."""

    token: str | None = None


class ConnectionList(Items[Connection]):
    """Connections in the order of creation, ended ones among them."""


class ConnectionToken(ResponseModel):
    """What is known of a bearer token; the token itself is not."""

    id: UUID
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ConnectionTokens(ResponseModel):
    """The tokens of one connection, newest first."""

    items: list[ConnectionToken]
    next_cursor: None = None


class RotatedToken(ResponseModel):
    """``token`` is shown here and never again; the others live until ``previous_expires_at``."""

    token: str
    previous_expires_at: datetime


@operation("POST", CONNECTIONS, body=NewConnection, response=CreatedConnection, status=201)
def create_connection(call: Call, requested: NewConnection) -> Any:
    """Create a connection; the bearer token of a scim connection is shown once."""
    members = requested.root.model_dump(exclude={"kind", *POLICY})
    if isinstance(requested.root, NewOidcConnection):
        policy = UpstreamPolicy(**requested.root.model_dump(include=POLICY))
        return actions.create_oidc_connection(
            call.tx,
            actions.NewOidcConnection(**members, policy=policy),
            external_url=runtime().external_url,
            allow_loopback=runtime().allow_loopback,
            allow_development=runtime().allow_development_issuer,
            caller=call.caller,
            now=call.now,
        )
    token = new_secret(SCIM_TOKEN_PREFIX)
    created = actions.create_scim_connection(call.tx, **members, token=token, caller=call.caller, now=call.now)
    return members_of(created) | {"token": token}


listing(
    CONNECTIONS,
    actions.list_connections,
    "List connections, of one name if it is given",
    ConnectionList,
    query=ConnectionPage,
)
get(CONNECTION, actions.get_connection, "Read one connection", Connection)
patch(
    CONNECTION,
    actions.change_connection,
    "Change a connection's name, the dialect of a scim one, or which tokens of an oidc one are taken",
    Connection,
    body=ConnectionChange,
)
delete(CONNECTION, actions.end_connection, "End a connection; what it provisioned stays")
get(
    f"{CONNECTION}/tokens",
    actions.list_connection_tokens,
    "List what is known of a connection's bearer tokens",
    ConnectionTokens,
)


@operation("POST", f"{CONNECTION}/tokens", body=TokenRotation, response=RotatedToken, status=201)
def rotate_connection_token(call: Call, requested: TokenRotation, connection_id: UUID) -> dict[str, Any]:
    """Give a connection a new bearer token, shown once; the present ones live on for a while."""
    token = new_secret(SCIM_TOKEN_PREFIX)
    until = actions.rotate_connection_token(
        call.tx, connection_id, token=token, overlap_s=requested.overlap_s, caller=call.caller, now=call.now
    )
    return {"token": token, "previous_expires_at": until}
