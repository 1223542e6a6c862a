"""Where resources are shown: the base URL of a tenant's SCIM endpoint, and its resource types."""

from dataclasses import dataclass
from uuid import UUID

from scim.schema.catalogue import Catalogue
from scim.schema.resource_types import ResourceType


@dataclass(frozen=True, slots=True)
class Endpoints:
    """``base_url`` ends before the slash of an endpoint."""

    base_url: str
    catalogue: Catalogue

    def location_at(self, type_: ResourceType, id_: UUID | str) -> str:
        """Return the URI of a resource of a type."""
        return f"{self.base_url}{type_.endpoint}/{id_}"
