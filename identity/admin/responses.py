"""What is answered. No credential is part of a view, except in the one answer that shows it for the only time."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from identity.admin.kinds import PrincipalKind
from identity.model.client import AuthMethod, GrantType
from identity.model.event import Outcome
from identity.model.lifecycle import State
from identity.model.outbox import OutboxState
from identity.model.provisioning_log import RequestOutcome

JsonObject = dict[str, Any]


class View(BaseModel):
    """Read from the model by name."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


Item = TypeVar("Item", bound=View)


class Items(View, Generic[Item]):
    """One page; ``next_cursor`` is null on the last."""

    items: list[Item]
    next_cursor: str | None


class Tenant(View):
    """A tenant and its issuer."""

    id: UUID
    slug: str
    display_name: str
    state: str
    issuer: str
    task_lifetime_max_s: int
    max_task_s: int
    created_at: datetime


class Client(View):
    """Client metadata (RFC 7591 §2)."""

    client_id: str
    client_name: str | None
    principal_id: UUID | None
    audience: str | None
    connection_id: UUID | None
    token_endpoint_auth_method: Annotated[AuthMethod, Field(validation_alias="auth_method")]
    grant_types: list[GrantType]
    scope: str
    jwks: JsonObject | None
    version: int
    created_at: datetime
    revoked_at: datetime | None


class RegisteredClient(Client):
    """With ``client_secret``, where there is one: shown here and never again (RFC 7591 §3.2.1)."""

    client_id_issued_at: int
    client_secret: str | None = None
    client_secret_expires_at: int | None = None


class Reference(View):
    """A principal named from another."""

    id: UUID
    kind: PrincipalKind
    display_name: str | None


class Principal(View):
    """A user, group, agent or service account."""

    id: UUID
    kind: PrincipalKind
    state: State
    is_held: bool
    is_protected: bool
    name: str
    display_name: str | None
    external_id: str | None
    connection_id: UUID | None
    valid_from: datetime | None
    valid_until: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class PrincipalInFull(Principal):
    """With those who answer for it and the groups that it is in."""

    owners: list[Reference]
    groups: list[Reference]


class Restored(View):
    """The clients that live again, 50 at most, and how many delegations do, without those whose other party is not
    active. At most 1,000 are looked at; ``has_more_delegations`` when there may be more.
    """

    clients: list[str]
    delegations: int
    has_more_delegations: bool


class ReactivatedPrincipal(Principal):
    """With the clients and delegations that live again with it. Tokens and tasks stay ended."""

    restored: Restored


class Subject(View):
    """What an upstream issuer calls a user."""

    connection_id: UUID
    subject: str
    principal_id: UUID
    created_at: datetime


class Subjects(View):
    """All upstream subjects of one user."""

    items: list[Subject]
    next_cursor: None = None


class Delegation(View):
    """Standing permission to act for somebody. Seconds."""

    id: UUID
    actor_id: UUID
    subject_id: UUID | None
    subject_group_id: UUID | None
    resource: str
    scopes: list[str]
    authorization_details: list[JsonObject]
    max_lifetime_s: int
    max_depth: int
    max_task_s: int
    granted_by: str
    version: int
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_reason: str | None


class Caller(View):
    """Who asked."""

    kind: str
    id: str | None


class Event(View):
    """One row of the audit log."""

    id: UUID
    at: datetime
    tenant: str
    type: str
    outcome: Outcome
    caller: Caller
    subject_id: UUID | None
    actor_ids: list[UUID]
    txn: UUID | None
    reason: str | None
    request_id: str | None
    detail: JsonObject


class ProvisioningEvent(View):
    """The claims of a Security Event Token (RFC 8417, RFC 9967), but for ``aud``: names of attributes, no values."""

    iss: str
    iat: int
    jti: UUID
    txn: str
    sub_id: JsonObject
    events: JsonObject


class Change(View):
    """One attribute before and after, null where there was or is none; secrets are masked, long values cut."""

    attribute: str
    old: Any
    new: Any


class Request(View):
    """One request of a source. ``done`` was committed with this row; of ``refused`` and ``failed`` nothing changed."""

    id: UUID
    at: datetime
    connection_id: UUID
    request_id: str | None
    method: str
    path: str
    resource_type: str | None
    principal_id: UUID | None
    name: str | None
    outcome: RequestOutcome
    status: int
    scim_type: str | None
    reason: str | None
    detail: str | None
    duration_ms: int
    body: Any
    changes: list[Change]


class Key(View):
    """The public half of a signing key."""

    kid: str
    alg: str
    state: str
    is_signing: bool
    public_jwk: JsonObject
    created_at: datetime
    activates_at: datetime
    verify_until: datetime | None


class Keys(View):
    """All keys that still verify, oldest first."""

    items: list[Key]
    next_cursor: None = None


class Cutoff(View):
    """Everything issued for ``key`` up to ``not_before`` is dead."""

    kind: str
    key: str
    not_before: datetime
    reason: str | None


class OutboxRow(View):
    """News for the workers: "reconcile this principal", or "do this asynchronous request", which has the same id."""

    id: UUID
    principal_id: UUID | None
    kind: str
    state: OutboxState
    attempts: int
    last_error: str | None
    created_at: datetime
    available_at: datetime
    done_at: datetime | None
    dead_at: datetime | None


class TenantList(Items[Tenant]):
    """Tenants in the order of creation."""


class ClientList(Items[Client]):
    """Clients in the order of creation, revoked ones among them."""


class PrincipalList(Items[Principal]):
    """Living principals in the order of creation."""


class DelegationList(Items[Delegation]):
    """Delegations in the order of creation, ended ones among them; active ones by when they expire."""


class EventList(Items[Event]):
    """Events, in the order that was asked for."""


class ProvisioningEventList(Items[ProvisioningEvent]):
    """What others are told of the directory's changes, oldest first."""


class RequestList(Items[Request]):
    """Requests of one connection, in the order that was asked for."""


class CutoffList(Items[Cutoff]):
    """Cut-offs in the order of kind and key."""


class OutboxList(Items[OutboxRow]):
    """Outbox rows, oldest first."""


class Fault(View):
    """One fault of a request: where (JSON pointer, RFC 6901, or the name of a parameter) and what."""

    pointer: str
    detail: str


class Problem(View):
    """RFC 9457. ``code`` names the failed rule and is stable; ``request_id`` finds the event and the log lines."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[Fault] = []


class ProblemType(View):
    """What a problem's ``type`` leads to."""

    type: str
    title: str
    status: int
    meaning: str
