"""The tokens that an exchange is asked with: taken apart by the edge, verified and believed here."""

from dataclasses import dataclass
from datetime import UTC, datetime

from identity_verifier import VerificationError

from identity.actions.issuance import Issuer, verify_own
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, UpstreamKeys, verify_upstream
from identity.model.client import Client
from identity.model.errors import Refusal
from identity.model.exchange import Asked, Held
from identity.model.signing_key import SigningKey
from identity.model.token import Party, TokenFacts, inactive_reason, lives
from identity.model.upstream_token import ACCESS_TOKEN, JWT, Acting
from identity.store import Tx
from identity.store.exchange_facts import ExchangeFacts

ISSUER_SHOWN_MAX = 200  # characters of an issuer that an unverified token names


class InvalidActorToken(Refusal):
    """The actor token is not believed, or is not an agent's own (RFC 8693 §2.2.2)."""

    code = "invalid_actor_token"


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """A well-formed request; its tokens are taken apart and not believed."""

    subject_token: UnverifiedToken
    subject_token_type: str
    subject_text: str
    actor_token: UnverifiedToken | None
    actor_text: str | None
    asked: Asked


def verify_subject(
    tx: Tx,
    request: ExchangeRequest,
    facts: ExchangeFacts,
    client: Client,
    issuer: Issuer,
    upstream_keys: UpstreamKeys,
    now: datetime,
) -> Held:
    """Believe the subject token, and return for whom it is. Raises ``InvalidSubjectToken``, ``UpstreamKeysNeeded``."""
    if request.subject_token.issuer == issuer.identifier:
        return _verify_own_subject(tx, request, facts, issuer, now)
    if facts.upstream is None:
        named = str(request.subject_token.issuer)[:ISSUER_SHOWN_MAX]
        raise InvalidSubjectToken(
            f"no OIDC connection is configured for the issuer {named}", reason="subject_token_issuer"
        )
    keys = upstream_keys.find(tx.tenant_id, facts.upstream, request.subject_token.envelope.key_id, now)
    acting = Acting(
        issuer.identifier, facts.actor_id, client.client_id if client.principal_id == facts.actor_id else None
    )
    token, type_ = request.subject_token, request.subject_token_type
    upstream, claims = verify_upstream(token, type_, facts.upstream, keys, acting=acting, now=now), token.claims
    if len(facts.persons) != 1:
        reason = "subject_ambiguous" if facts.persons else "subject_unknown"
        raise InvalidSubjectToken("the subject token does not name one person of this tenant", reason=reason)
    subject = facts.parties.get(facts.persons[0])
    if subject is None:
        raise InvalidSubjectToken("the subject token does not name one person of this tenant", reason="subject_unknown")
    if lives(subject, now) and facts.subject_cut_off and claims["iat"] <= facts.subject_cut_off.timestamp():
        raise InvalidSubjectToken("the subject token is older than the person's cut-off", reason="subject_cut_off")
    good_until = datetime.fromtimestamp(min(claims["exp"], now.timestamp() + 86_400), UTC)
    issued_at = datetime.fromtimestamp(max(claims["iat"], 0), UTC)
    return Held(subject, (), None, good_until, upstream, issued_at)


def _verify_own_subject(tx: Tx, request: ExchangeRequest, facts: ExchangeFacts, issuer: Issuer, now: datetime) -> Held:
    if request.subject_token_type not in (ACCESS_TOKEN, JWT):
        raise InvalidSubjectToken("subject_token_type is not what the token is", reason="subject_token_type")
    parent = facts.subject_token
    if parent is None:
        raise InvalidSubjectToken("the subject token is not known here", reason="subject_token_unknown")
    _believe(
        tx, request.subject_text, parent, facts, issuer, now, InvalidSubjectToken, "subject_token",
        may_have_expired=request.asked.is_renewal,
    )  # fmt: skip
    if parent.subject_id is None:
        raise InvalidSubjectToken("the subject token is for nobody who could be acted for", reason="subject_token_scim")
    subject = facts.parties[parent.subject_id]
    chain = tuple(facts.parties[actor_id] for actor_id in parent.actor_ids)
    return Held(subject, chain, parent, parent.expires_at, parent.upstream)


def verify_actor(
    tx: Tx, request: ExchangeRequest, facts: ExchangeFacts, client: Client, issuer: Issuer, now: datetime
) -> Party | None:
    """Return who acts: the authenticated client's principal, whether an actor token of ours says so besides or not.

    An actor token is an agent's own: issued for itself, to be used at this issuer and nowhere else. It is taken only
    from a client of the same agent, or the one who presents it would act and stand nowhere in ``act``.
    """
    if request.actor_token is None or request.actor_text is None:
        return facts.parties.get(facts.actor_id) if facts.actor_id else None
    token = facts.actor_token
    if request.actor_token.issuer != issuer.identifier or token is None:
        raise InvalidActorToken("the actor token is not one of ours", reason="actor_token_unknown")
    if token.audience != issuer.identifier or token.actor_ids or token.subject_id is None:
        raise InvalidActorToken("the actor token is not an agent's own for this issuer", reason="actor_token_audience")
    _believe(tx, request.actor_text, token, facts, issuer, now, InvalidActorToken, "actor_token")
    if token.subject_id != client.principal_id:
        raise InvalidActorToken("the actor token is another agent's", reason="actor_token_presenter")
    if token.txn is not None:
        raise InvalidActorToken("the actor token serves a task of its own, and ends with it", reason="actor_token_task")
    return facts.parties.get(token.subject_id)


def _believe(
    tx: Tx,
    text: str,
    token: TokenFacts,
    facts: ExchangeFacts,
    issuer: Issuer,
    now: datetime,
    error: type[Refusal],
    name: str,
    *,
    may_have_expired: bool = False,
) -> None:
    """Believe a token of ours that lives. One that is renewed is verified as of when it was issued, by a key that may
    have retired since; it may have expired, and be dead of nothing else.
    """
    keys, verified_at = facts.common.keys, now
    if may_have_expired:
        keys, verified_at = (*keys, *retired(facts.retired_key, token)), token.issued_at
    try:
        verify_own(text, issuer.keys.public(tx.tenant_id, keys), issuer, token.audience, verified_at)
    except VerificationError as failed:
        raise error(f"the token fails the rule: {failed.rule}", reason=f"{name}_{failed.rule}") from None
    death = inactive_reason(token, now, may_have_expired=may_have_expired)
    if death is not None:
        raise error("the token is no longer good", reason=f"{name}_{death}")


def retired(key: SigningKey | None, token: TokenFacts) -> tuple[SigningKey, ...]:
    """Return a key that may have retired, unless it had before the token was issued: then it did not sign it."""
    if key is None or (key.verify_until is not None and key.verify_until <= token.issued_at):
        return ()
    return (key,)
