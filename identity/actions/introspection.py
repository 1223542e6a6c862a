"""Introspection (RFC 7662) and revocation (RFC 7009) of the tokens of this issuer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from identity_verifier import VerificationError

from identity.actions.issuance import ClientCall, unretired, verify_own
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, decode_unverified
from identity.model.errors import NotAllowed
from identity.model.event import Event
from identity.model.token import TokenFacts, inactive_reason
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.facts import ClientLookup, TokenStatusFacts, token_status_facts_read
from identity.store.tokens import token_revoke

__all__ = ["TokenStatusFacts", "introspect", "parse_presented", "read_token_status_facts", "revoke_token"]

INACTIVE: Mapping[str, Any] = {"active": False}


def parse_presented(text: str) -> UnverifiedToken | None:
    """Return the decoded token; None for one that cannot be decoded, which is not active."""
    try:
        return decode_unverified(text)
    except InvalidSubjectToken:
        return None


def read_token_status_facts(
    tx: Tx,
    presented: UnverifiedToken | None,
    client: ClientLookup,
    *,
    issuer: str,
    may_have_expired: bool,
    now: datetime,
) -> TokenStatusFacts:
    """Read all that the status of a token rests on, in one statement; with ``may_have_expired`` a retired key, too.

    A token of another issuer is one that does not exist.
    """
    own = presented if presented is not None and presented.issuer == issuer else None
    retired_kid = own.kid if own is not None and may_have_expired else None
    return token_status_facts_read(tx, client, jti=own.jti if own else None, retired_kid=retired_kid, now=now)


def introspect(call: ClientCall, presented: UnverifiedToken | None, facts: TokenStatusFacts) -> Mapping[str, Any]:
    """Return the claims of an active token (RFC 7662 §2.2), or that it is not active.

    Only the resource server in its audience and the client that it was issued to learn more than that.
    """
    token, client = facts.token, call.client
    if token is None or not (client.audience == token.audience or client.client_id == token.client_id):
        return INACTIVE
    claims = _verified_claims(call, presented, facts, token, call.now)
    if claims is None or inactive_reason(token, call.now) is not None:
        return INACTIVE
    return {"active": True, "token_type": "Bearer", **claims}


def revoke_token(call: ClientCall, presented: UnverifiedToken | None, facts: TokenStatusFacts) -> None:
    """Revoke a token in all its editions, and every token derived from it (RFC 7009 §2.1).

    An expired token is revoked, too: a later edition of it may be active. An unknown or inactive token is no error
    (§2.2). Raises ``NotAllowed`` for a token that was issued to another client.
    """
    token = facts.token
    if token is None or _verified_claims(call, presented, facts, token, token.issued_at) is None:
        return
    if token.client_id != call.client.client_id:
        refusal = NotAllowed("the token was not issued to this client", reason="token_of_another_client")
        refusal.concerns(subject_id=token.subject_id, actor_ids=token.actor_ids, txn=token.txn)
        raise refusal
    if token_revoke(call.tx, {token.jti, token.first_jti or token.jti}, now=call.now):
        event_insert(call.tx, _revoked(token), caller=call.caller, now=call.now)


def _revoked(token: TokenFacts) -> Event:
    return Event(
        type="token.revoked",
        subject_id=token.subject_id,
        actor_ids=token.actor_ids,
        txn=token.txn,
        detail={"jti": str(token.jti)},
    )


def _verified_claims(
    call: ClientCall, presented: UnverifiedToken | None, facts: TokenStatusFacts, token: TokenFacts, now: datetime
) -> Mapping[str, Any] | None:
    """Return the claims of the token as presented, verified as of ``now``; None where a rule fails."""
    if presented is None:
        return None
    keys = call.issuer.keys.public(call.tx.tenant_id, unretired(facts.common.keys, facts.retired_key, token))
    try:
        claims: Mapping[str, Any] = verify_own(presented.text, keys, call.issuer, token.audience, now).claims
    except VerificationError:
        return None
    return claims
