"""The metadata of a tenant's SCIM endpoint, which names its authorization server (RFC 9728)."""

from typing import Any

from flask import Blueprint, Response, jsonify

from identity.edge.call import tenant_of
from identity.edge.public_documents import public_document
from identity.edge.runtime import runtime
from identity.model.client import SCIM_SCOPE
from identity.model.errors import Refusal
from identity.model.tenant import issuer_of, scim_url_of
from scim.challenge import WELL_KNOWN
from scim.responses import on_refusal

CACHE_CONTROL = "public, max-age=3600"

blueprint = Blueprint("protected_resource", __name__)


def on_metadata_refusal(refusal: Refusal) -> Response:
    """Answer a refusal in JSON: the client speaks OAuth, and not SCIM yet."""
    response = on_refusal(refusal)
    response.content_type = "application/json"
    return response


blueprint.register_error_handler(Refusal, on_metadata_refusal)


@public_document(blueprint, f"{WELL_KNOWN}/t/<slug>/scim/v2")
def metadata(slug: str) -> Response:
    """Publish the metadata of the SCIM endpoint (RFC 9728 §3)."""
    response = jsonify(metadata_of(tenant_of(slug).slug))
    response.headers["Cache-Control"] = CACHE_CONTROL
    return response


def metadata_of(slug: str) -> dict[str, Any]:
    """Return the members of the metadata (RFC 9728 §2)."""
    issuer = issuer_of(runtime().external_url, slug)
    return {
        "resource": scim_url_of(issuer),
        "authorization_servers": [issuer],
        "scopes_supported": [SCIM_SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": f"SCIM endpoint of {slug}",
    }
