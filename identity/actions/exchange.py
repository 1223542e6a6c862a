"""Token exchange (RFC 8693): trade a person's token for a narrower task token that names every actor."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from identity.actions.issuance import (
    InvalidScope,
    InvalidTarget,
    InvalidTask,
    Issuer,
    PartyInactive,
    check_grant,
    issue_token,
    parse_jti,
    parse_kid,
)
from identity.actions.presented_tokens import ExchangeRequest, verify_actor, verify_subject
from identity.actions.upstream import UpstreamKeys
from identity.model.access import Caller
from identity.model.client import Client, GrantType
from identity.model.errors import NotAllowed, Refusal
from identity.model.exchange import Allowed, Asked, Denied, Held, Route, TenantLimits, decide_exchange, parties_of
from identity.model.renewal import decide_renewal, editions_of
from identity.model.task import Task, TaskState
from identity.model.token import Basis, Issue, IssuedToken, Party, TokenFacts
from identity.store import Tx
from identity.store.exchange_facts import ExchangeFacts, exchange_facts_read
from identity.store.facts import ClientLookup

Id = TypeVar("Id", str, UUID)


class NotDelegated(NotAllowed):
    """Nobody with authority has said that this actor may act for this subject there (RFC 8693 §2.2.2)."""

    code = "not_delegated"


class InvalidAuthorizationDetails(Refusal):
    """More is asked than is held, or nothing at all by an empty list (RFC 9396 §5)."""

    code = "invalid_authorization_details"


class NotRenewable(Refusal):
    """The subject token is not one that this client renews."""

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
    tx: Tx, request: ExchangeRequest, client: ClientLookup, *, issuer: str, now: datetime
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
        txn=request.asked.txn,
        retired_kid=parse_kid(subject.envelope.key_id) if request.asked.is_renewal else None,
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
    ``InvalidAuthorizationDetails``, ``InvalidTask``, ``NotRenewable``, ``PartyInactive``, ``TooManyTasks``,
    ``TooManyTokens``, ``UnauthorizedClient``, ``UpstreamKeysNeeded``.
    """
    concerned = concerned_by(facts, client)
    try:
        check_grant(client, GrantType.TOKEN_EXCHANGE)
        held = verify_subject(tx, request, facts, client, issuer, upstream_keys, now)
        actor = verify_actor(tx, request, facts, client, issuer, now)
        held = replace(held, task=_task_of(request.asked, facts, held, actor, now))
        allowed = decide_held(request.asked, facts, held, actor, client, now)
        return _issue(tx, request, facts, held, allowed, client=client, issuer=issuer, caller=caller, now=now)
    except Refusal as refusal:
        refusal.concerns(**concerned)
        raise


def decide_held(
    asked: Asked, facts: ExchangeFacts, held: Held, actor: Party | None, client: Client, now: datetime
) -> Allowed:
    """Return what a token of ``actor``'s may have on what is ``held``. Raises what the decision says is at fault."""
    decision = _decide(asked, facts, held, actor, client, now)
    if isinstance(decision, Denied):
        raise refused(decision)
    return decision


def refused(denied: Denied) -> Refusal:
    """Return the refusal that a decision is."""
    return FAULTS[denied.fault](EXPLAINED[denied.fault], reason=denied.reason)


def _decide(
    asked: Asked, facts: ExchangeFacts, held: Held, actor: Party | None, client: Client, now: datetime
) -> Allowed | Denied:
    others, route = _others(facts, held, client), _route(facts, client)
    limits = TenantLimits(facts.common.task_lifetime_max_s, facts.common.max_task_s)
    if asked.is_renewal:
        return decide_renewal(asked, held, actor, others=others, route=route, limits=limits, now=now)
    held = _while_both_are_good(held, facts.actor_token)
    return decide_exchange(asked, held, actor, facts.delegations, others=others, route=route, limits=limits, now=now)


def _task_of(asked: Asked, facts: ExchangeFacts, held: Held, actor: Party | None, now: datetime) -> Task | None:
    """Return the task that the token shall serve: the subject token's, or the one that is named; None for a new one.

    A task of others, or for another subject, is as unknown as one that is not there.
    """
    own = held.parent.txn if held.parent else None
    if own is not None:
        if asked.txn not in (None, own):
            raise InvalidTask("the subject token belongs to another task", reason="txn_differs")
        return facts.task
    if asked.txn is None:
        return None
    fault: str | None = "unknown_task"
    if facts.task is not None and actor is not None:
        fault = facts.task.refuses(held.subject.id, actor.id, is_in_it=facts.is_in_task, now=now)
    if fault is not None:
        raise InvalidTask(TASK_FAULTS[fault], reason=fault)
    return facts.task


def concerned_by(facts: ExchangeFacts, client: Client) -> dict[str, Any]:
    """Return the parties that a refusal is about: the presenter, who would act, and the chain so far."""
    chain = facts.subject_token.actor_ids if facts.subject_token else ()
    asking = [id_ for id_ in (client.principal_id, facts.actor_id) if id_ is not None and id_ not in chain]
    return {
        "subject_id": facts.subject_id,
        "actor_ids": _each_once((*asking, *chain)),
        "txn": _txn_of(facts),
        "parent": facts.subject_token.jti if facts.subject_token else None,
    }


def _txn_of(facts: ExchangeFacts) -> UUID | None:
    """Return the task of the subject token, or the one that is named where the actor has a part in it."""
    if facts.subject_token is not None and facts.subject_token.txn is not None:
        return facts.subject_token.txn
    task = facts.task
    return task.txn if task and (facts.is_in_task or facts.actor_id == task.actor_id) else None


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


def _issue(
    tx: Tx,
    request: ExchangeRequest,
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
    txn = held.task.txn if held.task else tx.new_id()
    ancestor_ids, first_jti = _ancestors(request.asked, held, proofs)
    issue = Issue(
        jti=tx.new_id(),
        txn=txn,
        client_id=client.client_id,
        subject=held.subject,
        actors=allowed.chain,
        parent_id=parent.jti if parent else None,
        ancestor_ids=ancestor_ids,
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
        renewable_until=allowed.renewable_until,
        first_jti=first_jti,
        **_membership_basis(parent),
        **_upstream_basis(held, facts),
    )
    new_task = None if held.task else _open_task(txn, held, allowed, now)
    return issue_token(
        tx, issue, facts.common, new_task=new_task, task=held.task, issuer=issuer, caller=caller, now=now
    )


def _ancestors(asked: Asked, held: Held, proofs: Sequence[TokenFacts]) -> tuple[tuple[UUID, ...], UUID | None]:
    if asked.is_renewal and held.parent:
        return editions_of(held.parent)
    return _each_once(id_ for token in proofs for id_ in (*token.ancestor_ids, token.jti)), None


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


def _membership_basis(parent: TokenFacts | None) -> dict[str, Any]:
    """Return the memberships that are inherited, and of which delegations they are."""
    if parent is None or parent.memberships is None:
        return {}
    return {"memberships": parent.memberships, "inherited_ids": parent.delegation_ids}


def _upstream_basis(held: Held, facts: ExchangeFacts) -> dict[str, Any]:
    """Return the connection and the upstream subject whose token began the chain, and when that token was issued."""
    if held.parent is not None:
        parent = held.parent
        issued_at = parent.issued_at if parent.upstream_key else None
        return {"connection_id": parent.connection_id, "upstream_key": parent.upstream_key, "upstream_iat": issued_at}
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
