"""What a refused client is told of how to come back with a better token (RFC 6750 §3, RFC 9728 §5.1)."""

from urllib.parse import urlsplit

from flask import request

from identity.actions.authentication import InsufficientScope
from identity.edge.request import BEARER
from identity.edge.runtime import runtime
from identity.model.client import SCIM_SCOPE
from identity.model.errors import NotAuthenticated, Refusal
from identity.model.tenant import issuer_of, scim_url_of

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def metadata_url(slug: str) -> str:
    """Return where the metadata of a tenant's SCIM endpoint is: its path comes behind the well-known one (§3.1)."""
    parts = urlsplit(scim_url_of(issuer_of(runtime().external_url, slug)))
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"


def challenge_of(refusal: Refusal, slug: str) -> str | None:
    """Return the challenge of a refusal that another token could avert. To who sent none, no error is named (§3.1)."""
    match refusal:
        case InsufficientScope():
            error = 'error="insufficient_scope", '
        case NotAuthenticated():
            was_sent = BEARER.fullmatch(request.headers.get("Authorization", ""))
            error = 'error="invalid_token", ' if was_sent else ""
        case _:
            return None
    return f'Bearer realm="scim", {error}resource_metadata="{metadata_url(slug)}", scope="{SCIM_SCOPE}"'
