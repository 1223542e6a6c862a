"""Clients prove who they are: by a signed assertion (RFC 7523, RFC 10070) or by a secret (RFC 6749 §2.3.1)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from identity_verifier import KeySet

from identity.actions.client_keys import ClientKeys
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, take_token_apart
from identity.model.access import Caller, CallerKind
from identity.model.client import AuthMethod, Client
from identity.model.credential import same_secret
from identity.model.errors import NotAuthenticated
from identity.model.ids import TenantId
from identity.store import Tx
from identity.store.facts import ClientQuestion, CommonFacts, assertion_spend

__all__ = [
    "AssertionCredential",
    "CommonFacts",
    "Credential",
    "InvalidClient",
    "SecretCredential",
    "authenticate_client",
    "caller_of",
    "parse_assertion",
    "parse_secret",
    "spend_assertion",
]

ASSERTION_LIFETIME_MAX_S = 300
LEEWAY_S = 30
JTI_LENGTH_MAX = 256
CLIENT_ID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)  # RFC 6749 appendix A.1
ASSERTION_TYPES = frozenset({"client-authentication+jwt", "jwt", ""})
"""``typ`` of a client assertion (RFC 10070); access tokens and proofs of other kinds are not among them."""


class InvalidClient(NotAuthenticated):
    """Client authentication failed; which part of it is for the audit trail only (RFC 6749 §5.2)."""

    code = "invalid_client"

    def __init__(self, reason: str) -> None:
        super().__init__("client authentication failed", reason=reason)


@dataclass(frozen=True, slots=True)
class SecretCredential:
    """HTTP Basic (RFC 6749 §2.3.1)."""

    client_id: str
    secret: str

    @property
    def question(self) -> ClientQuestion:
        """What to look up."""
        return ClientQuestion(self.client_id)


@dataclass(frozen=True, slots=True)
class AssertionCredential:
    """A client assertion (RFC 7521 §4.2), not yet believed."""

    client_id: str
    token: UnverifiedToken

    @property
    def question(self) -> ClientQuestion:
        """What to look up, and what to spend: an assertion that proves nothing is rolled back unspent.

        So nobody can use up a client's assertion by guessing its ``jti``.
        """
        expires_at = datetime.fromtimestamp(self.token.claims["exp"], UTC) + timedelta(seconds=LEEWAY_S)
        spent = hashlib.sha256(str(self.token.claims["jti"]).encode()).digest()
        return ClientQuestion(self.client_id, spent, expires_at)


Credential = SecretCredential | AssertionCredential


def parse_secret(client_id: str, secret: str) -> SecretCredential:
    """Return a client's id and secret. Raises ``InvalidClient`` for an id that no client can have."""
    if not CLIENT_ID.fullmatch(client_id):
        raise InvalidClient("client_unknown")
    return SecretCredential(client_id, secret)


def parse_assertion(assertion: str, now: datetime) -> AssertionCredential:
    """Take a client assertion apart and check what needs no key. Raises ``InvalidClient``."""
    try:
        token = take_token_apart(assertion)
    except InvalidSubjectToken as error:
        raise InvalidClient(f"assertion_{error.reason}") from None
    claims = token.claims
    client_id, jti, exp = claims.get("sub"), claims.get("jti"), claims.get("exp")
    if not isinstance(client_id, str) or not CLIENT_ID.fullmatch(client_id):
        raise InvalidClient("assertion_subject")
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_LENGTH_MAX:
        raise InvalidClient("assertion_jti")
    earliest, latest = now.timestamp() - LEEWAY_S, now.timestamp() + ASSERTION_LIFETIME_MAX_S + LEEWAY_S
    if not isinstance(exp, int) or isinstance(exp, bool) or not earliest < exp <= latest:
        raise InvalidClient("assertion_expiry")
    return AssertionCredential(client_id, token)


def authenticate_client(
    common: CommonFacts,
    credential: Credential,
    *,
    issuer: str,
    keys: ClientKeys,
    tenant_id: TenantId,
    now: datetime,
) -> Client:
    """Return the client that ``credential`` proves. Raises ``InvalidClient``.

    Only the method that was registered for the client counts.
    """
    client = common.client
    stored = client.secret_hash if client else None
    if isinstance(credential, SecretCredential):
        proved, method = same_secret(credential.secret, stored), AuthMethod.CLIENT_SECRET_BASIC
        reason = "secret"
    else:
        key_set = keys.of(tenant_id, client) if client else KeySet({})
        reason = assertion_fault(credential, key_set, is_fresh=common.is_fresh, issuer=issuer, now=now) or ""
        proved, method = not reason, AuthMethod.PRIVATE_KEY_JWT
    if client is None or client.revoked_at is not None or common.tenant_state != "active":
        raise InvalidClient("client_unknown" if client is None else "client_revoked")
    if client.auth_method != method:
        raise InvalidClient("client_auth_method")
    if not proved:
        raise InvalidClient(f"client_{reason}")
    return client


def assertion_fault(
    credential: AssertionCredential, keys: KeySet, *, is_fresh: bool, issuer: str, now: datetime
) -> str | None:
    """Return the first rule that an assertion breaks, or None.

    The issuer identifier as the sole string is the only audience (RFC 10070 §3): a token endpoint's URL, or a list
    that also names us, could have been meant for somebody else.
    """
    envelope, claims = credential.token.envelope, credential.token.claims
    header, second = envelope.header, now.timestamp()
    candidates = [keys.find(envelope.key_id)] if "kid" in header else list(keys.by_id.values())
    rules = (
        (str(header.get("typ", "")).lower() in ASSERTION_TYPES, "assertion_type"),
        ("crit" not in header, "assertion_critical"),
        (claims.get("iss") == credential.client_id, "assertion_issuer"),
        (claims.get("aud") == issuer, "assertion_audience"),
        (_is_whole(claims.get("iat", 0)) and claims.get("iat", 0) <= second + LEEWAY_S, "assertion_iat"),
        (_is_whole(claims.get("nbf", 0)) and claims.get("nbf", 0) <= second + LEEWAY_S, "assertion_nbf"),
        (
            any(
                key is not None
                and key.algorithm == header.get("alg")
                and key.has_signed(envelope.signing_input, envelope.signature)
                for key in candidates
            ),
            "assertion_signature",
        ),
        (is_fresh, "assertion_replayed"),
    )
    return next((rule for holds, rule in rules if not holds), None)


def spend_assertion(tx: Tx, credential: Credential, *, now: datetime) -> None:
    """Spend an assertion that proved its client, though what the client asked for was refused."""
    if isinstance(credential, AssertionCredential):
        assertion_spend(tx, credential.question, now=now)


def caller_of(client_id: str, request_id: str) -> Caller:
    """Return the caller that an authenticated client is."""
    return Caller(CallerKind.CLIENT, client_id, request_id)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
