"""What is answered about resource servers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from identity.admin.responses import Items, View


class RestrictingType(View):
    """A type of authorization details whose entries restrict these scopes."""

    type: str
    scopes: list[str]


class Resource(View):
    """A resource server, and the principal that runs it. A type of authorization details that is a string stands
    alone.
    """

    id: UUID
    audience: str
    principal_id: UUID | None
    scopes: list[str]
    authorization_details_types: list[str | RestrictingType]
    version: int
    created_at: datetime


class ResourceList(Items[Resource]):
    """Resource servers in the order of their audiences."""


class ResourcePair(View):
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
