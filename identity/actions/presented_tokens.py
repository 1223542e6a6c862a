"""The tokens that an exchange is requested with: decoded by the edge, verified here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from identity.actions.issuance import ClientCall, fault_of_token, unretired
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, verify_upstream
from identity.model.errors import Refusal
from identity.model.exchange import Held, Requested
from identity.model.token import Party, TokenFacts, is_active
from identity.model.upstream_token import ACCESS_TOKEN, JWT, Acting
from identity.store.exchange_facts import ExchangeFacts

ISSUER_SHOWN_MAX = 200  # characters of an issuer that an unverified token names
UPSTREAM_LIFETIME_MAX_S = 86_400


class InvalidActorToken(Refusal):
    """The actor token is not valid, or is not an agent's own (RFC 8693 §2.2.2)."""

    code = "invalid_actor_token"


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """A well-formed request (RFC 8693 §2.1). Its tokens are decoded, and not verified."""

    subject_token: UnverifiedToken
    subject_token_type: str
    actor_token: UnverifiedToken | None
    requested: Requested


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: the client's call, its request, and every fact that it is decided on."""

    call: ClientCall
    request: ExchangeRequest
    facts: ExchangeFacts

    @property
    def requested(self) -> Requested:
        """The authority that is requested."""
        return self.request.requested


def verify_subject(exchange: Exchange) -> Held:
    """Verify the subject token; return the person, the chain and the authority that it stands for.

    Raises ``InvalidSubjectToken``, ``UpstreamKeysNeeded``.
    """
    if exchange.request.subject_token.issuer == exchange.call.issuer.identifier:
        return _verify_own_subject(exchange)
    return _verify_upstream_subject(exchange)


def _verify_own_subject(exchange: Exchange) -> Held:
    facts, parent = exchange.facts, exchange.facts.subject_token
    if exchange.request.subject_token_type not in (ACCESS_TOKEN, JWT):
        raise InvalidSubjectToken("subject_token_type is not what the token is", reason="subject_token_type")
    if parent is None:
        raise InvalidSubjectToken("the subject token is not known here", reason="subject_token_unknown")
    _require_valid(exchange, exchange.request.subject_token, parent, InvalidSubjectToken, "subject_token")
    if parent.subject_id is None:
        raise InvalidSubjectToken("the subject token is for nobody who could be acted for", reason="subject_token_scim")
    subject = facts.parties[parent.subject_id]
    chain = tuple(facts.parties[actor_id] for actor_id in parent.actor_ids)
    return Held(subject, chain, parent, parent.expires_at, parent.upstream)


def _verify_upstream_subject(exchange: Exchange) -> Held:
    call, facts, token = exchange.call, exchange.facts, exchange.request.subject_token
    if facts.upstream is None:
        named = str(token.issuer)[:ISSUER_SHOWN_MAX]
        raise InvalidSubjectToken(
            f"no OIDC connection is configured for the issuer {named}", reason="subject_token_issuer"
        )
    keys = call.upstream_keys.find(call.tx.tenant_id, facts.upstream, token.envelope.key_id, call.now)
    client_id = call.client.client_id if call.client.principal_id == facts.actor_id else None
    acting = Acting(call.issuer.identifier, facts.actor_id, client_id)
    type_ = exchange.request.subject_token_type
    upstream = verify_upstream(token, type_, facts.upstream, keys, acting=acting, now=call.now)
    issued_at, expires_at = token.claims["iat"], token.claims["exp"]
    subject = _person(exchange)
    if is_active(subject, call.now) and facts.subject_cut_off and issued_at <= facts.subject_cut_off.timestamp():
        raise InvalidSubjectToken("the subject token is older than the person's cut-off", reason="subject_cut_off")
    valid_until = datetime.fromtimestamp(min(expires_at, call.now.timestamp() + UPSTREAM_LIFETIME_MAX_S), UTC)
    return Held(subject, (), None, valid_until, upstream, datetime.fromtimestamp(max(issued_at, 0), UTC))


def _person(exchange: Exchange) -> Party:
    """Return the one person whom the subject claim of an upstream token names. Raises ``InvalidSubjectToken``."""
    persons = exchange.facts.persons
    subject = exchange.facts.parties.get(persons[0]) if len(persons) == 1 else None
    if subject is None:
        reason = "subject_ambiguous" if len(persons) > 1 else "subject_unknown"
        raise InvalidSubjectToken("the subject token does not name one person of this tenant", reason=reason)
    return subject


def verify_actor(exchange: Exchange) -> Party | None:
    """Return who acts: the principal of the authenticated client. An actor token may only confirm it.

    An actor token is the one that an agent has for itself, with the issuer as its audience. Only a client of the same
    agent may present it: of another presenter ``act`` would say nothing. Raises ``InvalidActorToken``.
    """
    facts, call, presented = exchange.facts, exchange.call, exchange.request.actor_token
    if presented is None:
        return _party(facts, facts.actor_id)
    token = facts.actor_token
    if presented.issuer != call.issuer.identifier or token is None:
        raise InvalidActorToken("the actor token is not one of ours", reason="actor_token_unknown")
    if token.audience != call.issuer.identifier or token.actor_ids or token.subject_id is None:
        raise InvalidActorToken("the actor token is not an agent's own for this issuer", reason="actor_token_audience")
    _require_valid(exchange, presented, token, InvalidActorToken, "actor_token")
    if token.subject_id != call.client.principal_id:
        raise InvalidActorToken("the actor token is another agent's", reason="actor_token_presenter")
    if token.txn is not None:
        raise InvalidActorToken("the actor token serves a task of its own, and ends with it", reason="actor_token_task")
    return _party(facts, token.subject_id)


def _party(facts: ExchangeFacts, id_: UUID | None) -> Party | None:
    return None if id_ is None else facts.parties.get(id_)


def _require_valid(
    exchange: Exchange, presented: UnverifiedToken, token: TokenFacts, error: type[Refusal], name: str
) -> None:
    """Verify a token of ours. The subject token of a renewal may have expired. Raises ``error``."""
    call, facts = exchange.call, exchange.facts
    may_have_expired = exchange.requested.is_renewal  # then there is no actor token
    keys = unretired(facts.common.keys, facts.retired_key, token) if may_have_expired else facts.common.keys
    key_set = call.issuer.keys.public(call.tx.tenant_id, keys)
    fault = fault_of_token(presented.text, token, key_set, call.issuer, call.now, may_have_expired=may_have_expired)
    if fault is not None:
        raise error(fault.detail, reason=f"{name}_{fault.reason}")
