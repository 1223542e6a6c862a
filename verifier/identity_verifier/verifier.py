"""The decision with a clock and the issuer's keys: what a resource server holds one of."""

from collections.abc import Callable
from datetime import datetime, timezone

from identity_verifier.claims import VerifiedClaims
from identity_verifier.configuration import check_numbers, check_secure_url, misconfiguration_in, not_an_issuer
from identity_verifier.errors import Rule, VerificationError
from identity_verifier.fetch import FetchError, fetch_document
from identity_verifier.issuer_check import IssuerCheck
from identity_verifier.key_cache import CacheLimits, KeyCache
from identity_verifier.keys import KeySet, MalformedKeySetError, parse_key_set
from identity_verifier.rules import Expected, OpenedToken, open_token, verify_opened

Fetch = Callable[[str], bytes]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


class Verifier:
    """Verify tokens of one issuer for one audience. Make one per process and share it between threads.

    Keys are fetched from ``jwks_uri`` (default: issuer + ``/jwks``) on the first token, again after
    ``key_lifetime_s`` or when a token names an unknown key, but never more often than every
    ``refetch_interval_s``. While the issuer cannot be reached the known keys go on serving for
    ``stale_key_lifetime_s``. ``fetch`` takes a URL and gives the body; pass your own for a proxy, and let it raise
    ``FetchError`` with the status of an answer that is not 200. Raises ``ConfigurationError`` for what can be right
    with no issuer, such as a ``jwks_uri`` that is neither https nor http to loopback.
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
        self._jwks_uri = check_secure_url(jwks_uri or f"{issuer}/jwks", allow_plain_http=allow_plain_http)
        check_numbers(0, refetch_interval_s=refetch_interval_s)
        check_numbers(1, key_lifetime_s=key_lifetime_s, stale_key_lifetime_s=stale_key_lifetime_s)
        self._fetch = fetch
        self._clock = clock
        self._issuer_check = IssuerCheck(issuer, self._jwks_uri, fetch, refetch_interval_s)
        limits = CacheLimits(key_lifetime_s, stale_key_lifetime_s, refetch_interval_s)
        self._keys = KeyCache(self._fetch_keys, limits)

    def verify(self, unverified_token: str | None) -> VerifiedClaims:
        """Accept the token whole, or raise ``VerificationError`` naming the rule that failed: ``missing`` for None.

        Raises ``ConfigurationError`` when what failed is how this service is set up. It waits for the issuer, at most
        a few seconds, when keys must be fetched: in a coroutine, run it in a thread.
        """
        now = self._clock()
        opened = self._open(unverified_token, now)
        keys = self._keys.keys_for(opened.envelope.key_id, now)
        claims = verify_opened(opened, keys, self._expected, now)
        self._issuer_check.confirm()
        return claims

    def _open(self, unverified_token: str | None, now: datetime) -> OpenedToken:
        try:
            return open_token(unverified_token, self._expected)
        except VerificationError as refusal:
            if refusal.rule is Rule.ISSUER:
                self._issuer_check.raise_mismatch(now)
            raise

    def _fetch_keys(self) -> KeySet:
        try:
            return parse_key_set(self._fetch(self._jwks_uri))
        except FetchError as failure:
            fault = misconfiguration_in(failure, self._jwks_uri)
            if fault is None:
                raise
            raise fault from failure
        except MalformedKeySetError as refusal:
            raise not_an_issuer(self._jwks_uri, refusal.detail) from refusal
