"""Public keys of clients, parsed once for each version of a registration and not for each request."""

from dataclasses import dataclass, field

from identity_verifier import KeySet, VerificationError, parse_key_set
from joserfc.jwk import JWKRegistry

from identity.actions.bounded_cache import BoundedCache
from identity.model.client import Client
from identity.model.ids import TenantId

PARSED_MAX = 10_000
EMPTY = KeySet({})


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """Key sets by the version of the registration: a kept one is never out of date."""

    _parsed: BoundedCache[tuple[TenantId, str, int], KeySet] = field(default_factory=lambda: BoundedCache(PARSED_MAX))

    def of(self, tenant_id: TenantId, client: Client) -> KeySet:
        """Return the client's usable public keys; empty when there is none."""
        key = (tenant_id, client.client_id, client.version)
        return self._parsed.get_or_make(key, lambda: parse_client_keys(client))


def parse_client_keys(client: Client) -> KeySet:
    """Parse a registered JWK Set; a key without ``kid`` is named by its thumbprint (RFC 7638)."""
    keys = [dict(jwk) for jwk in (client.jwks or {}).get("keys", ())]
    for jwk in keys:
        if not jwk.get("kid"):
            jwk["kid"] = JWKRegistry.import_key(jwk).thumbprint()
    try:
        return parse_key_set({"keys": keys})
    except VerificationError:
        return EMPTY
