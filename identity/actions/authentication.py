"""Authentication by bearer token (RFC 6750): administrators, and connections and their clients.

Clients at the token service authenticate in ``client_authentication``.
"""

from datetime import datetime

from identity_verifier import KeySet, VerificationError, VerifiedClaims

from identity.actions.issuance import Issuer, fault_of_token, verify_own
from identity.actions.upstream import InvalidSubjectToken, decode_unverified
from identity.model.access import Caller, CallerKind
from identity.model.client import SCIM_SCOPE
from identity.model.credential import hash_secret, same_secret
from identity.model.errors import NotAllowed, NotAuthenticated
from identity.model.ids import TenantId
from identity.model.tenant import scim_url_of
from identity.model.token import TokenFacts
from identity.store import Tx
from identity.store.connections import connection_find_by_token
from identity.store.facts import access_facts_read

UNKNOWN = "the bearer token is unknown, expired, revoked, or of another tenant"


class InsufficientScope(NotAllowed):
    """The token is valid, and its scope is not sufficient (RFC 6750 §3.1)."""

    code = "insufficient_scope"


def authenticate_administrator(token: str, stored_hash: bytes | None, *, request_id: str) -> Caller:
    """Return the administrator whose token this is. Raises ``NotAuthenticated``."""
    if not same_secret(token, stored_hash):
        raise NotAuthenticated("the administrator's token is not valid")
    return Caller(CallerKind.ADMINISTRATOR, "administrator", request_id)


def authenticate_source(tx: Tx, token: str, *, issuer: Issuer, request_id: str, now: datetime) -> Caller:
    """Return the SCIM connection of a bearer token: the connection's own, or an access token of one of its clients.

    Either costs one statement. Raises ``NotAuthenticated``, ``InsufficientScope``.
    """
    if is_access_token(token):
        return authenticate_access_token(tx, token, issuer=issuer, request_id=request_id, now=now)
    return authenticate_connection(tx, token, request_id=request_id, now=now)


def is_access_token(token: str) -> bool:
    """True for the form of a JWT (RFC 7515 §7.1): the own token of a connection has no dot in it."""
    return "." in token


def authenticate_connection(tx: Tx, token: str, *, request_id: str, now: datetime) -> Caller:
    """Return the SCIM connection whose own bearer token this is. Raises ``NotAuthenticated``."""
    found = connection_find_by_token(tx, hash_secret(token), now=now)
    if found is None:
        raise NotAuthenticated(UNKNOWN)
    connection, catalogue_version = found
    return Caller(
        CallerKind.CONNECTION,
        str(connection.id),
        request_id,
        connection_id=connection.id,
        dialect=connection.dialect,
        catalogue_version=catalogue_version,
    )


def authenticate_access_token(
    tx: Tx, unverified_token: str, *, issuer: Issuer, request_id: str, now: datetime
) -> Caller:
    """Return the SCIM connection whose client obtained this token of ours.

    Its claims are verified as any resource server would; the database says whether it is active. Raises
    ``NotAuthenticated``, ``InsufficientScope``.
    """
    try:
        jti = decode_unverified(unverified_token).jti
    except InvalidSubjectToken as error:
        raise NotAuthenticated(UNKNOWN, reason=error.reason) from None
    facts = access_facts_read(tx, jti=jti, now=now)
    keys, audience = issuer.keys.public(tx.tenant_id, facts.keys), scim_url_of(issuer.identifier)
    token = require_valid(unverified_token, facts.token, keys, issuer, now, audience=audience, detail=UNKNOWN)
    if facts.source is None or token.subject_id is not None or token.actor_ids:
        raise NotAuthenticated(UNKNOWN, reason="token_not_of_a_connection")
    if SCIM_SCOPE not in token.scopes:
        raise InsufficientScope(f"the scope {SCIM_SCOPE} is required")
    connection_id = facts.source.connection_id
    return Caller(
        CallerKind.CONNECTION,
        str(connection_id),
        request_id,
        connection_id=connection_id,
        dialect=facts.source.dialect,
        catalogue_version=facts.source.catalogue_version,
        client_id=token.client_id,
    )


def client_of_signed_token(unverified_token: str, issuer: Issuer, tenant_id: TenantId, now: datetime) -> str | None:
    """Return the client of a token of ours for the SCIM endpoint, or None, without a look at the database.

    The keys that this process keeps verify it. It was issued, and may have ended since.
    """
    if not is_access_token(unverified_token):
        return None
    try:
        keys = issuer.keys.kept(tenant_id, decode_unverified(unverified_token).envelope.key_id)
        verified: VerifiedClaims = verify_own(unverified_token, keys, issuer, scim_url_of(issuer.identifier), now)
    except (InvalidSubjectToken, VerificationError):
        return None
    return verified.client_id


def require_valid(
    text: str, token: TokenFacts | None, keys: KeySet, issuer: Issuer, now: datetime, *, audience: str, detail: str
) -> TokenFacts:
    """Return the bearer token of ours, verified for ``audience`` and active. Raises ``NotAuthenticated``."""
    if token is None:
        raise NotAuthenticated(detail, reason="token_unknown")
    fault = fault_of_token(text, token, keys, issuer, now, audience=audience)
    if fault is not None:
        raise NotAuthenticated(detail, reason=f"token_{fault.reason}")
    return token
