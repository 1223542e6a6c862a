"""Public keys of clients, parsed once per registered version and not per request."""

from dataclasses import dataclass, field
from uuid import UUID

from identity_verifier import KeySet, VerificationError, parse_key_set
from joserfc.jwk import JWKRegistry

from identity.model.client import Client
from identity.model.ids import TenantId

PARSED_MAX = 10_000
EMPTY = KeySet({})


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What is kept is keyed by the version of the registration, so it is never wrong."""

    _parsed: dict[tuple[UUID, str, int], KeySet] = field(default_factory=dict)

    def of(self, tenant_id: TenantId, client: Client) -> KeySet:
        """Return the client's usable public keys; empty when there is none."""
        place = (tenant_id, client.client_id, client.version)
        found = self._parsed.get(place)
        if found is None:
            if len(self._parsed) >= PARSED_MAX:
                self._parsed.clear()
            found = self._parsed.setdefault(place, parse_client_keys(client))
        return found


def parse_client_keys(client: Client) -> KeySet:
    """Parse a registered JWK Set; a key without ``kid`` goes by its thumbprint (RFC 7638)."""
    keys = [dict(jwk) for jwk in (client.jwks or {}).get("keys", ())]
    for jwk in keys:
        if not jwk.get("kid"):
            jwk["kid"] = JWKRegistry.import_key(jwk).thumbprint()
    try:
        return parse_key_set({"keys": keys})
    except VerificationError:
        return EMPTY
