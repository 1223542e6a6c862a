"""Who is asking: administrators and connections by bearer token. Clients: see ``client_authentication``."""

from datetime import datetime

from identity_verifier import VerificationError, VerifiedClaims

from identity.actions.issuance import Issuer, parse_jti, verify_own
from identity.actions.upstream import InvalidSubjectToken, decode_unverified
from identity.model.access import Caller, CallerKind
from identity.model.client import SCIM_SCOPE
from identity.model.credential import hash_secret, same_secret
from identity.model.errors import NotAllowed, NotAuthenticated
from identity.model.ids import TenantId
from identity.model.tenant import scim_url_of
from identity.model.token import TokenFacts, inactive_reason
from identity.store import Tx
from identity.store.connections import connection_find_by_token
from identity.store.facts import AccessFacts, access_facts_read

UNKNOWN = "the bearer token is unknown, expired, revoked, or of another tenant"


class InsufficientScope(NotAllowed):
    """The token is good, and its scope does not open this (RFC 6750 §3.1)."""

    code = "insufficient_scope"


def authenticate_administrator(token: str, stored_hash: bytes | None, *, request_id: str) -> Caller:
    """Return the administrator whose token this is. Raises ``NotAuthenticated``."""
    if not same_secret(token, stored_hash):
        raise NotAuthenticated("the administrator's token is not valid")
    return Caller(CallerKind.ADMINISTRATOR, "administrator", request_id)


def authenticate_source(tx: Tx, token: str, *, issuer: Issuer, request_id: str, now: datetime) -> Caller:
    """Return the SCIM connection that a bearer token speaks for (RFC 6750), which is one of two kinds: the
    connection's own, or an access token that a client of the connection obtained.

    Either costs one statement. Raises ``NotAuthenticated``, ``InsufficientScope``.
    """
    if is_access_token(token):
        return authenticate_access_token(tx, token, issuer=issuer, request_id=request_id, now=now)
    return authenticate_connection(tx, token, request_id=request_id, now=now)


def is_access_token(token: str) -> bool:
    """True for what has the form of a JWT (RFC 7515 §7.1); a connection's own token has no dot in it."""
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
    """Return the SCIM connection whose client obtained this token of ours, as long as all of it stands.

    What the token says is verified as any resource server would, and what has changed since is read from the
    database. Raises ``NotAuthenticated``, ``InsufficientScope``.
    """
    try:
        claims = decode_unverified(unverified_token).claims
    except InvalidSubjectToken as error:
        raise NotAuthenticated(UNKNOWN, reason=error.reason) from None
    facts = access_facts_read(tx, jti=parse_jti(claims), now=now)
    token = _believed(tx, unverified_token, facts, issuer, now)
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
    """Return the client that a token of ours for the SCIM endpoint names, or None; without asking the database.

    It is known by the keys that this process has kept. That it was issued says nothing about whether it is good now.
    """
    if not is_access_token(unverified_token):
        return None
    try:
        keys = issuer.keys.kept(tenant_id, decode_unverified(unverified_token).envelope.key_id)
        verified: VerifiedClaims = verify_own(unverified_token, keys, issuer, scim_url_of(issuer.identifier), now)
    except (InvalidSubjectToken, VerificationError):
        return None
    return verified.client_id


def _believed(tx: Tx, text: str, facts: AccessFacts, issuer: Issuer, now: datetime) -> TokenFacts:
    if facts.token is None:
        raise NotAuthenticated(UNKNOWN, reason="token_unknown")
    try:
        keys = issuer.keys.public(tx.tenant_id, facts.keys)
        verify_own(text, keys, issuer, scim_url_of(issuer.identifier), now)
    except VerificationError as failed:
        raise NotAuthenticated(UNKNOWN, reason=f"token_{failed.rule}") from None
    death = inactive_reason(facts.token, now)
    if death is not None:
        raise NotAuthenticated(UNKNOWN, reason=f"token_{death}")
    return facts.token
