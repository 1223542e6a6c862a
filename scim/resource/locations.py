"""URIs of resources (RFC 7643 §3.1, meta.location), their paths, and references within a Bulk."""

import re
from dataclasses import dataclass
from uuid import UUID

from scim.schema.catalogue import Catalogue
from scim.schema.resource_types import ResourceType

METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""The methods that change resources."""
PATH = re.compile(r"/([A-Za-z][A-Za-z0-9]{0,63})(?:/([^/?#]{1,256}))?", re.ASCII)
"""An endpoint below the base URL and, behind it, the id of a resource."""
BULK_ID = "bulkId:"
"""The prefix of a reference to a resource that the same Bulk creates (RFC 7644 §3.7.2)."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The base URL, without a slash at its end, and the resource types below it."""

    base_url: str
    catalogue: Catalogue

    def location_at(self, type_: ResourceType, id_: UUID | str) -> str:
        """Return the URI of a resource of a type."""
        return f"{self.base_url}{type_.endpoint}/{id_}"
