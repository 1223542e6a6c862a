"""Delegations."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from identity.actions import delegations as actions
from identity.admin.endpoints import delete, get, operation, patch
from identity.admin.paging import Cursor, parse_cursor_id, parse_cursor_instant, read_page
from identity.admin.requests import Change, JsonObject, Line, Page, RequestModel, Scope, TaskSeconds
from identity.admin.responses import Items, ResponseModel
from identity.edge.call import Call
from identity.model import delegation
from identity.model.scope import SCOPES_MAX
from identity.model.tenant import DEPTH_MAX, TASK_LIFETIME_MAX_S

DELEGATIONS = "/tenants/{tenant}/delegations"
DELEGATION = f"{DELEGATIONS}/{{delegation_id}}"
BY_EXPIRY = Cursor({"expires_at": parse_cursor_instant, "id": parse_cursor_id})

LifetimeSeconds = Annotated[int, Field(ge=1, le=TASK_LIFETIME_MAX_S)]
Depth = Annotated[int, Field(ge=1, le=DEPTH_MAX)]
Details = Annotated[list[JsonObject], Field(max_length=20)]
Scopes = Annotated[tuple[Scope, ...], Field(max_length=SCOPES_MAX)]


class NewDelegation(RequestModel):
    """Standing permission for an agent to act for a user, or for the members of a group. Seconds.

    An empty list of authorization details says the same as none: the scopes are not restricted.
    """

    actor_id: UUID
    subject_id: UUID | None = None
    subject_group_id: UUID | None = None
    resource: Line
    scopes: Scopes = ()
    authorization_details: Details = []  # noqa: RUF012 - pydantic copies a default
    max_lifetime_s: LifetimeSeconds | None = None
    max_depth: Depth = 1
    max_task_s: TaskSeconds | None = None
    expires_at: AwareDatetime | None = None


class DelegationChange(Change):
    """What is left out stays as it is; an ``expires_at`` of null says that the delegation does not expire."""

    NULLABLE = frozenset({"expires_at"})

    scopes: Scopes | None = None
    authorization_details: Details | None = None
    max_lifetime_s: LifetimeSeconds | None = None
    max_depth: Depth | None = None
    max_task_s: TaskSeconds | None = None
    expires_at: AwareDatetime | None = None


class DelegationPage(Page):
    """Delegations of one actor, or for one subject (a user or a group).

    With ``active``, those that have neither ended nor expired, the next to expire first.
    """

    actor_id: Annotated[UUID | None, Field(alias="actor")] = None
    subject_id: Annotated[UUID | None, Field(alias="subject")] = None
    active: Literal["true"] | None = None

    @property
    def filters(self) -> dict[str, Any]:
        """The parties; the action itself depends on ``active``."""
        return {"actor_id": self.actor_id, "subject_id": self.subject_id}


class Delegation(ResponseModel):
    """Standing permission to act for a user, or for the members of a group. Seconds."""

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


class DelegationList(Items[Delegation]):
    """Delegations in the order of creation, ended ones among them; active ones by when they expire."""


@operation("POST", DELEGATIONS, body=NewDelegation, response=Delegation, status=201)
def grant_delegation(call: Call, requested: NewDelegation) -> delegation.Delegation:
    """Let an agent act for a user, or for the members of a group, at one resource server."""
    wanted = actions.NewDelegation(**dict(requested))
    return actions.grant_delegation(call.tx, wanted, caller=call.caller, now=call.now)


@operation("GET", DELEGATIONS, query=DelegationPage, response=DelegationList)
def list_delegations(call: Call, page: DelegationPage) -> dict[str, Any]:
    """List delegations, of one actor or for one subject; those that are active, if that is requested."""
    if page.active is None:
        return read_page(call, page, actions.list_delegations)
    return read_page(call, page, partial(actions.list_delegations_in_force, now=call.now), cursor=BY_EXPIRY)


get(DELEGATION, actions.get_delegation, "Read one delegation", Delegation)
patch(
    DELEGATION,
    actions.change_delegation,
    "Change what a delegation permits; less than before ends the tokens that rest on it",
    Delegation,
    body=DelegationChange,
)
delete(DELEGATION, actions.end_delegation, "End a delegation, and every token that rests on it")
