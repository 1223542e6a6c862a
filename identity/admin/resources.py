"""Resource servers."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from identity.actions import resources as actions
from identity.admin.endpoints import delete, get, listing, operation, patch
from identity.admin.paging import Cursor
from identity.admin.requests import Change, DetailsType, Line, Page, RequestModel, Scope
from identity.admin.responses import Items, ResponseModel
from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.resource import TYPES_MAX, ResourceServer
from identity.model.scope import SCOPES_MAX

RESOURCES = "/tenants/{tenant}/resources"
RESOURCE = f"{RESOURCES}/{{resource_id}}"

Scopes = Annotated[tuple[Scope, ...], Field(max_length=SCOPES_MAX)]
DetailsTypes = Annotated[tuple[DetailsType, ...], Field(max_length=TYPES_MAX)]


class NewResource(RequestModel):
    """A resource server: whom a token may be meant for, what may be requested of it, and which agent or service account
    runs it, if one does.

    A type of authorization details that is given as a string stands alone; with scopes, it restricts them.
    """

    audience: Line
    principal_id: UUID | None = None
    scopes: Scopes = ()
    authorization_details_types: DetailsTypes = ()


class ResourceChange(Change):
    """What is left out stays as it is; a ``principal_id`` of null says that no principal runs the resource server.

    What a type of authorization details restricts never changes.
    """

    NULLABLE = frozenset({"principal_id"})

    principal_id: UUID | None = None
    scopes: Scopes | None = None
    authorization_details_types: DetailsTypes | None = None


class ResourcePage(Page):
    """Resource servers, or the one of an audience."""

    audience: Line | None = None


class RestrictingType(ResponseModel):
    """A type of authorization details whose entries restrict these scopes."""

    type: str
    scopes: list[str]


class Resource(ResponseModel):
    """A resource server, and the principal that runs it. A type of authorization details that is a string stands
    alone.
    """

    id: UUID
    audience: str
    principal_id: UUID | None
    scopes: list[str]
    authorization_details_types: list[
        Annotated[str | RestrictingType, BeforeValidator(lambda known: known if known.scopes else known.type)]
    ]
    version: int
    created_at: datetime


class ResourceList(Items[Resource]):
    """Resource servers in the order of their audiences."""


@operation("POST", RESOURCES, body=NewResource, response=Resource, status=201)
def register_resource(call: Call, requested: NewResource) -> ResourceServer:
    """Register a resource server; saying the same again changes nothing."""
    members: dict[str, Any] = dict(requested)
    return actions.register_resource(
        call.tx, **members, external_url=runtime().external_url, caller=call.caller, now=call.now
    )


listing(
    RESOURCES,
    actions.list_resources,
    "List resource servers",
    ResourceList,
    query=ResourcePage,
    cursor=Cursor({"audience": str}),
)
get(RESOURCE, actions.get_resource, "Read one resource server", Resource)
patch(
    RESOURCE,
    actions.change_resource,
    "Change what a resource server offers, or who runs it; less than before ends the tokens that rest on it",
    Resource,
    body=ResourceChange,
)
delete(
    RESOURCE,
    actions.delete_resource,
    "Delete a resource server, with its pairs, its clients, the delegations at it and the tokens for it",
)
