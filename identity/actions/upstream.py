"""Tokens of trusted upstream issuers: their keys, and the rules under which a person's token is believed."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from identity_verifier import FetchError, KeySet, VerificationError, parse_key_set
from identity_verifier.envelope import Envelope, take_apart
from identity_verifier.strict_json import StrictJsonError, parse_object

from identity.model.connection import Connection
from identity.model.errors import Refusal, Unavailable
from identity.model.ids import TenantId

KEYS_LIFETIME = timedelta(minutes=5)
KEYS_STALE_LIFETIME = timedelta(hours=1)
REFETCH_INTERVAL = timedelta(seconds=10)
SETS_MAX = 10_000
LEEWAY_S = 30
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
JWT = "urn:ietf:params:oauth:token-type:jwt"
TYPES = {
    ID_TOKEN: frozenset({"", "jwt"}),
    ACCESS_TOKEN: frozenset({"", "jwt", "at+jwt", "application/at+jwt"}),
    JWT: frozenset({"", "jwt", "at+jwt", "application/at+jwt"}),
}
"""Which ``typ`` an upstream token of each kind may have: a logout token or a client assertion is never one."""


class InvalidSubjectToken(Refusal):
    """The subject token is not believed, or is not of a party that may be acted for (RFC 8693 §2.2.2)."""

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


Place = tuple[UUID, UUID, int]  # tenant, connection and its version


@dataclass(slots=True)
class UpstreamKeys:
    """Key sets of upstream issuers. ``fetch`` is the network: it returns the bytes at a URL or raises FetchError."""

    fetch: Callable[[str], bytes]
    _sets: dict[Place, Fetched] = field(default_factory=dict)
    _tried: dict[Place, datetime] = field(default_factory=dict)
    _turns: dict[Place, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, tenant_id: TenantId, connection: Connection, key_id: str, now: datetime) -> KeySet:
        """Return keys that are fresh enough, and none that are older than ``KEYS_STALE_LIFETIME``, whatever goes on.

        Raises ``UpstreamKeysNeeded``, at most once in ten seconds for a key id that the issuer does not publish,
        ``Unavailable``.
        """
        place = (tenant_id, connection.id, connection.version)
        if connection.jwks is not None:
            return self._inline(place, connection.jwks, now)
        kept = self._kept(place, now)
        if kept and key_id in kept.keys and (_within(KEYS_LIFETIME, kept.at, now) or self._is_being_fetched(place)):
            return kept.keys
        if not self._was_tried(place, now):
            raise UpstreamKeysNeeded(connection)
        if kept:
            return kept.keys
        raise Unavailable("the upstream issuer's keys cannot be had", reason="upstream_keys_unavailable")

    def refresh(self, tenant_id: TenantId, connection: Connection, now: datetime) -> None:
        """Fetch the keys; keep the old ones when that fails. Who comes while another fetches waits, and fetches not."""
        place = (tenant_id, connection.id, connection.version)
        with self._lock:
            self._make_room()
            turn = self._turns.setdefault(place, threading.Lock())
        with turn:
            if not self._was_tried(place, now):
                self._fetch(place, connection, now)

    def _kept(self, place: Place, now: datetime) -> Fetched | None:
        kept = self._sets.get(place)
        return kept if kept and _within(KEYS_STALE_LIFETIME, kept.at, now) else None

    def _fetch(self, place: Place, connection: Connection, now: datetime) -> None:
        try:
            self._sets[place] = Fetched(parse_key_set(self.fetch(str(connection.jwks_uri))), now)
        except (FetchError, VerificationError):
            return
        finally:
            self._tried[place] = now

    def _was_tried(self, place: Place, now: datetime) -> bool:
        tried = self._tried.get(place)
        return tried is not None and _within(REFETCH_INTERVAL, tried, now)

    def _is_being_fetched(self, place: Place) -> bool:
        turn = self._turns.get(place)
        return turn is not None and turn.locked()

    def _inline(self, place: Place, jwks: Mapping[str, Any], now: datetime) -> KeySet:
        kept = self._sets.get(place)
        if kept is None:
            try:
                kept = Fetched(parse_key_set(jwks), now)
            except VerificationError:
                raise InvalidSubjectToken("the connection has no usable key", reason="upstream_keys") from None
            with self._lock:
                self._make_room()
                self._sets[place] = kept
        return kept.keys

    def _make_room(self) -> None:
        if max(len(self._sets), len(self._tried), len(self._turns)) >= SETS_MAX:
            self._sets.clear()
            self._tried.clear()
            self._turns.clear()


def _within(lifetime: timedelta, since: datetime, now: datetime) -> bool:
    """Measure in either direction, so that a clock that is set back keeps nothing for longer."""
    return abs(now - since) < lifetime


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token taken apart. Nothing in it is believed: ``claims`` may only choose what to look up."""

    envelope: Envelope
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str | None:
        """The issuer that it claims."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else None


def take_token_apart(unverified_token: str) -> UnverifiedToken:
    """Split and decode a JWT without believing it. Raises ``InvalidSubjectToken``."""
    try:
        envelope = take_apart(unverified_token)
        return UnverifiedToken(envelope, parse_object(envelope.unverified_payload))
    except VerificationError as error:
        raise InvalidSubjectToken(f"the token is malformed: {error.detail}", reason=f"token_{error.rule}") from None
    except StrictJsonError as error:
        raise InvalidSubjectToken(f"the token is malformed: {error}", reason="token_claims") from None


def verify_upstream(
    token: UnverifiedToken, token_type: str, connection: Connection, keys: KeySet, *, now: datetime
) -> Mapping[str, Any]:
    """Return the claims of a token that a trusted issuer signed for one of the accepted audiences.

    Raises ``InvalidSubjectToken`` naming the first rule that failed (OpenID Connect Core §3.1.3.7, RFC 8725).
    """
    envelope, claims, second = token.envelope, token.claims, now.timestamp()
    key = keys.find(envelope.key_id)
    subject = claims.get(connection.subject_claim or "sub")
    audience = claims.get("aud")
    rules = (
        (str(envelope.header.get("typ", "")).lower() in TYPES[token_type], "type"),
        ("crit" not in envelope.header, "critical"),
        (key is not None, "key"),
        (key is not None and envelope.header.get("alg") == key.algorithm, "algorithm"),
        (key is not None and key.has_signed(envelope.signing_input, envelope.signature), "signature"),
        (claims.get("iss") == connection.issuer, "issuer"),
        (_names(audience) and not set(_names(audience)).isdisjoint(connection.audiences), "audience"),
        (_is_time(claims.get("exp")) and _is_time(claims.get("iat")), "times"),
        (_is_time(claims.get("exp")) and claims["exp"] > second, "expired"),
        (_is_time(claims.get("iat")) and claims["iat"] <= second + LEEWAY_S, "issued_in_future"),
        (_is_time(claims.get("nbf", 0)) and claims.get("nbf", 0) <= second + LEEWAY_S, "not_yet_valid"),
        (isinstance(subject, str) and subject != "", "subject"),
        (isinstance(claims.get("sub"), str), "subject"),
    )
    for holds, rule in rules:
        if not holds:
            raise InvalidSubjectToken(f"the subject token fails the rule: {rule}", reason=f"subject_token_{rule}")
    return claims


def _names(audience: object) -> list[str]:
    names = audience if isinstance(audience, list) else [audience]
    strings = [name for name in names if isinstance(name, str)]
    return strings if len(strings) == len(names) else []


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
