"""URIs of resources (RFC 7643 §3.1, meta.location): the base URL of a tenant's SCIM endpoint, and its types."""

from dataclasses import dataclass
from uuid import UUID

from scim.schema.catalogue import Catalogue
from scim.schema.resource_types import ResourceType


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The base URL, without a slash at its end, and the resource types below it."""

    base_url: str
    catalogue: Catalogue

    def location_at(self, type_: ResourceType, id_: UUID | str) -> str:
        """Return the URI of a resource of a type."""
        return f"{self.base_url}{type_.endpoint}/{id_}"
