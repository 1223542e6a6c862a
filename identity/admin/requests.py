"""What may be asked: the bodies and queries of the admin API. What is not named here is refused."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from identity.actions.connections import OVERLAP_MAX_S, OVERLAP_S
from identity.admin.kinds import PrincipalKind
from identity.model.client import AuthMethod, GrantType
from identity.model.connection import (
    AGE_MAX_S,
    AGE_MIN_S,
    DEFAULT_POLICY,
    Dialect,
    Match,
    TokenKind,
    UpstreamAct,
)
from identity.model.lifecycle import Credentials, State
from identity.model.outbox import OutboxState
from identity.model.provisioning_log import RequestOutcome
from identity.model.selection import Order, Span
from identity.model.tenant import DEPTH_MAX, TASK_DURATION_MAX_S, TASK_DURATION_MIN_S, TASK_LIFETIME_MAX_S

PAGE = 50
PAGE_MAX = 200

Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?$"),
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=128)]
JsonObject = dict[str, Any]
TokenKinds = Annotated[tuple[TokenKind, ...], Field(min_length=1, max_length=len(TokenKind))]
TaskSeconds = Annotated[int, Field(ge=TASK_DURATION_MIN_S, le=TASK_DURATION_MAX_S)]
AgeSeconds = Annotated[int, Field(ge=AGE_MIN_S, le=AGE_MAX_S)]


class Asked(BaseModel):
    """Strict: no member is guessed, converted or ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NewTenant(Asked):
    """A tenant. Its slug is in every URL and in its issuer, and never changes."""

    slug: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    display_name: Name


class TenantChange(Asked):
    """What is left out stays as it is. Limits in seconds: of the life of a delegated token, and of a task."""

    display_name: Name | None = None
    task_lifetime_max_s: Annotated[int, Field(ge=1, le=TASK_LIFETIME_MAX_S)] | None = None
    max_task_s: TaskSeconds | None = None


class NewScimConnection(Asked):
    """A source that pushes principals by SCIM 2.0."""

    kind: Literal["scim"]
    name: Name
    dialect: Dialect = Dialect.RFC


class NewOidcConnection(Asked):
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


class ConnectionChange(Asked):
    """What is left out stays as it is."""

    name: Name | None = None
    dialect: Dialect | None = None
    token_kinds: TokenKinds | None = None
    max_age_s: AgeSeconds | None = None
    max_lifetime_s: AgeSeconds | None = None
    upstream_act: UpstreamAct | None = None


class TokenRotation(Asked):
    """A new bearer token; the present ones live on for ``overlap_s`` seconds."""

    overlap_s: Annotated[int, Field(ge=0, le=OVERLAP_MAX_S)] = OVERLAP_S


class NewClient(Asked):
    """Client metadata (RFC 7591 §2) of an agent or service account, of a resource server that introspects, of both
    where the first runs the second, or of a SCIM connection.
    """

    client_name: Name | None = None
    principal_id: UUID | None = None
    audience: Line | None = None
    connection_id: UUID | None = None
    token_endpoint_auth_method: AuthMethod = AuthMethod.CLIENT_SECRET_BASIC
    jwks: JsonObject | None = None
    jwks_uri: Line | None = None
    scope: Annotated[str, StringConstraints(max_length=4096)] = ""
    grant_types: Annotated[tuple[GrantType, ...], Field(max_length=2)] | None = None


class NewClientKey(Asked):
    """A public key (RFC 7517 §4)."""

    jwk: JsonObject


class RestrictingType(Asked):
    """A type of authorization details whose entries restrict these scopes of the resource server."""

    type: Scope
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=50)]


def _kind_of_type(asked: Any) -> str | None:
    """Say which of both a type is given as, so that its faults are told of that one alone."""
    return "alone" if isinstance(asked, str) else "restricting" if isinstance(asked, dict) else None


DetailsType = Annotated[
    Annotated[Scope, Tag("alone")] | Annotated[RestrictingType, Tag("restricting")], Discriminator(_kind_of_type)
]


class NewResource(Asked):
    """A resource server: whom a token may be meant for, what may be asked of it, and which agent or service account
    runs it, if one does.

    A type of authorization details that is given as a string stands alone; with scopes, it restricts them.
    """

    audience: Line
    principal_id: UUID | None = None
    scopes: Annotated[tuple[Scope, ...], Field(max_length=50)] = ()
    authorization_details_types: Annotated[tuple[DetailsType, ...], Field(max_length=50)] = ()


class NewDelegation(Asked):
    """Standing permission for an agent to act for a user, or for the members of a group. Seconds.

    An empty list of authorization details says the same as none: the scopes are not restricted.
    """

    actor_id: UUID
    subject_id: UUID | None = None
    subject_group_id: UUID | None = None
    resource: Line
    scopes: Annotated[tuple[Scope, ...], Field(max_length=50)] = ()
    authorization_details: Annotated[list[JsonObject], Field(max_length=20)] = []
    max_lifetime_s: Annotated[int, Field(ge=1, le=TASK_LIFETIME_MAX_S)] | None = None
    max_depth: Annotated[int, Field(ge=1, le=DEPTH_MAX)] = 1
    max_task_s: TaskSeconds | None = None
    expires_at: AwareDatetime | None = None


class Reason(Asked):
    """The reason, for the audit log."""

    reason: Name = "by_administrator"


class Suspension(Reason):
    """The reason, for the audit log; and whether clients and delegations are kept for ``reactivate``, or end for good
    (``revoke``), also those that an earlier suspension kept.
    """

    credentials: Credentials = Credentials.KEEP


class NewSubject(Asked):
    """What an upstream issuer calls this user, exactly as its subject claim says it."""

    connection_id: UUID
    subject: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Nothing(Asked):
    """An empty object, or no body at all."""


class Page(BaseModel):
    """One page of a list; ``after`` is the ``next_cursor`` of the page before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE
    after: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None


def _ids(text: Any) -> Any:
    """Return the parts of a list that commas separate."""
    return text.split(",") if isinstance(text, str) else text


Ids = Annotated[tuple[UUID, ...], BeforeValidator(_ids), Field(max_length=PAGE_MAX)]


class PrincipalPage(Page):
    """Principals of one kind, of one name (compared without case), in one state, those that no source may change, or
    those whose ids are given, separated by commas.
    """

    kind: PrincipalKind | None = None
    name: Name | None = None
    state: Literal[State.ACTIVE, State.SUSPENDED, State.DEPROVISIONED] | None = None
    is_protected: Literal["true"] | None = None
    ids: Annotated[Ids, WithJsonSchema({"type": "string"})] | None = None


class ConnectionPage(Page):
    """Connections, of one name if it is given."""

    name: Name | None = None


class ClientPage(Page):
    """Clients, of one principal if it is named."""

    principal: UUID | None = None


class DelegationPage(Page):
    """Delegations of one actor, or for one subject (a user or a group).

    With ``active``, those that have neither ended nor expired, the next to expire first.
    """

    actor: UUID | None = None
    subject: UUID | None = None
    active: Literal["true"] | None = None


class TaskPage(Page):
    """Tasks that one principal is a party to."""

    principal: UUID | None = None


class LogPage(Page):
    """A log behind the row whose id is ``after``, oldest or newest first, from ``since`` on and before ``until``."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    order: Order = Order.ASCENDING

    @property
    def span(self) -> Span:
        """The span of time."""
        return Span(self.since, self.until)


class EventPage(LogPage):
    """The audit log behind the event whose id is ``after``, of one task, principal or type, in a span of time."""

    txn: UUID | None = None
    principal: UUID | None = None
    type: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class ProvisioningEventPage(Page):
    """What others are told of the directory's changes, after the event whose ``jti`` is ``after``."""


class RequestPage(LogPage):
    """A connection's log behind one request: of one principal, of one name (without case), in a span of time."""

    principal: UUID | None = None
    name: Name | None = None
    outcome: RequestOutcome | None = None


class OutboxPage(Page):
    """Outbox rows in one state."""

    state: OutboxState = OutboxState.DEAD


class SubjectName(BaseModel):
    """Which link."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection_id: UUID
    subject: Annotated[str, StringConstraints(min_length=1, max_length=255)]
