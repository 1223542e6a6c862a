"""Discovery (RFC 7644 §4), made from the limits and schemas that the server enforces."""

from typing import Any

from identity.model.client import SCIM_SCOPE
from identity.model.provisioning_event import EventUri
from identity.model.schema import Schema
from scim.dialects import Dialect
from scim.limits import BULK_OPERATIONS_MAX, CURSOR_LIFETIME_S, PAGE_SIZE, PAGE_SIZE_MAX
from scim.resource.locations import Endpoints
from scim.schema.resource_types import ResourceType

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

Json = dict[str, Any]


def service_provider_config(
    base_url: str, metadata_url: str, body_bytes_max: int, dialect: Dialect, *, with_additions: bool
) -> Json:
    """Return the ServiceProviderConfig (RFC 7643 §5, RFC 9865 §4).

    ``with_additions`` adds the members of RFC 9967 §4 and of the interoperability profile.
    """
    return {
        "schemas": [CORE + "ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": BULK_OPERATIONS_MAX, "maxPayloadSize": body_bytes_max},
        "filter": {"supported": True, "maxResults": PAGE_SIZE_MAX},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": PAGE_SIZE,
            "maxPageSize": PAGE_SIZE_MAX,
            "cursorTimeout": CURSOR_LIFETIME_S,
        },
        **(_additions(dialect) if with_additions else {}),
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token of a connection",
                "description": "The token that was shown when the connection was made (RFC 6750)",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            },
            {
                "type": "oauth2",
                "name": "Access token of a client of the connection",
                "description": "By grant client_credentials with private_key_jwt (RFC 7523 §2.2), client_secret_basic"
                f" or client_secret_post, scope {SCIM_SCOPE}; where, says the metadata of this endpoint (RFC 9728)",
                "specUri": "https://www.rfc-editor.org/info/rfc6749",
                "documentationUri": metadata_url,
                "primary": False,
            },
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base_url}/ServiceProviderConfig"},
    }


def _additions(dialect: Dialect) -> Json:
    events = {"asyncRequest": "request", "eventUris": [str(uri) for uri in EventUri]}
    conforms = dialect.conforms_to_profile
    return {"securityEvents": events} | ({} if conforms is None else {"interopProfileConformant": conforms})


def render_resource_types(endpoints: Endpoints) -> dict[str, Json]:
    """Return every ResourceType by its name (RFC 7643 §6)."""
    types = endpoints.catalogue.types.values()
    return {type_.name: _resource_type(type_, endpoints.base_url) for type_ in types}


def _resource_type(type_: ResourceType, base_url: str) -> Json:
    return {
        "schemas": [CORE + "ResourceType"],
        "id": type_.name,
        "name": type_.name,
        "description": type_.description,
        "endpoint": type_.endpoint,
        "schema": type_.schema.id,
        "schemaExtensions": [
            {"schema": extension.id, "required": key in type_.required_extensions}
            for key, extension in type_.extensions.items()
        ],
        "meta": {"resourceType": "ResourceType", "location": f"{base_url}/ResourceTypes/{type_.name}"},
    }


def render_schemas(endpoints: Endpoints) -> dict[str, Json]:
    """Return every Schema in use by its URN (RFC 7643 §7)."""
    return {urn: _schema(schema, endpoints.base_url) for urn, schema in endpoints.catalogue.schemas.items()}


def _schema(schema: Schema, base_url: str) -> Json:
    return {
        "schemas": [CORE + "Schema"],
        **schema.json,
        "meta": {"resourceType": "Schema", "location": f"{base_url}/Schemas/{schema.id}"},
    }


def list_response(resources: list[Json], paging: Json | None = None) -> Json:
    """Return a ListResponse (RFC 7644 §3.4.2). Without ``paging`` the resources are the whole list."""
    paging = {"totalResults": len(resources), "startIndex": 1} if paging is None else paging
    return {"schemas": [LIST_SCHEMA], **paging, "itemsPerPage": len(resources), "Resources": resources}
