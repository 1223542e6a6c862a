"""Client authentication: by a signed assertion (RFC 7523, RFC 10070) or by a secret (RFC 6749 §2.3.1)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from identity_verifier import KeySet

from identity.actions.client_keys import ClientKeys
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, decode_unverified
from identity.model.access import Caller, CallerKind
from identity.model.client import AuthMethod, Client
from identity.model.credential import same_secret
from identity.model.errors import NotAuthenticated, Unavailable
from identity.model.ids import TenantId
from identity.store.facts import ClientLookup, CommonFacts

__all__ = [
    "AssertionCredential",
    "ClientLookup",
    "CommonFacts",
    "Credential",
    "InvalidClient",
    "SecretCredential",
    "authenticate_client",
    "caller_of",
    "parse_assertion",
    "parse_secret",
]

ASSERTION_LIFETIME_MAX_S = 300
LEEWAY_S = 30
JTI_LENGTH_MAX = 256
CLAIMED_CHARACTERS_MAX = 256
CLIENT_ID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)  # RFC 6749 appendix A.1
NOT_AN_ID = re.compile(r"idf_|eyJ")
ASSERTION_TYPES = frozenset({"client-authentication+jwt", "jwt", ""})
"""``typ`` of a client assertion (RFC 10070); access tokens and proofs of other kinds are not among them."""

OFF_BY_MAX_S = 10**10
"""The most that an event says: a claim may have any number of digits."""

FAULTS_OF_REQUESTS = {
    "assertion_audience": "aud of an assertion is the issuer identifier of this server alone, as a string",
    "assertion_times": "exp, iat and nbf of an assertion are whole seconds, and exp is there",
    "assertion_not_yet_valid": "iat and nbf of an assertion are not in the future, by the clock of this server",
    "assertion_expired": "exp of an assertion is in the future, by the clock of this server",
    "assertion_lifetime": f"exp of an assertion is at most {ASSERTION_LIFETIME_MAX_S} s from now",
    "assertion_issuer": "iss and sub of an assertion are both the client id",
    "assertion_subject": "sub of an assertion is the client id",
    "assertion_jti": f"jti of an assertion is a string of 1 to {JTI_LENGTH_MAX} characters",
    "assertion_type": "typ of an assertion is client-authentication+jwt or JWT, and nothing is critical in it",
    "assertion_malformed": "an assertion is a signed JWT in compact form",
    "client_id_differs": "client_id is not that of the credential",
    "client_id_missing": "client_secret comes with client_id",
    "credential_missing": "a client authenticates by an assertion, by HTTP Basic, or by client_secret in the body",
}
"""Faults of a request alone, found before a look at the database. The answer names them: they disclose no client."""


class InvalidClient(NotAuthenticated):
    """Client authentication failed (RFC 6749 §5.2).

    The answer names ``FAULTS_OF_REQUESTS``. For a fault that depends on the client, its key, its secret or its state
    there is one constant answer, and the reason is in the event alone. ``claimed`` is the client id that the request
    names.
    """

    code = "invalid_client"

    def __init__(self, reason: str, *, claimed: object = None) -> None:
        rule = FAULTS_OF_REQUESTS.get(reason)
        detail = "client authentication failed"
        super().__init__(detail if rule is None else f"{detail}: {rule} ({reason})", reason=reason)
        self.claims(claimed)

    def claims(self, client_id: object) -> None:
        """Keep the client id that the request claims for the event, unless one is kept already.

        A value in the form of a secret or a token is one in the wrong place, and is not kept.
        """
        if isinstance(client_id, str) and client_id and not self.claimed and not NOT_AN_ID.match(client_id):
            shown = "".join(each if " " <= each <= "~" else "?" for each in client_id[:CLAIMED_CHARACTERS_MAX])
            self.claimed = {"claimed_client_id": shown}


@dataclass(frozen=True, slots=True)
class SecretCredential:
    """A client's secret (RFC 6749 §2.3.1), and how it was sent: by HTTP Basic or in the body."""

    client_id: str
    secret: str
    method: AuthMethod

    @property
    def claimed(self) -> str | None:
        """The client id for the event; None where it equals the secret."""
        return None if self.client_id == self.secret else self.client_id

    @property
    def lookup(self) -> ClientLookup:
        """The client to look up."""
        return ClientLookup(self.client_id)


@dataclass(frozen=True, slots=True)
class AssertionCredential:
    """A client assertion (RFC 7521 §4.2) that is not verified yet."""

    client_id: str
    token: UnverifiedToken

    @property
    def method(self) -> AuthMethod:
        """How the client authenticates."""
        return AuthMethod.PRIVATE_KEY_JWT

    @property
    def claimed(self) -> str | None:
        """The client id for the event."""
        return self.client_id

    @property
    def lookup(self) -> ClientLookup:
        """The client to look up, and the assertion to spend. One that proves nothing is rolled back unspent.

        So a guess at the ``jti`` of a client's assertion does not use it up.
        """
        expires_at = datetime.fromtimestamp(self.token.claims["exp"], UTC) + timedelta(seconds=LEEWAY_S)
        spent = hashlib.sha256(str(self.token.claims["jti"]).encode()).digest()
        return ClientLookup(self.client_id, spent, expires_at)


Credential = SecretCredential | AssertionCredential


def parse_secret(client_id: str, secret: str, method: AuthMethod) -> SecretCredential:
    """Return a client's id and secret. Raises ``InvalidClient`` for an id that no client can have."""
    credential = SecretCredential(client_id, secret, method)
    if not CLIENT_ID.fullmatch(client_id):
        raise InvalidClient("client_unknown", claimed=credential.claimed)
    return credential


def parse_assertion(assertion: str, issuer: str, now: datetime) -> AssertionCredential:
    """Decode a client assertion and check the rules that need neither the client nor its key.

    Raises ``InvalidClient``.
    """
    try:
        token = decode_unverified(assertion)
    except InvalidSubjectToken:
        raise InvalidClient("assertion_malformed") from None
    client_id = token.claims.get("sub")
    fault = request_fault(token, issuer=issuer, now=now)
    if fault is not None:
        refusal = InvalidClient(fault, claimed=client_id)
        refusal.claimed |= _by_how_much(fault, token.claims, now)
        raise refusal
    return AssertionCredential(str(client_id), token)


def request_fault(token: UnverifiedToken, *, issuer: str, now: datetime) -> str | None:
    """Return the first rule that the claims of an assertion break, or None.

    Its ``aud`` is the issuer identifier alone, as a string (RFC 10070 §3). The URL of a token endpoint, or a list of
    audiences, could be for another server.
    """
    header, claims, second = token.envelope.header, token.claims, now.timestamp()
    client_id, jti = claims.get("sub"), claims.get("jti")
    times = {name: claims.get(name, 0) for name in ("exp", "iat", "nbf")}
    rules = (
        (isinstance(client_id, str) and CLIENT_ID.fullmatch(client_id), "assertion_subject"),
        (str(header.get("typ", "")).lower() in ASSERTION_TYPES and "crit" not in header, "assertion_type"),
        (claims.get("iss") == client_id, "assertion_issuer"),
        (claims.get("aud") == issuer, "assertion_audience"),
        (isinstance(jti, str) and 0 < len(jti) <= JTI_LENGTH_MAX, "assertion_jti"),
        ("exp" in claims and all(map(_is_whole, times.values())), "assertion_times"),
    )
    return next((rule for is_kept, rule in rules if not is_kept), None) or _time_fault(times, second)


def _time_fault(times: Mapping[str, int], second: float) -> str | None:
    if max(times["iat"], times["nbf"]) > second + LEEWAY_S:
        return "assertion_not_yet_valid"
    if times["exp"] <= second - LEEWAY_S:
        return "assertion_expired"
    return "assertion_lifetime" if times["exp"] > second + ASSERTION_LIFETIME_MAX_S + LEEWAY_S else None


def _by_how_much(fault: str, claims: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """Return, for the event of a fault of time, the seconds between the assertion and the clock of this server."""
    names = {"assertion_not_yet_valid": ("iat", "nbf"), "assertion_expired": ("exp",)}.get(fault)
    if names is None:
        return {}
    seconds = max(claims.get(name, 0) for name in names) - int(now.timestamp())
    return {"off_by_s": str(max(-OFF_BY_MAX_S, min(seconds, OFF_BY_MAX_S)))}


def authenticate_client(
    common: CommonFacts,
    credential: Credential,
    keys: ClientKeys,
    tenant_id: TenantId,
    now: datetime,
    *,
    is_spent_here: bool = False,
) -> Client:
    """Return the client that ``credential`` proves, by the method that is registered for it.

    ``is_spent_here``: this request spent the assertion, before it fetched the keys of an upstream issuer. Raises
    ``InvalidClient``, and ``Unavailable`` up to the cut-off of a restored tenant: a token of now would be inactive.
    """
    if common.cut_off is not None and now <= common.cut_off:
        raise Unavailable("this tenant was restored a moment ago; try again in half a minute", reason="restored")
    client = common.client
    stored = client.secret_hash if client else None
    if isinstance(credential, SecretCredential):
        proved, reason = same_secret(credential.secret, stored), "secret"
    else:
        key_set = keys.of(tenant_id, client) if client else KeySet({})
        is_fresh = (common.is_fresh or is_spent_here) and not may_be_spent(credential.token.claims, common.cut_off)
        reason = assertion_fault(credential, key_set, is_fresh=is_fresh) or ""
        proved = not reason
    if client is None or not common.client_is_active or common.tenant_state != "active":
        raise InvalidClient("client_unknown" if client is None else "client_revoked", claimed=credential.claimed)
    if client.auth_method is not credential.method:
        raise InvalidClient("client_auth_method", claimed=credential.claimed)
    if not proved:
        raise InvalidClient(f"client_{reason}", claimed=credential.claimed)
    return client


def assertion_fault(credential: AssertionCredential, keys: KeySet, *, is_fresh: bool) -> str | None:
    """Return the first rule that an assertion breaks given the keys of its client, or None."""
    envelope = credential.token.envelope
    candidates = [keys.find(envelope.key_id)] if "kid" in envelope.header else list(keys.by_id.values())
    is_signed = any(
        key is not None
        and key.algorithm == envelope.header.get("alg")
        and key.has_signed(envelope.signing_input, envelope.signature)
        for key in candidates
    )
    if not is_signed:
        return "assertion_signature"
    return None if is_fresh else "assertion_replayed"


def may_be_spent(claims: Mapping[str, Any], cut_off: datetime | None) -> bool:
    """True for an assertion that may have been used before the tenant's cut-off: no record of its use is left.

    One without ``iat`` was made at most ``ASSERTION_LIFETIME_MAX_S`` before it expires.
    """
    if cut_off is None:
        return False
    made = claims["iat"] if "iat" in claims else claims["exp"] - ASSERTION_LIFETIME_MAX_S
    return bool(made <= cut_off.timestamp())


def caller_of(client_id: str, request_id: str) -> Caller:
    """Return the caller that events name for an authenticated client."""
    return Caller(CallerKind.CLIENT, client_id, request_id)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
