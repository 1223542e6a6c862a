"""An agent opens a task by itself: for the person of a subject token, or for the agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from identity.actions.agent_authentication import AgentCall
from identity.actions.client_credentials import own_scopes, read_client_credentials_facts
from identity.actions.exchange import NotDelegated, concerned_by, decide, read_exchange_facts, refusal_of
from identity.actions.issuance import PartyInactive, TooManyTasks, check_grant
from identity.actions.presented_tokens import Exchange, ExchangeRequest, verify_subject
from identity.actions.upstream import InvalidSubjectToken
from identity.model.client import GrantType
from identity.model.delegation import Delegation
from identity.model.errors import InvalidRequest, concerning
from identity.model.event import Event
from identity.model.exchange import Held, Requested, refuse_parties
from identity.model.task import (
    Bound,
    Budget,
    Task,
    TaskAuthority,
    TaskState,
    authority_document,
    budget_document,
    end_of_task,
)
from identity.model.token import Party
from identity.store.events import event_insert
from identity.store.task_opening import delegation_exists_for, task_open


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A well-formed request. ``subject`` is None for a task of the agent itself. ``authority`` is None where it names
    no resource server; else it replaces the authority that ``subject`` requests.
    """

    purpose: str
    subject: ExchangeRequest | None
    authority: tuple[Requested, ...] | None
    expires_in_s: int | None
    budget: Budget | None


@dataclass(frozen=True, slots=True)
class Granted:
    """The subject of a task and its authority; ``delegations`` are those of its entries, in their order."""

    subject: Party
    authority: tuple[TaskAuthority, ...] | None
    delegations: tuple[Delegation, ...] = ()


def open_task(call: AgentCall, request: TaskRequest) -> Task:
    """Open a task with at most the authority that the agent could have tokens for now.

    Raises the refusals of ``exchange_token`` and ``issue_client_credentials_token``, and ``InvalidRequest`` for a task
    that would be too long.
    """
    agent = call.agent
    with concerning(subject_id=call.agent_id, actor_ids=(call.agent_id,), txn=agent.token.txn):
        if agent.token.txn is not None:
            raise InvalidSubjectToken("a token that serves a task opens no other", reason="task_within_task")
        granted = _grant(call, request)
    with concerning(subject_id=granted.subject.id, actor_ids=(call.agent_id,)):
        task = _task(call, request, granted)
        _write(call, granted, task)
    event_insert(call.tx, _opened(task), caller=call.caller, now=call.now)
    return task


def _grant(call: AgentCall, request: TaskRequest) -> Granted:
    if request.subject is None:
        return _grant_for_agent(call, request.authority)
    check_grant(call.client, GrantType.TOKEN_EXCHANGE)
    if request.authority is None:
        return _grant_at_large(call, request.subject)
    entries = [_entry(call, replace(request.subject, requested=each)) for each in request.authority]
    (person, *_), *_ = entries
    return Granted(person, tuple(entry for _, entry, _ in entries), tuple(delegation for *_, delegation in entries))


# --- for the agent itself ---


def _grant_for_agent(call: AgentCall, requested: tuple[Requested, ...] | None) -> Granted:
    check_grant(call.client, GrantType.CLIENT_CREDENTIALS)
    authority = None if requested is None else tuple(_own_entry(call, each) for each in requested)
    return Granted(call.agent.party, authority)


def _own_entry(call: AgentCall, requested: Requested) -> TaskAuthority:
    """Return the authority of the agent at one resource server, as with client credentials."""
    if requested.authorization_details is not None:
        raise InvalidRequest("a client has none of its own", pointer="authorization_details")
    facts = read_client_credentials_facts(call.tx, requested, call.lookup, call.now)
    return TaskAuthority(own_scopes(facts, call.client, requested), (), str(requested.resource))


# --- for the person of a subject token ---


def _entry(call: AgentCall, request: ExchangeRequest) -> tuple[Party, TaskAuthority, Delegation]:
    """Return the authority of the agent at one resource server, decided as an exchange is."""
    with _exchange(call, request) as exchange:
        held = _verified(exchange)
        allowed = decide(exchange, held, call.agent.party)
    if allowed.delegation is None:
        raise AssertionError("an exchange that is no narrowing is allowed under a delegation")
    entry = TaskAuthority(allowed.scopes, allowed.authorization_details, allowed.audience)
    return held.subject, entry, allowed.delegation


def _grant_at_large(call: AgentCall, subject: ExchangeRequest) -> Granted:
    """Allow a task without a resource server to an agent that may act for the subject at any."""
    with _exchange(call, replace(subject, requested=Requested())) as exchange:
        held = _verified(exchange)
        denied = refuse_parties(held, call.agent.party, (), call.now)
        if denied is not None:
            raise refusal_of(denied)
        if not delegation_exists_for(call.tx, actor_id=call.agent_id, subject_id=held.subject.id, now=call.now):
            raise NotDelegated("no delegation lets this agent act for this subject", reason="not_delegated")
    return Granted(held.subject, None)


@contextmanager
def _exchange(call: AgentCall, request: ExchangeRequest) -> Iterator[Exchange]:
    facts = read_exchange_facts(call.tx, request, call.lookup, call.issuer.identifier, call.now)
    exchange = Exchange(call, request, facts)
    with concerning(**concerned_by(exchange)):
        yield exchange


def _verified(exchange: Exchange) -> Held:
    """Verify the subject token. One that serves a task opens no other: nothing outlives its task."""
    held = verify_subject(exchange)
    if held.parent is not None and held.parent.txn is not None:
        raise InvalidSubjectToken("a token that serves a task opens no other", reason="task_within_task")
    return held


# --- the task ---


def _task(call: AgentCall, request: TaskRequest, granted: Granted) -> Task:
    first = next(iter(granted.authority or ()), None)
    return Task(
        txn=call.tx.new_id(),
        subject_id=granted.subject.id,
        actor_id=call.agent_id,
        delegation_id=granted.delegations[0].id if granted.delegations else None,
        audience=first.resource if first else None,
        scopes=first.scopes if first else (),
        authorization_details=first.authorization_details if first else (),
        state=TaskState.OPEN,
        created_at=call.now,
        expires_at=_end(call, request, granted),
        ended_at=None,
        purpose=request.purpose,
        authority=granted.authority,
        budget=request.budget,
    )


def _end(call: AgentCall, request: TaskRequest, granted: Granted) -> datetime:
    end = end_of_task(request.expires_in_s, list(_bounds(call, granted)), call.now)
    if isinstance(end, Bound):
        most = int((end.until - call.now).total_seconds())
        raise InvalidRequest(f"expires_in is more than {end.words} allows: {most} seconds", reason="task_too_long")
    return end


def _bounds(call: AgentCall, granted: Granted) -> Iterator[Bound]:
    now, agent = call.now, call.agent
    yield Bound("max_task_s of the tenant", now + timedelta(seconds=agent.max_task_s))
    for delegation in granted.delegations:
        yield Bound(f"max_task_s of the delegation {delegation.id}", now + timedelta(seconds=delegation.max_task_s))
        if delegation.expires_at is not None:
            yield Bound(f"expires_at of the delegation {delegation.id}", delegation.expires_at)
    for role, party in (("subject", granted.subject), ("agent", agent.party)):
        if party.valid_until is not None:
            yield Bound(f"the validity of the {role}", party.valid_until)


def _write(call: AgentCall, granted: Granted, task: Task) -> None:
    fault = task_open(
        call.tx,
        task,
        subject=granted.subject,
        actor=call.agent.party,
        client_id=call.client.client_id,
        now=call.now,
    )
    if fault == "too_many_tasks":
        raise TooManyTasks("this actor opened too many tasks; ask again when some have expired", reason=fault)
    if fault is not None:
        raise PartyInactive("something that this task rests on has just ended", reason=fault)


def _opened(task: Task) -> Event:
    return Event(
        type="task.opened",
        subject_id=task.subject_id,
        actor_ids=(task.actor_id,),
        txn=task.txn,
        detail={
            "purpose": task.purpose,
            "expires_at": task.expires_at.isoformat(),
            **({"authority": authority_document(task.authority)} if task.authority is not None else {}),
            **({"budget": budget_document(task.budget)} if task.budget is not None else {}),
        },
    )
