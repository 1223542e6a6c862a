"""The decision with a clock and the issuer's keys: what a resource server holds one of."""

from collections.abc import Callable
from datetime import UTC, datetime

from identity_verifier.claims import VerifiedClaims
from identity_verifier.fetch import fetch_document, require_secure_url
from identity_verifier.key_cache import CacheLimits, KeyCache
from identity_verifier.keys import KeySet, parse_key_set
from identity_verifier.rules import Expected, open_envelope, verify_envelope

Fetch = Callable[[str], bytes]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Verifier:
    """Verify tokens of one issuer for one audience. Make one per process and share it between threads.

    Keys are fetched from ``jwks_uri`` (default: issuer + ``/jwks``) on the first token, again after
    ``key_lifetime_s`` or when a token names an unknown key, but never more often than every
    ``refetch_interval_s``. While the issuer cannot be reached the known keys go on serving for
    ``stale_key_lifetime_s``. ``fetch`` takes a URL and gives the body; pass your own for a proxy. Raises
    ``ValueError`` for a ``jwks_uri`` that is neither https nor http to loopback.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        tenant: str | None = None,
        max_depth: int = 4,
        max_lifetime_s: int = 300,
        leeway_s: int = 30,
        fetch: Fetch = fetch_document,
        clock: Clock = utc_now,
        jwks_uri: str | None = None,
        key_lifetime_s: int = 300,
        stale_key_lifetime_s: int = 86_400,
        refetch_interval_s: int = 10,
        allow_plain_http: bool = False,
    ) -> None:
        self._expected = Expected(
            issuer,
            audience,
            tenant=tenant,
            max_depth=max_depth,
            max_lifetime_s=max_lifetime_s,
            leeway_s=leeway_s,
        )
        self._jwks_uri = require_secure_url(jwks_uri or f"{issuer}/jwks", allow_plain_http=allow_plain_http)
        self._fetch = fetch
        self._clock = clock
        limits = CacheLimits(key_lifetime_s, stale_key_lifetime_s, refetch_interval_s)
        self._keys = KeyCache(self._fetch_keys, limits)

    def verify(self, unverified_token: str) -> VerifiedClaims:
        """Accept the token whole, or raise ``VerificationError`` naming the rule that failed."""
        now = self._clock()
        envelope = open_envelope(unverified_token, self._expected)
        keys = self._keys.keys_for(envelope.key_id, now)
        return verify_envelope(envelope, keys, self._expected, now)

    def _fetch_keys(self) -> KeySet:
        return parse_key_set(self._fetch(self._jwks_uri))
