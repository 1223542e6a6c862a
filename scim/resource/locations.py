"""URIs of resources (RFC 7643 §3.1, meta.location): the base URL of a tenant's SCIM endpoint, and its types."""

from dataclasses import dataclass
from uuid import UUID

from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.tenant import issuer_of, scim_url_of
from scim.schema.catalogue import Catalogue, catalogue_of
from scim.schema.resource_types import ResourceType


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The base URL, without a slash at its end, and the resource types below it."""

    base_url: str
    catalogue: Catalogue

    def location_at(self, type_: ResourceType, id_: UUID | str) -> str:
        """Return the URI of a resource of a type."""
        return f"{self.base_url}{type_.endpoint}/{id_}"


def base_url(slug: str) -> str:
    """Return the URL of a tenant's SCIM endpoint, without a slash at its end."""
    return scim_url_of(issuer_of(runtime().external_url, slug))


def endpoints_of(call: Call, slug: str) -> Endpoints:
    """Return the endpoints of the tenant of a call."""
    return Endpoints(base_url(slug), catalogue_of(call))
