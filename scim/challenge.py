"""The challenge that shows a refused client where it gets a token (RFC 6750 §3, RFC 9728 §5.1)."""

from urllib.parse import urlsplit

from flask import request

from identity.actions.authentication import InsufficientScope
from identity.edge.request import BEARER
from identity.edge.runtime import runtime
from identity.model.client import SCIM_SCOPE
from identity.model.errors import NotAuthenticated, Refusal
from identity.model.tenant import issuer_of, scim_url_of

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def metadata_url(base_url: str) -> str:
    """Return the URL of the metadata of a SCIM endpoint: its path follows the well-known one (RFC 9728 §3.1)."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path}"


def challenge_of(refusal: Refusal, slug: str) -> str | None:
    """Return the challenge of a refusal that another token could avert. Without a token it names no error (§3.1)."""
    match refusal:
        case InsufficientScope():
            error = 'error="insufficient_scope", '
        case NotAuthenticated():
            was_sent = BEARER.fullmatch(request.headers.get("Authorization", ""))
            error = 'error="invalid_token", ' if was_sent else ""
        case _:
            return None
    url = metadata_url(scim_url_of(issuer_of(runtime().external_url, slug)))
    return f'Bearer realm="scim", {error}resource_metadata="{url}", scope="{SCIM_SCOPE}"'
