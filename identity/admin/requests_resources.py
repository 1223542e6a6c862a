"""What may be asked about resource servers, pairs of them, and changes of delegations."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from identity.admin.requests import Asked, DetailsType, JsonObject, Line, Page, Scope, TaskSeconds
from identity.model.resource import TYPES_MAX
from identity.model.scope import SCOPES_MAX
from identity.model.tenant import DEPTH_MAX, TASK_LIFETIME_MAX_S

Allowed = Annotated[tuple[Scope, ...], Field(min_length=1, max_length=SCOPES_MAX)]


class NewResourcePair(Asked):
    """Which scopes of one resource server allow which of another, and which types of authorization details which.

    ``from`` and ``to`` name the two by audience or id.
    """

    source: Annotated[Line, Field(alias="from")]
    target: Annotated[Line, Field(alias="to")]
    scopes: Annotated[dict[Scope, Allowed], Field(max_length=SCOPES_MAX, default_factory=dict)]
    authorization_details_types: Annotated[dict[Scope, Scope], Field(max_length=TYPES_MAX, default_factory=dict)]


class ResourcePairChange(Asked):
    """What is left out stays as it is."""

    scopes: Annotated[dict[Scope, Allowed], Field(max_length=SCOPES_MAX)] | None = None
    authorization_details_types: Annotated[dict[Scope, Scope], Field(max_length=TYPES_MAX)] | None = None


class ResourceChange(Asked):
    """What is left out stays as it is; a ``principal_id`` of null says that no principal runs the resource server.

    What a type of authorization details restricts never changes.
    """

    principal_id: UUID | None = None
    scopes: Annotated[tuple[Scope, ...], Field(max_length=SCOPES_MAX)] | None = None
    authorization_details_types: Annotated[tuple[DetailsType, ...], Field(max_length=TYPES_MAX)] | None = None


class ResourcePage(Page):
    """Resource servers, or the one of an audience."""

    audience: Line | None = None


class DelegationChange(Asked):
    """What is left out stays as it is; an ``expires_at`` of null says that the delegation does not expire."""

    scopes: Annotated[tuple[Scope, ...], Field(max_length=SCOPES_MAX)] | None = None
    authorization_details: Annotated[list[JsonObject], Field(max_length=20)] | None = None
    max_lifetime_s: Annotated[int, Field(ge=1, le=TASK_LIFETIME_MAX_S)] | None = None
    max_depth: Annotated[int, Field(ge=1, le=DEPTH_MAX)] | None = None
    max_task_s: TaskSeconds | None = None
    expires_at: AwareDatetime | None = None
