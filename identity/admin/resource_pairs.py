"""Pairs of resource servers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from identity.actions import resource_pairs as actions
from identity.admin.endpoints import delete, get, listing, patch, post
from identity.admin.requests import Change, Line, RequestModel, Scope
from identity.admin.responses import Items, ResponseModel
from identity.model.resource import TYPES_MAX
from identity.model.scope import SCOPES_MAX

PAIRS = "/tenants/{tenant}/resource-pairs"
PAIR = f"{PAIRS}/{{pair_id}}"

Allowed = Annotated[tuple[Scope, ...], Field(min_length=1, max_length=SCOPES_MAX)]


class NewResourcePair(RequestModel):
    """Which scopes of one resource server allow which of another, and which types of authorization details which.

    ``from`` and ``to`` name the two by audience or id.
    """

    source: Annotated[Line, Field(alias="from")]
    target: Annotated[Line, Field(alias="to")]
    scopes: Annotated[dict[Scope, Allowed], Field(max_length=SCOPES_MAX, default_factory=dict)]
    authorization_details_types: Annotated[dict[Scope, Scope], Field(max_length=TYPES_MAX, default_factory=dict)]


class ResourcePairChange(Change):
    """What is left out stays as it is."""

    scopes: Annotated[dict[Scope, Allowed], Field(max_length=SCOPES_MAX)] | None = None
    authorization_details_types: Annotated[dict[Scope, Scope], Field(max_length=TYPES_MAX)] | None = None


class ResourcePair(ResponseModel):
    """What of one resource server allows what of another: scopes, and types of authorization details."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: UUID
    source: Annotated[str, Field(serialization_alias="from")]
    target: Annotated[str, Field(serialization_alias="to")]
    scopes: dict[str, list[str]]
    authorization_details_types: dict[str, str]
    version: int
    created_at: datetime


class ResourcePairList(Items[ResourcePair]):
    """Pairs of resource servers in the order of creation."""

    model_config = ConfigDict(serialize_by_alias=True)


post(
    PAIRS,
    actions.register_resource_pair,
    "Let tokens for one resource server be exchanged for tokens for another. Repeating it changes nothing",
    ResourcePair,
    body=NewResourcePair,
    status=201,
)
listing(PAIRS, actions.list_resource_pairs, "List pairs of resource servers", ResourcePairList)
get(PAIR, actions.get_resource_pair, "Read one pair of resource servers", ResourcePair)
delete(
    PAIR,
    actions.delete_resource_pair,
    "Delete a pair of resource servers, and end every token that crossed by it",
)
patch(
    PAIR,
    actions.change_resource_pair,
    "Change what crosses; less than before ends the tokens that crossed",
    ResourcePair,
    body=ResourcePairChange,
)
