"""What is answered about resource servers."""

from datetime import datetime
from uuid import UUID

from identity.admin.views import Items, View


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
    created_at: datetime


class ResourceList(Items[Resource]):
    """Resource servers in the order of their audiences."""
