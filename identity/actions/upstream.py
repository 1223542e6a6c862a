"""Tokens of trusted upstream issuers: their keys, and the rules by which a person's token is valid."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from identity_verifier import FetchError, KeySet, VerificationError, parse_key_set
from identity_verifier.envelope import Envelope, take_apart
from identity_verifier.strict_json import StrictJsonError, parse_object

from identity.actions.bounded_cache import BoundedCache
from identity.model.connection import DEVELOPMENT_ISSUER, Connection
from identity.model.errors import Refusal, Unavailable
from identity.model.ids import TenantId
from identity.model.upstream_token import Acting, Upstream, fault_of, may_be_of_type, upstream_of

KEYS_LIFETIME = timedelta(minutes=5)
KEYS_STALE_LIFETIME = timedelta(hours=1)
REFETCH_INTERVAL = timedelta(seconds=10)
SETS_MAX = 10_000


class InvalidSubjectToken(Refusal):
    """The subject token is not valid, or names no party that may be acted for (RFC 8693 §2.2.2)."""

    code = "invalid_subject_token"


class UpstreamKeysNeeded(Exception):  # noqa: N818 - a request to the edge, which owns the network
    """The keys of ``connection`` must be fetched, outside of any transaction, before the token can be verified."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.id)
        self.connection = connection


@dataclass(frozen=True, slots=True)
class Fetched:
    """A key set and when it was fetched."""

    keys: KeySet
    at: datetime


@dataclass(slots=True)
class CachedKeys:
    """The keys of one connection, when a fetch was last tried, and the lock that one fetch at a time holds."""

    fetched: Fetched | None = None
    tried_at: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def was_tried(self, now: datetime) -> bool:
        """True within ``REFETCH_INTERVAL`` of a fetch."""
        return self.tried_at is not None and _within(REFETCH_INTERVAL, self.tried_at, now)


@dataclass(slots=True)
class UpstreamKeys:
    """The key sets of upstream issuers. ``fetch`` returns the bytes at a URL, or raises ``FetchError``.

    The development issuer's keys are found only with ``allow_development``.
    """

    fetch: Callable[[str], bytes]
    allow_development: bool = False
    _cache: BoundedCache[tuple[UUID, UUID, int], CachedKeys] = field(default_factory=lambda: BoundedCache(SETS_MAX))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, tenant_id: TenantId, connection: Connection, key_id: str, now: datetime) -> KeySet:
        """Return the connection's keys: fetched within ``KEYS_LIFETIME``, or while a fetch fails or goes on, within
        ``KEYS_STALE_LIFETIME``.

        Raises ``UpstreamKeysNeeded``, at most once in ten seconds for a key id that the issuer does not publish,
        ``Unavailable``, ``InvalidSubjectToken``.
        """
        if connection.issuer == DEVELOPMENT_ISSUER and not self.allow_development:
            raise InvalidSubjectToken(
                "the development issuer is trusted under `identity dev` alone", reason="development_issuer"
            )
        cached = self._cached(tenant_id, connection)
        if connection.jwks is not None:
            return _inline(cached, connection.jwks, now)
        fetched = cached.fetched
        if fetched and not _within(KEYS_STALE_LIFETIME, fetched.at, now):
            fetched = None
        if fetched and key_id in fetched.keys and (_within(KEYS_LIFETIME, fetched.at, now) or cached.lock.locked()):
            return fetched.keys
        if not cached.was_tried(now):
            raise UpstreamKeysNeeded(connection)
        if fetched:
            return fetched.keys
        raise Unavailable("the upstream issuer's keys cannot be fetched", reason="upstream_keys_unavailable")

    def refresh(self, tenant_id: TenantId, connection: Connection, now: datetime) -> None:
        """Fetch the keys; keep the old ones when that fails. Callers wait while another one fetches the same keys."""
        cached = self._cached(tenant_id, connection)
        with cached.lock:
            if cached.was_tried(now):
                return
            try:
                cached.fetched = Fetched(parse_key_set(self.fetch(str(connection.jwks_uri))), now)
            except (FetchError, VerificationError):
                return
            finally:
                cached.tried_at = now

    def _cached(self, tenant_id: TenantId, connection: Connection) -> CachedKeys:
        with self._lock:
            return self._cache.get_or_make((tenant_id, connection.id, connection.version), CachedKeys)


def _inline(cached: CachedKeys, jwks: Mapping[str, Any], now: datetime) -> KeySet:
    if cached.fetched is None:
        try:
            cached.fetched = Fetched(parse_key_set(jwks), now)
        except VerificationError:
            raise InvalidSubjectToken("the connection has no usable key", reason="upstream_keys") from None
    return cached.fetched.keys


def _within(lifetime: timedelta, since: datetime, now: datetime) -> bool:
    """True when less than ``lifetime`` has passed, in either direction: a clock set back keeps nothing for longer."""
    return abs(now - since) < lifetime


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A JWT that is decoded and not verified: its ``claims`` may only choose the rows that are read."""

    text: str
    envelope: Envelope
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str | None:
        """The issuer that it claims."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else None

    @property
    def jti(self) -> UUID | None:
        """The id of a token of ours, when it has the form of one."""
        return _uuid(self.claims.get("jti"))

    @property
    def kid(self) -> str | None:
        """The name of a key of ours, when it has the form of one."""
        found = _uuid(self.envelope.key_id)
        return None if found is None else str(found)


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def decode_unverified(unverified_token: str) -> UnverifiedToken:
    """Decode a JWT (RFC 7519 §7.2) without verifying it. Raises ``InvalidSubjectToken``."""
    try:
        envelope = take_apart(unverified_token)
        return UnverifiedToken(unverified_token, envelope, parse_object(envelope.unverified_payload))
    except VerificationError as error:
        raise InvalidSubjectToken(f"the token is malformed: {error.detail}", reason=f"token_{error.rule}") from None
    except StrictJsonError as error:
        raise InvalidSubjectToken(f"the token is malformed: {error}", reason="token_claims") from None


def verify_upstream(
    token: UnverifiedToken, token_type: str, connection: Connection, keys: KeySet, *, acting: Acting, now: datetime
) -> Upstream:
    """Verify a token of a trusted issuer for one of the accepted audiences; return the claims that ours keep of it.

    Raises ``InvalidSubjectToken`` with the first rule that failed: of its header and signature (RFC 8725), or of its
    claims (``identity.model.upstream_token``).
    """
    fault = _fault_of_envelope(token.envelope, token_type, keys) or fault_of(
        token.envelope.header, token.claims, token_type, connection, acting, now
    )
    if fault is not None:
        raise InvalidSubjectToken(f"the subject token fails the rule: {fault}", reason=f"subject_token_{fault}")
    return upstream_of(token.claims, connection, acting, now)


def _fault_of_envelope(envelope: Envelope, token_type: str, keys: KeySet) -> str | None:
    key = keys.find(envelope.key_id)
    rules = (
        (may_be_of_type(envelope.header, token_type), "type"),
        ("crit" not in envelope.header, "critical"),
        (key is not None, "key"),
        (key is not None and envelope.header.get("alg") == key.algorithm, "algorithm"),
        (key is not None and key.has_signed(envelope.signing_input, envelope.signature), "signature"),
    )
    return next((rule for is_kept, rule in rules if not is_kept), None)
