"""The decision: rules in the order they are applied. The three tuples are the specification; between the first and the
second, the token must say that it is of the expected issuer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from identity_verifier.claims import VerifiedClaims, read_claims, unfold_actors
from identity_verifier.configuration import check_audience, check_issuer, check_numbers, check_token
from identity_verifier.envelope import Envelope, take_apart
from identity_verifier.errors import ConfigurationError, Misconfiguration, Rule, VerificationError
from identity_verifier.keys import ALGORITHMS, KeySet, VerificationKey
from identity_verifier.strict_json import StrictJsonError, parse_object

ACCESS_TOKEN_TYPES = ("at+jwt", "application/at+jwt")
SCOPE_GRAMMAR = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
MAX_SECOND = 253_402_300_799
"""The last one of the year 9999, after which there is no instant."""

TENANT_ISSUER = re.compile(r".*/t/([^/?#]+)")

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """What this resource server accepts. Never take any of it from the token.

    ``tenant`` None means: the one that the issuer's path ``/t/{tenant}`` names, or any when it names none.
    Raises ``ConfigurationError``.
    """

    issuer: str
    audience: str
    tenant: str | None = None
    max_depth: int = 4
    max_lifetime_s: int = 300
    leeway_s: int = 30
    algorithms: tuple[str, ...] = ("ES256", "RS256", "EdDSA")

    def __post_init__(self) -> None:
        check_issuer(self.issuer, self.tenant)
        check_audience(self.audience)
        check_numbers(0, max_depth=self.max_depth, leeway_s=self.leeway_s)
        check_numbers(1, max_lifetime_s=self.max_lifetime_s)
        named = tenant_of(self.issuer)
        if self.tenant and named and self.tenant != named:
            detail = f"tenant is {self.tenant!r} and the issuer is that of {named!r}: leave tenant out"
            raise ConfigurationError(Misconfiguration.TENANT, detail)
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS.values()):
            detail = f"algorithms must be some of {sorted(ALGORITHMS.values())}"
            raise ConfigurationError(Misconfiguration.OPTION, detail)


@dataclass(frozen=True, slots=True)
class OpenedToken:
    """A token of which nothing is proved yet, and which says that it is of the expected issuer."""

    envelope: Envelope
    unverified_claims: dict[str, Any] = field(repr=False)


def verify_token(unverified_token: str | None, keys: KeySet, expected: Expected, now: datetime) -> VerifiedClaims:
    """Accept a token whole, or raise ``VerificationError`` naming the first rule that failed (RFC 9068 §4).

    ``now`` is aware. No clock, no network, no state: the same arguments always give the same answer.
    """
    return verify_opened(open_token(unverified_token, expected), keys, expected, now)


def open_token(unverified_token: str | None, expected: Expected) -> OpenedToken:
    """Apply what needs no key, so that neither rubbish nor another issuer's token costs a look at the issuer.

    The issuer is compared before the signature is: keys of another issuer are not ours to find, and "no such key"
    would be the wrong reason. A token that lies about its issuer fails at the signature.
    """
    envelope = take_apart(check_token(unverified_token))
    for rule in HEADER_RULES:
        rule(envelope.header, expected)
    claims = parse_claims(envelope.unverified_payload)
    issuer_is_ours(claims, expected)
    return OpenedToken(envelope, claims)


def verify_opened(opened: OpenedToken, keys: KeySet, expected: Expected, now: datetime) -> VerifiedClaims:
    """Apply the rest. Raises ``ValueError`` when ``now`` is naive: it would silently mean local time."""
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    key = keys.find(opened.envelope.key_id)
    if key is None:
        raise VerificationError(Rule.KEY, "no key of the issuer has this kid")
    for key_rule in KEY_RULES:
        key_rule(opened.envelope, key)
    claims = opened.unverified_claims
    for rule in CLAIM_RULES:
        rule(claims, expected, now)
    return read_claims(claims)


def parse_claims(payload: bytes) -> dict[str, Any]:
    try:
        return parse_object(payload)
    except StrictJsonError as error:
        raise VerificationError(Rule.CLAIMS, f"the claims are refused: {error}") from error


def type_is_access_token(header: Claims, _: Expected) -> None:
    """No other kind of token of the same issuer passes for an access token (RFC 9068 §4, RFC 8725 §3.11)."""
    if header.get("typ") not in ACCESS_TOKEN_TYPES:
        raise VerificationError(Rule.TYPE, "typ is not at+jwt")


def algorithm_is_allowed(header: Claims, expected: Expected) -> None:
    if header.get("alg") not in expected.algorithms:
        raise VerificationError(Rule.ALGORITHM, "alg is not allowed here")


def demands_no_extension(header: Claims, _: Expected) -> None:
    """We implement no extension, so every ``crit`` names one that we do not understand (RFC 7515 §4.1.11)."""
    if "crit" in header:
        raise VerificationError(Rule.CRITICAL, "crit is not understood")


# jwk, jku, x5u and x5c are not looked at: a key that travels with the token proves nothing.
HEADER_RULES: tuple[Callable[[Claims, Expected], None], ...] = (
    type_is_access_token,
    algorithm_is_allowed,
    demands_no_extension,
)


def algorithm_is_the_keys_own(envelope: Envelope, key: VerificationKey) -> None:
    if envelope.header["alg"] != key.algorithm:
        raise VerificationError(Rule.ALGORITHM, "alg is not the algorithm of this key")


def signature_is_good(envelope: Envelope, key: VerificationKey) -> None:
    if not key.has_signed(envelope.signing_input, envelope.signature):
        raise VerificationError(Rule.SIGNATURE, "the signature is not the issuer's")


KEY_RULES: tuple[Callable[[Envelope, VerificationKey], None], ...] = (
    algorithm_is_the_keys_own,
    signature_is_good,
)


def issuer_is_ours(claims: Claims, expected: Expected) -> None:
    """Compared as an exact string: no case folding, no trailing slash (RFC 9207 §2.4)."""
    if claims.get("iss") != expected.issuer:
        raise VerificationError(Rule.ISSUER, "iss is not the expected issuer")


def tenant_is_the_issuers(claims: Claims, expected: Expected, _: datetime) -> None:
    """The second lock on the wall; the first is that every tenant has an issuer and keys of its own."""
    tenant = claims.get("tenant")
    if not is_name(tenant) or tenant != (expected.tenant or tenant_of(expected.issuer) or tenant):
        raise VerificationError(Rule.TENANT, "tenant is not the expected tenant")


def tenant_of(issuer: str) -> str | None:
    match = TENANT_ISSUER.fullmatch(issuer)
    return match[1] if match else None


def audience_is_us(claims: Claims, expected: Expected, _: datetime) -> None:
    """One string. A list of one is refused too, or a second entry would one day go unnoticed."""
    if claims.get("aud") != expected.audience:
        raise VerificationError(Rule.AUDIENCE, "aud is not exactly this audience")


def times_are_whole_seconds(claims: Claims, _: Expected, __: datetime) -> None:
    times = (claims.get("iat"), claims.get("exp"), claims.get("nbf", 0))
    if not all(map(is_whole, times)):
        raise VerificationError(Rule.TIMES, "iat and exp must be whole seconds, and nbf when present")


def not_expired(claims: Claims, expected: Expected, now: datetime) -> None:
    if claims["exp"] <= now.timestamp() - expected.leeway_s:
        raise VerificationError(Rule.EXPIRED, f"exp was {seconds_between(claims['exp'], now)} s ago")


def issued_by_now(claims: Claims, expected: Expected, now: datetime) -> None:
    if claims["iat"] > now.timestamp() + expected.leeway_s:
        apart = seconds_between(claims["iat"], now)
        raise VerificationError(Rule.ISSUED_IN_FUTURE, f"iat is in {apart} s: the issuer's clock and this one disagree")


def valid_by_now(claims: Claims, expected: Expected, now: datetime) -> None:
    if claims.get("nbf", 0) > now.timestamp() + expected.leeway_s:
        raise VerificationError(Rule.NOT_YET_VALID, f"nbf is in {seconds_between(claims['nbf'], now)} s")


def seconds_between(instant: int, now: datetime) -> int:
    """Whole seconds, at most a year: what a token says is as large as it likes."""
    return min(abs(instant - int(now.timestamp())), 31_536_000)


def lives_no_longer_than_allowed(claims: Claims, expected: Expected, _: datetime) -> None:
    """The lifetime bounds how long a dead token can go unnoticed, so it is ours to limit, not the token's."""
    if not 0 < claims["exp"] - claims["iat"] <= expected.max_lifetime_s:
        raise VerificationError(Rule.LIFETIME, f"exp is not within {expected.max_lifetime_s} s after iat")


def names_its_subject(claims: Claims, _: Expected, __: datetime) -> None:
    if not is_name(claims.get("sub")) or not is_name_or_absent(claims, "sub_profile"):
        raise VerificationError(Rule.SUBJECT, "sub must be a name, and sub_profile when present")


def names_its_client(claims: Claims, _: Expected, __: datetime) -> None:
    if not is_name(claims.get("client_id")) or not is_name_or_absent(claims, "client_profile"):
        raise VerificationError(Rule.CLIENT, "client_id must be a name, and client_profile when present")


def names_itself(claims: Claims, _: Expected, __: datetime) -> None:
    if not is_name(claims.get("jti")):
        raise VerificationError(Rule.TOKEN_ID, "jti must be a name")


def names_its_task(claims: Claims, _: Expected, __: datetime) -> None:
    if not is_name_or_absent(claims, "txn"):
        raise VerificationError(Rule.TASK, "txn must be a name when present")


def every_actor_is_named(claims: Claims, _: Expected, __: datetime) -> None:
    """A chain with one unreadable link says nothing about who acts (RFC 8693 §4.1, Actor Profile)."""
    if not all(is_actor(act) for act in unfold_actors(claims)):
        raise VerificationError(Rule.ACTORS, "every act must be an object with sub and iss")


def is_actor(act: Any) -> bool:
    if not isinstance(act, Mapping):
        return False
    return is_name(act.get("sub")) and is_name(act.get("iss")) and is_name_or_absent(act, "sub_profile")


def chain_is_short_enough(claims: Claims, expected: Expected, _: datetime) -> None:
    if len(unfold_actors(claims)) > expected.max_depth:
        raise VerificationError(Rule.DEPTH, f"more than {expected.max_depth} actors")


def scope_is_a_list_of_words(claims: Claims, _: Expected, __: datetime) -> None:
    scope = claims.get("scope", "")
    if not isinstance(scope, str) or (scope and SCOPE_GRAMMAR.fullmatch(scope) is None):
        raise VerificationError(Rule.SCOPE, "scope must be words with one space between (RFC 6749 §3.3)")


def details_are_typed_objects(claims: Claims, _: Expected, __: datetime) -> None:
    """An empty list is refused: one reader would take it for no authority, another for no restriction."""
    if "authorization_details" not in claims:
        return
    details = claims["authorization_details"]
    if not isinstance(details, list) or not details or not all(is_typed_object(entry) for entry in details):
        detail = "authorization_details must be objects with a type, at least one (RFC 9396 §2)"
        raise VerificationError(Rule.AUTHORIZATION_DETAILS, detail)


def is_typed_object(entry: Any) -> bool:
    return isinstance(entry, Mapping) and is_name(entry.get("type"))


def is_bound_to_no_key(claims: Claims, _: Expected, __: datetime) -> None:
    """A token bound to a key (RFC 7800) is not a bearer token; without the proof in hand it is refused."""
    if "cnf" in claims:
        raise VerificationError(Rule.CONFIRMATION, "a token bound to a key needs a proof")


def sign_in_claims_have_their_types(claims: Claims, _: Expected, __: datetime) -> None:
    """What a policy compares is of the type that it expects, or not there (OpenID Connect Core §2)."""
    methods, at = claims.get("amr", []), claims.get("auth_time", 0)
    are_typed = isinstance(methods, list) and all(map(is_name, methods)) and is_whole(at) and 0 <= at <= MAX_SECOND
    if not is_name_or_absent(claims, "acr") or not are_typed:
        raise VerificationError(Rule.AUTHENTICATION, "acr, amr and auth_time must be of their types when present")


CLAIM_RULES: tuple[Callable[[Claims, Expected, datetime], None], ...] = (
    tenant_is_the_issuers,
    audience_is_us,
    times_are_whole_seconds,
    not_expired,
    issued_by_now,
    valid_by_now,
    lives_no_longer_than_allowed,
    names_its_subject,
    names_its_client,
    names_itself,
    names_its_task,
    every_actor_is_named,
    chain_is_short_enough,
    scope_is_a_list_of_words,
    details_are_typed_objects,
    is_bound_to_no_key,
    sign_in_claims_have_their_types,
)


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_name_or_absent(members: Claims, member: str) -> bool:
    return member not in members or is_name(members[member])


def is_whole(value: Any) -> bool:
    """An int and no bool, which Python counts among the ints."""
    return isinstance(value, int) and not isinstance(value, bool)
