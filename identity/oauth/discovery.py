"""The metadata of a tenant's issuer (RFC 8414, OpenID Connect Discovery)."""

from typing import Any

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from identity.edge.runtime import Runtime
from identity.model.client import SCIM_SCOPE, AuthMethod
from identity.model.signing_key import JWKS_LIFETIME_S
from identity.model.tenant import ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S, Tenant, issuer_of, scim_url_of
from identity.oauth.authorization import RESPONSE_TYPES
from identity.oauth.grants import GRANTS

ASSERTION_ALGORITHMS = ["ES256", "RS256", "EdDSA"]
KEYS_CACHE_CONTROL = f"public, max-age={JWKS_LIFETIME_S}"


def metadata_of(tenant: Tenant, runtime: Runtime) -> dict[str, Any]:
    """Return the authorization server's metadata (RFC 8414 §2), valid by Authlib's rules for it."""
    issuer = issuer_of(runtime.external_url, tenant.slug)
    document: dict[str, Any] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",  # MCP SDKs and others refuse metadata without one
        "jwks_uri": f"{issuer}/jwks",
        "token_endpoint": f"{issuer}/oauth/token",
        "grant_types_supported": list(GRANTS),
        "scopes_supported": [SCIM_SCOPE],  # resource servers publish their own
        "protected_resources": [scim_url_of(issuer)],  # RFC 9728 §4
        "response_types_supported": RESPONSE_TYPES,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "service_documentation": f"{runtime.external_url}/admin/v1/openapi.json",
        "max_stale_seconds": max(ACCESS_LIFETIME_S, TASK_LIFETIME_MAX_S),
    }
    for name in ("token", "introspection", "revocation"):
        document[f"{name}_endpoint_auth_methods_supported"] = list(AuthMethod)
        document[f"{name}_endpoint_auth_signing_alg_values_supported"] = ASSERTION_ALGORITHMS
    document["introspection_endpoint"] = f"{issuer}/oauth/introspect"
    document["revocation_endpoint"] = f"{issuer}/oauth/revoke"
    AuthorizationServerMetadata(document).validate()
    return document
