"""Token exchange (RFC 8693): trade a person's token for a narrower task token that names every actor."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from identity.actions.issuance import InvalidScope, InvalidTarget, InvalidTask, PartyInactive, check_grant, issue_token
from identity.actions.presented_tokens import Exchange, ExchangeRequest, verify_actor, verify_subject
from identity.model.client import GrantType
from identity.model.errors import NotAllowed, Refusal
from identity.model.exchange import Allowed, Denied, Held, Route, TenantLimits, decide_exchange, parties_of
from identity.model.renewal import decide_renewal, editions_of
from identity.model.task import Task, TaskState
from identity.model.token import Basis, Issue, IssuedToken, Party, TokenFacts
from identity.store import Tx
from identity.store.exchange_facts import ExchangeFacts, exchange_facts_read
from identity.store.facts import ClientLookup

__all__ = ["ExchangeFacts", "exchange_token", "read_exchange_facts"]

Id = TypeVar("Id", str, UUID)


class NotDelegated(NotAllowed):
    """No delegation lets this actor act for this subject at this resource (RFC 8693 §2.2.2)."""

    code = "not_delegated"


class InvalidAuthorizationDetails(Refusal):
    """The request exceeds the details that are held, or is an empty list (RFC 9396 §5)."""

    code = "invalid_authorization_details"


class NotRenewable(Refusal):
    """The client may not renew the subject token."""

    code = "not_renewable"


FAULTS: Mapping[str, type[Refusal]] = {
    "party": PartyInactive,
    "target": InvalidTarget,
    "scope": InvalidScope,
    "details": InvalidAuthorizationDetails,
    "delegation": NotDelegated,
    "renewal": NotRenewable,
}

EXPLAINED: Mapping[str, str] = {
    "party": "the subject, an actor or the group of the delegation is not active now",
    "target": "resource must be one registered resource server: the subject token's, or the next of its service",
    "scope": "the requested scope exceeds what the subject token and the delegation allow",
    "details": "the requested authorization_details exceed what the subject token and the delegation allow",
    "delegation": "no delegation lets this actor act for this subject at this resource, at this depth of the chain",
    "renewal": "only its present actor renews a token, until its task ends",
}

TASK_FAULTS: Mapping[str, str] = {
    "unknown_task": "there is no such task for this subject that this actor opened or took part in",
    "task_ended": "the task has ended",
}


def read_exchange_facts(
    tx: Tx, request: ExchangeRequest, client: ClientLookup, issuer: str, now: datetime
) -> ExchangeFacts:
    """Read every fact about every party in one statement. The unverified tokens only choose the rows."""
    subject, actor, requested = request.subject_token, request.actor_token, request.requested
    is_own = subject.issuer == issuer
    return exchange_facts_read(
        tx,
        client,
        issuer=None if is_own else subject.issuer,
        claims={} if is_own else subject.claims,
        subject_jti=subject.jti if is_own else None,
        actor_jti=actor.jti if actor else None,
        resource=requested.resource,
        txn=requested.txn,
        retired_kid=subject.kid if requested.is_renewal else None,
        now=now,
    )


def exchange_token(exchange: Exchange) -> IssuedToken:
    """Trade a subject token for a narrower task token (RFC 8693 §2).

    Its lifetime is the shortest of: delegation, tenant limit, subject token, task, and every party's validity.
    Raises ``InvalidSubjectToken``, ``InvalidActorToken``, ``NotDelegated``, ``InvalidTarget``, ``InvalidScope``,
    ``InvalidAuthorizationDetails``, ``InvalidTask``, ``NotRenewable``, ``PartyInactive``, ``TooManyTasks``,
    ``TooManyTokens``, ``UnauthorizedClient``, ``UpstreamKeysNeeded``.
    """
    try:
        check_grant(exchange.call.client, GrantType.TOKEN_EXCHANGE)
        held, actor = verify_subject(exchange), verify_actor(exchange)
        held = replace(held, task=_task_of(exchange, held, actor))
        return _issue(exchange, held, decide(exchange, held, actor))
    except Refusal as refusal:
        refusal.concerns(**concerned_by(exchange))
        raise


def decide(exchange: Exchange, held: Held, actor: Party | None) -> Allowed:
    """Return the authority of a token for ``actor`` on what is ``held``. Raises what the decision says is at fault."""
    requested, facts, now = exchange.requested, exchange.facts, exchange.call.now
    others, route = _others(exchange, held), _route(exchange)
    limits = TenantLimits(facts.common.task_lifetime_max_s, facts.common.max_task_s)
    if requested.is_renewal:
        decision = decide_renewal(requested, held, actor, others=others, route=route, limits=limits, now=now)
    else:
        held = _bound_by_actor_token(held, facts.actor_token)
        decision = decide_exchange(
            requested, held, actor, facts.delegations, others=others, route=route, limits=limits, now=now
        )
    if isinstance(decision, Denied):
        raise refusal_of(decision)
    return decision


def refusal_of(denied: Denied) -> Refusal:
    """Return the refusal that names the part of the request that is at fault."""
    return FAULTS[denied.fault](EXPLAINED[denied.fault], reason=denied.reason)


def _task_of(exchange: Exchange, held: Held, actor: Party | None) -> Task | None:
    """Return the task of the subject token, or the one that the request names; None for a new one.

    A task of others, or for another subject, is refused as one that does not exist. Raises ``InvalidTask``.
    """
    facts, named = exchange.facts, exchange.requested.txn
    own = held.parent.txn if held.parent else None
    if own is not None:
        if named not in (None, own):
            raise InvalidTask("the subject token belongs to another task", reason="txn_differs")
        return facts.task
    if named is None:
        return None
    fault: str | None = "unknown_task"
    if facts.task is not None and actor is not None:
        fault = facts.task.refuses(held.subject.id, actor.id, is_in_it=facts.is_in_task, now=exchange.call.now)
    if fault is not None:
        raise InvalidTask(TASK_FAULTS[fault], reason=fault)
    return facts.task


def concerned_by(exchange: Exchange) -> dict[str, Any]:
    """Return the parties that a refusal is about: the subject, the presenter, the actor, and the chain so far."""
    facts = exchange.facts
    chain = facts.subject_token.actor_ids if facts.subject_token else ()
    presenters = [id_ for id_ in (exchange.call.client.principal_id, facts.actor_id) if id_ and id_ not in chain]
    return {
        "subject_id": facts.subject_id,
        "actor_ids": _each_once((*presenters, *chain)),
        "txn": _txn_of(facts),
        "parent": facts.subject_token.jti if facts.subject_token else None,
    }


def _txn_of(facts: ExchangeFacts) -> UUID | None:
    """Return the task of the subject token, or the one that is named where the actor has a part in it."""
    if facts.subject_token is not None and facts.subject_token.txn is not None:
        return facts.subject_token.txn
    task = facts.task
    return task.txn if task and (facts.is_in_task or facts.actor_id == task.actor_id) else None


def _route(exchange: Exchange) -> Route:
    """Return the way of the token. It is the client's own only where its principal runs the subject token's service."""
    client, source = exchange.call.client, exchange.facts.source
    is_own = (
        source is not None
        and client.audience == source.audience
        and client.principal_id is not None
        and client.principal_id == source.principal_id
    )
    return Route(exchange.facts.target, source, exchange.facts.pair, is_own)


def _bound_by_actor_token(held: Held, actor_token: TokenFacts | None) -> Held:
    """Return ``held`` until the actor token expires, too: a token that rests on one does not outlive it."""
    return held if actor_token is None else replace(held, valid_until=min(held.valid_until, actor_token.expires_at))


def _issue(exchange: Exchange, held: Held, allowed: Allowed) -> IssuedToken:
    call, facts, parent, delegation = exchange.call, exchange.facts, held.parent, allowed.delegation
    proofs = [token for token in (facts.actor_token, parent) if token]
    task = held.task or _new_task(call.tx.new_id(), held, allowed, call.now)
    ancestor_ids, first_jti = _ancestors(exchange, held, proofs)
    issue = Issue(
        jti=call.tx.new_id(),
        txn=task.txn,
        client_id=call.client.client_id,
        client_ids=_each_once([*(id_ for token in proofs for id_ in token.client_ids), call.client.client_id]),
        subject=held.subject,
        actors=allowed.chain,
        parties=parties_of(allowed, held, *_others(exchange, held), _group_of(facts, allowed)),
        parent_id=parent.jti if parent else None,
        ancestor_ids=ancestor_ids,
        first_jti=first_jti,
        delegation_ids=_each_once(
            [*(parent.delegation_ids if parent else ()), *([delegation.id] if delegation else ())]
        ),
        pair_ids=(*(parent.pair_ids if parent else ()), *([allowed.pair.id] if allowed.pair else ())),
        depth_max=allowed.depth_max,
        audience=allowed.audience,
        audiences=(allowed.audience, *sorted(_left(held, allowed))),
        scopes=allowed.scopes,
        authorization_details=allowed.authorization_details,
        issued_at=call.now,
        expires_at=allowed.expires_at,
        renewable_until=allowed.renewable_until,
        upstream=held.upstream,
        basis=_basis(facts, held, allowed),
        **_membership_basis(parent),
        **_upstream_basis(held, facts),
    )
    return issue_token(call, issue, facts.common, task=task, is_new_task=held.task is None)


def _ancestors(exchange: Exchange, held: Held, proofs: list[TokenFacts]) -> tuple[tuple[UUID, ...], UUID | None]:
    if exchange.requested.is_renewal and held.parent:
        return editions_of(held.parent)
    return _each_once(id_ for token in proofs for id_ in (*token.ancestor_ids, token.jti)), None


def _left(held: Held, allowed: Allowed) -> frozenset[str]:
    """Return the audiences that the chain left on its way to the token's."""
    before = held.parent.audiences_left if held.parent else frozenset()
    return before | ({allowed.pair.source} if allowed.pair else frozenset())


def _basis(facts: ExchangeFacts, held: Held, allowed: Allowed) -> Basis:
    """Return the epochs of all but parties that the token rests on: its parent's, and those that it adds."""
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


def _others(exchange: Exchange, held: Held) -> tuple[Party, ...]:
    """Return the principals besides subject and chain that the token rests on: the client's, and the inherited ones."""
    own, parties = exchange.call.client.principal_id, exchange.facts.parties
    inherited = held.parent.party_ids if held.parent else ()
    return tuple(parties[id_] for id_ in _each_once((*([own] if own else ()), *inherited)) if id_ in parties)


def _group_of(facts: ExchangeFacts, allowed: Allowed) -> Party | None:
    """Return the group that the delegation is for: a token that rests on membership in it ends with its epoch."""
    group_id = allowed.delegation.subject_group_id if allowed.delegation else None
    return facts.parties.get(group_id) if group_id else None


def _membership_basis(parent: TokenFacts | None) -> dict[str, Any]:
    """Return the memberships that are inherited, and the delegations that they belong to."""
    if parent is None or parent.memberships is None:
        return {}
    return {"memberships": parent.memberships, "inherited_ids": parent.delegation_ids}


def _upstream_basis(held: Held, facts: ExchangeFacts) -> dict[str, Any]:
    """Return the connection and the upstream subject of the token that began the chain, and when it was issued."""
    if held.parent is not None:
        parent = held.parent
        issued_at = parent.issued_at if parent.upstream_key else None
        return {"connection_id": parent.connection_id, "upstream_key": parent.upstream_key, "upstream_iat": issued_at}
    connection_id = facts.upstream.id if facts.upstream else None
    return {"connection_id": connection_id, "upstream_key": facts.upstream_key, "upstream_iat": held.issued_at}


def _new_task(txn: UUID, held: Held, allowed: Allowed, now: datetime) -> Task:
    if allowed.delegation is None:
        raise AssertionError("only an actor that narrows a token of its task needs no delegation")
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
