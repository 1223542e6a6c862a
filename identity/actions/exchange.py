"""Token exchange (RFC 8693): trade a person's token for a narrower task token that names every actor."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from identity_verifier import VerificationError

from identity.actions.issuance import (
    InvalidScope,
    InvalidTarget,
    Issuer,
    PartyInactive,
    check_grant,
    issue_token,
    parse_jti,
    verify_own,
)
from identity.actions.upstream import InvalidSubjectToken, UnverifiedToken, UpstreamKeys, verify_upstream
from identity.model.access import Caller
from identity.model.client import Client, GrantType
from identity.model.errors import NotAllowed, Refusal
from identity.model.exchange import Allowed, Asked, Denied, Held, Route, decide_exchange, parties_of
from identity.model.task import Task, TaskState
from identity.model.token import Basis, Issue, IssuedToken, Party, TokenFacts, death_of, lives
from identity.model.upstream_token import ACCESS_TOKEN, JWT, Acting
from identity.store import Tx
from identity.store.exchange_facts import ExchangeFacts, exchange_facts_read
from identity.store.facts import ClientQuestion

Id = TypeVar("Id", str, UUID)


class InvalidActorToken(Refusal):
    """The actor token is not believed, or is not an agent's own (RFC 8693 §2.2.2)."""

    code = "invalid_actor_token"


class NotDelegated(NotAllowed):
    """Nobody with authority has said that this actor may act for this subject there (RFC 8693 §2.2.2)."""

    code = "not_delegated"


class InvalidAuthorizationDetails(Refusal):
    """More is asked than is held, or nothing at all by an empty list (RFC 9396 §5)."""

    code = "invalid_authorization_details"


ISSUER_SHOWN_MAX = 200  # characters of an issuer that an unverified token names

FAULTS: Mapping[str, type[Refusal]] = {
    "party": PartyInactive,
    "target": InvalidTarget,
    "scope": InvalidScope,
    "details": InvalidAuthorizationDetails,
    "delegation": NotDelegated,
}


EXPLAINED: Mapping[str, str] = {
    "party": "the subject, an actor or the group of the delegation is not active now",
    "target": "resource must be one registered resource server: the subject token's, or the next of its service",
    "scope": "the requested scope exceeds what the subject token and the delegation allow",
    "details": "the requested authorization_details exceed what the subject token and the delegation allow",
    "delegation": "no delegation lets this actor act for this subject at this resource, at this depth of the chain",
}


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """A well-formed request; its tokens are taken apart and not believed."""

    subject_token: UnverifiedToken
    subject_token_type: str
    subject_text: str
    actor_token: UnverifiedToken | None
    actor_text: str | None
    asked: Asked


def read_exchange_facts(
    tx: Tx, request: ExchangeRequest, client: ClientQuestion, *, issuer: str, now: datetime
) -> ExchangeFacts:
    """Read every fact about every party in one statement; what the tokens say only chooses the rows."""
    subject, actor = request.subject_token, request.actor_token
    is_ours = subject.issuer == issuer
    return exchange_facts_read(
        tx,
        client,
        issuer=None if is_ours else subject.issuer,
        claims={} if is_ours else subject.claims,
        subject_jti=parse_jti(subject.claims) if is_ours else None,
        actor_jti=parse_jti(actor.claims) if actor else None,
        resource=request.asked.resource,
        now=now,
    )


def exchange_token(
    tx: Tx,
    request: ExchangeRequest,
    facts: ExchangeFacts,
    *,
    client: Client,
    issuer: Issuer,
    upstream_keys: UpstreamKeys,
    caller: Caller,
    now: datetime,
) -> IssuedToken:
    """Trade a subject token for a narrower task token (RFC 8693 §2).

    Lifetime is the shortest of: delegation, tenant limit, subject token, task, and every party's validity.
    Raises ``InvalidSubjectToken``, ``InvalidActorToken``, ``NotDelegated``, ``InvalidTarget``, ``InvalidScope``,
    ``InvalidAuthorizationDetails``, ``PartyInactive``, ``UnauthorizedClient``, ``UpstreamKeysNeeded``.
    """
    concerned = concerned_by(facts, client)
    try:
        check_grant(client, GrantType.TOKEN_EXCHANGE)
        held = verify_subject(tx, request, facts, client, issuer, upstream_keys, now)
        actor = _verify_actor(tx, request, facts, client, issuer, now)
        allowed = decide_held(request.asked, facts, held, actor, client, now)
        return _issue(tx, facts, held, allowed, client=client, issuer=issuer, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(**concerned)
        raise


def decide_held(
    asked: Asked, facts: ExchangeFacts, held: Held, actor: Party | None, client: Client, now: datetime
) -> Allowed:
    """Return what a token of ``actor``'s may have on what is ``held``. Raises what the decision says is at fault."""
    decision = decide_exchange(
        asked,
        _while_both_are_good(held, facts.actor_token),
        actor,
        facts.delegations,
        others=_others(facts, held, client),
        route=_route(facts, client),
        tenant_lifetime_max_s=facts.common.task_lifetime_max_s,
        now=now,
    )
    if isinstance(decision, Denied):
        raise refused(decision)
    return decision


def refused(denied: Denied) -> Refusal:
    """Return the refusal that a decision is."""
    return FAULTS[denied.fault](EXPLAINED[denied.fault], reason=denied.reason)


def concerned_by(facts: ExchangeFacts, client: Client) -> dict[str, Any]:
    """Return the parties that a refusal is about: the presenter, who would act, and the chain so far."""
    chain = facts.subject_token.actor_ids if facts.subject_token else ()
    asking = [id_ for id_ in (client.principal_id, facts.actor_id) if id_ is not None and id_ not in chain]
    return {
        "subject_id": facts.subject_id,
        "actor_ids": _each_once((*asking, *chain)),
        "txn": facts.subject_token.txn if facts.subject_token else None,
        "parent": facts.subject_token.jti if facts.subject_token else None,
    }


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
    _believe(tx, request.subject_text, parent, facts, issuer, now, InvalidSubjectToken, "subject_token")
    if parent.subject_id is None:
        raise InvalidSubjectToken("the subject token is for nobody who could be acted for", reason="subject_token_scim")
    subject = facts.parties[parent.subject_id]
    chain = tuple(facts.parties[actor_id] for actor_id in parent.actor_ids)
    return Held(subject, chain, parent, parent.expires_at, parent.upstream)


def _verify_actor(
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
    return facts.parties.get(token.subject_id)


def _route(facts: ExchangeFacts, client: Client) -> Route:
    """Return where the token would go; only a client of the principal that runs the subject token's service is that."""
    source = facts.source
    is_own = (
        source is not None
        and client.audience == source.audience
        and client.principal_id is not None
        and client.principal_id == source.principal_id
    )
    return Route(facts.target, source, facts.pair, is_own)


def _while_both_are_good(held: Held, actor_token: TokenFacts | None) -> Held:
    """A token that rests on an actor token does not outlive it."""
    return held if actor_token is None else replace(held, good_until=min(held.good_until, actor_token.expires_at))


def _believe(
    tx: Tx,
    text: str,
    token: TokenFacts,
    facts: ExchangeFacts,
    issuer: Issuer,
    now: datetime,
    error: type[Refusal],
    name: str,
) -> None:
    try:
        verify_own(text, issuer.keys.public(tx.tenant_id, facts.common.keys), issuer, token.audience, now)
    except VerificationError as failed:
        raise error(f"the token fails the rule: {failed.rule}", reason=f"{name}_{failed.rule}") from None
    death = death_of(token, now)
    if death is not None:
        raise error("the token is no longer good", reason=f"{name}_{death}")


def _issue(
    tx: Tx,
    facts: ExchangeFacts,
    held: Held,
    allowed: Allowed,
    *,
    client: Client,
    issuer: Issuer,
    caller: Caller,
    now: datetime,
) -> IssuedToken:
    parent, proofs = held.parent, [token for token in (facts.actor_token, held.parent) if token]
    txn = parent.txn if parent and parent.txn else tx.new_id()
    issue = Issue(
        jti=tx.new_id(),
        txn=txn,
        client_id=client.client_id,
        subject=held.subject,
        actors=allowed.chain,
        parent_id=parent.jti if parent else None,
        ancestor_ids=_each_once(id_ for token in proofs for id_ in (*token.ancestor_ids, token.jti)),
        delegation_ids=_each_once(
            [*(parent.delegation_ids if parent else ()), *([allowed.delegation.id] if allowed.delegation else ())]
        ),
        pair_ids=(*(parent.pair_ids if parent else ()), *([allowed.pair.id] if allowed.pair else ())),
        client_ids=_each_once([*(id_ for token in proofs for id_ in token.client_ids), client.client_id]),
        parties=parties_of(allowed, held, *_others(facts, held, client), _group_of(facts, allowed)),
        depth_max=allowed.depth_max,
        audience=allowed.audience,
        scopes=allowed.scopes,
        authorization_details=allowed.authorization_details,
        issued_at=now,
        expires_at=allowed.expires_at,
        upstream=held.upstream,
        audiences=(allowed.audience, *sorted(_left(held, allowed))),
        basis=_basis(facts, held, allowed),
        **_upstream_basis(held, facts),
    )
    new_task = None if parent and parent.txn else _open_task(txn, held, allowed, now)
    return issue_token(tx, issue, facts.common, new_task=new_task, issuer=issuer, caller=caller, now=now)


def _left(held: Held, allowed: Allowed) -> frozenset[str]:
    """Return the audiences that the chain left on its way to the token's."""
    before = held.parent.audiences_left if held.parent else frozenset()
    return before | ({allowed.pair.source} if allowed.pair else frozenset())


def _basis(facts: ExchangeFacts, held: Held, allowed: Allowed) -> Basis:
    """Return the epochs of what the token rests on besides parties: what its parent does, and what was added."""
    basis = dict(held.parent.basis) if held.parent else {}
    if allowed.delegation is not None:
        basis[f"delegation {allowed.delegation.id}"] = allowed.delegation.epoch
    if allowed.pair is not None:
        basis[f"pair {allowed.pair.id}"] = allowed.pair.epoch
    if facts.target is not None:
        basis[f"resource {facts.target.audience}"] = facts.target.epoch
    if held.parent is None and facts.upstream is not None:
        basis[f"connection {facts.upstream.id}"] = facts.upstream.epoch
    return basis


def _each_once(ids: Iterable[Id]) -> tuple[Id, ...]:
    return tuple(dict.fromkeys(ids))


def _others(facts: ExchangeFacts, held: Held, client: Client) -> tuple[Party, ...]:
    """Return the principals that the token rests on besides subject and chain: the client's, and those inherited."""
    inherited = held.parent.party_ids if held.parent else ()
    own = (client.principal_id,) if client.principal_id else ()
    return tuple(facts.parties[party_id] for party_id in _each_once((*own, *inherited)) if party_id in facts.parties)


def _group_of(facts: ExchangeFacts, allowed: Allowed) -> Party | None:
    """Return the group that the delegation is for: with its epoch no token lives on that rests on membership in it."""
    group_id = allowed.delegation.subject_group_id if allowed.delegation else None
    return facts.parties.get(group_id) if group_id else None


def _upstream_basis(held: Held, facts: ExchangeFacts) -> dict[str, Any]:
    """Return the connection and the upstream subject whose token began the chain, and when that token was issued."""
    if held.parent is not None:
        return {"connection_id": held.parent.connection_id, "upstream_key": held.parent.upstream_key}
    connection_id = facts.upstream.id if facts.upstream else None
    return {"connection_id": connection_id, "upstream_key": facts.upstream_key, "upstream_iat": held.issued_at}


def _open_task(txn: UUID, held: Held, allowed: Allowed, now: datetime) -> Task | None:
    if allowed.delegation is None:
        return None
    return Task(
        txn=txn,
        subject_id=held.subject.id,
        actor_id=allowed.chain[0].id,
        delegation_id=allowed.delegation.id,
        audience=allowed.audience,
        scopes=allowed.scopes,
        authorization_details=allowed.authorization_details,
        state=TaskState.OPEN,
        created_at=now,
        expires_at=allowed.task_expires_at,
        ended_at=None,
    )
