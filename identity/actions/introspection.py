"""Is it still true now? The life of a token, from the authority itself (RFC 7662), and its end (RFC 7009)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity_verifier import VerificationError

from identity.actions.issuance import Issuer, parse_jti, parse_kid, verify_own
from identity.actions.presented_tokens import retired
from identity.actions.upstream import InvalidSubjectToken, decode_unverified
from identity.model.access import Caller
from identity.model.client import Client
from identity.model.errors import NotAllowed
from identity.model.event import Event
from identity.model.token import TokenFacts, inactive_reason
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.facts import ClientLookup, TokenStatusFacts, life_facts_read
from identity.store.tokens import token_revoke

INACTIVE: Mapping[str, Any] = {"active": False}


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token as it came; ``jti`` and ``key_id`` only choose which rows to look at."""

    text: str
    jti: UUID | None
    key_id: str | None = None


def parse_presented(text: str, issuer: str) -> PresentedToken:
    """Take what claims to be a token of ours apart; what is not has no ``jti`` and is not active. Never raises."""
    try:
        token = decode_unverified(text)
    except InvalidSubjectToken:
        return PresentedToken(text, None)
    if token.issuer != issuer:
        return PresentedToken(text, None)
    return PresentedToken(text, parse_jti(token.claims), parse_kid(token.envelope.key_id))


def read_token_status_facts(
    tx: Tx, presented: PresentedToken, client: ClientLookup, *, may_have_expired: bool, now: datetime
) -> TokenStatusFacts:
    """Read what the life of the presented token is decided on; the key of an expired one may have retired."""
    retired_kid = presented.key_id if may_have_expired else None
    return life_facts_read(tx, client, jti=presented.jti, retired_kid=retired_kid, now=now)


def introspect(
    tx: Tx, presented: PresentedToken, facts: TokenStatusFacts, *, client: Client, issuer: Issuer, now: datetime
) -> Mapping[str, Any]:
    """Return the claims of a token that lives, to those whom it concerns; to everybody else, that it is not active.

    Those are the resource server that it is meant for and the client that it was issued to.
    """
    token = facts.token
    if token is None or not (client.audience == token.audience or client.client_id == token.client_id):
        return INACTIVE
    claims = _verified_claims(tx, presented, token, facts, issuer, now)
    if claims is None or inactive_reason(token, now) is not None:
        return INACTIVE
    return {"active": True, "token_type": "Bearer", **claims}


def revoke_token(
    tx: Tx,
    presented: PresentedToken,
    facts: TokenStatusFacts,
    *,
    client: Client,
    issuer: Issuer,
    caller: Caller,
    now: datetime,
) -> None:
    """Revoke a token, in all its editions, and all that was derived from it: an expired one too, for later editions of
    it may live. Unknown or dead tokens are not an error (RFC 7009 §2.2).

    Raises ``NotAllowed`` for a token that was issued to another client.
    """
    token = facts.token
    if token is None or _verified_claims(tx, presented, token, facts, issuer, token.issued_at) is None:
        return
    if token.client_id != client.client_id:
        refusal = NotAllowed("the token was not issued to this client", reason="token_of_another_client")
        refusal.concerns(subject_id=token.subject_id, actor_ids=token.actor_ids, txn=token.txn)
        raise refusal
    if not token_revoke(tx, {token.jti, token.first_jti or token.jti}, now=now):
        return
    revoked = Event(
        type="token.revoked",
        subject_id=token.subject_id,
        actor_ids=token.actor_ids,
        txn=token.txn,
        detail={"jti": str(token.jti)},
    )
    event_insert(tx, revoked, caller=caller, now=now)


def _verified_claims(
    tx: Tx, presented: PresentedToken, token: TokenFacts, facts: TokenStatusFacts, issuer: Issuer, now: datetime
) -> Mapping[str, Any] | None:
    keys = issuer.keys.public(tx.tenant_id, (*facts.common.keys, *retired(facts.retired_key, token)))
    try:
        claims: Mapping[str, Any] = verify_own(presented.text, keys, issuer, token.audience, now).claims
    except VerificationError:
        return None
    return claims
