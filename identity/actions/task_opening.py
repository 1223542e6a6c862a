"""An agent opens a task by itself: for the person of a subject token, or for the agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from identity.actions.agent_authentication import PresentedAgent
from identity.actions.exchange import NotDelegated, concerned_by, decide_held, read_exchange_facts, refused
from identity.actions.issuance import (
    Issuer,
    PartyInactive,
    TooManyTasks,
    check_grant,
    own_scopes,
    read_client_credentials_facts,
)
from identity.actions.presented_tokens import ExchangeRequest, verify_subject
from identity.actions.upstream import InvalidSubjectToken, UpstreamKeys
from identity.model.access import Caller
from identity.model.client import GrantType
from identity.model.delegation import Delegation
from identity.model.errors import InvalidRequest, Refusal
from identity.model.event import Event
from identity.model.exchange import Asked, Held, refuse_parties
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
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.exchange_facts import ExchangeFacts
from identity.store.task_opening import delegation_stands_for, task_open

ANYWHERE = Asked(None, None, None)


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A well-formed request. ``subject`` is None where the task is for the agent itself; ``authority`` where it names
    no resource server, and else it stands in the place of what ``subject`` asks.
    """

    purpose: str
    subject: ExchangeRequest | None
    authority: tuple[Asked, ...] | None
    expires_in_s: int | None
    budget: Budget | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What all steps of one request share."""

    tx: Tx
    request: TaskRequest
    agent: PresentedAgent
    issuer: Issuer
    upstream_keys: UpstreamKeys
    now: datetime


@dataclass(frozen=True, slots=True)
class Granted:
    """For whom a task may be opened, and with what; ``delegations`` are those of its entries, in their order."""

    subject: Party
    authority: tuple[TaskAuthority, ...] | None
    delegations: tuple[Delegation, ...] = ()


def open_task(
    tx: Tx,
    request: TaskRequest,
    *,
    agent: PresentedAgent,
    issuer: Issuer,
    upstream_keys: UpstreamKeys,
    caller: Caller,
    now: datetime,
) -> Task:
    """Open a task with at most the authority that the agent could have tokens for now.

    Raises what ``exchange_token`` or ``issue_client_credentials_token`` raises, and ``InvalidRequest`` for a task that
    would be too long.
    """
    opening = Opening(tx, request, agent, issuer, upstream_keys, now)
    with _concerning(subject_id=agent.id, actor_ids=(agent.id,), txn=agent.token.txn):
        if agent.token.txn is not None:
            raise InvalidSubjectToken("a token that serves a task opens no other", reason="task_within_task")
        granted = _grant(opening)
    with _concerning(subject_id=granted.subject.id, actor_ids=(agent.id,)):
        task = _task(opening, granted)
        _write(opening, granted, task)
    event_insert(tx, _opened(task), caller=caller, now=now)
    return task


@contextmanager
def _concerning(**whom: Any) -> Iterator[None]:
    """Name the parties that a refusal of the block concerns, unless it names some already."""
    try:
        yield
    except Refusal as refusal:
        if not refusal.actor_ids:
            refusal.concerns(**whom)
        raise


def _grant(opening: Opening) -> Granted:
    subject = opening.request.subject
    return _grant_for_itself(opening) if subject is None else _grant_for_subject(opening, subject)


# --- for the agent itself ---


def _grant_for_itself(opening: Opening) -> Granted:
    check_grant(opening.agent.client, GrantType.CLIENT_CREDENTIALS)
    asked = opening.request.authority
    authority = None if asked is None else tuple(_own_entry(opening, each) for each in asked)
    return Granted(opening.agent.party, authority)


def _own_entry(opening: Opening, asked: Asked) -> TaskAuthority:
    """Return what the agent may have at one resource server: as with client credentials."""
    if asked.authorization_details is not None:
        raise InvalidRequest("a client has none of its own", pointer="authorization_details")
    agent = opening.agent
    facts = read_client_credentials_facts(opening.tx, agent.lookup, resource=asked.resource, txn=None, now=opening.now)
    return TaskAuthority(own_scopes(facts, agent.client, asked.resource, asked.scopes), (), str(asked.resource))


# --- for the person of a subject token ---


def _grant_for_subject(opening: Opening, subject: ExchangeRequest) -> Granted:
    check_grant(opening.agent.client, GrantType.TOKEN_EXCHANGE)
    asked = opening.request.authority
    if asked is None:
        return _grant_at_large(opening, subject)
    entries = [_entry(opening, replace(subject, asked=each)) for each in asked]
    (person, *_), *_ = entries
    return Granted(person, tuple(entry for _, entry, _ in entries), tuple(delegation for *_, delegation in entries))


def _entry(opening: Opening, request: ExchangeRequest) -> tuple[Party, TaskAuthority, Delegation]:
    """Return what the agent may have at one resource server, decided as an exchange is."""
    with _facts(opening, request) as facts:
        held = _held(opening, request, facts)
        allowed = decide_held(request.asked, facts, held, opening.agent.party, opening.agent.client, opening.now)
    if allowed.delegation is None:
        raise AssertionError("an exchange that is no narrowing is allowed under a delegation")
    entry = TaskAuthority(allowed.scopes, allowed.authorization_details, allowed.audience)
    return held.subject, entry, allowed.delegation


def _grant_at_large(opening: Opening, subject: ExchangeRequest) -> Granted:
    """Let a task that names no resource server be opened by an agent that may act for the subject anywhere."""
    request, agent = replace(subject, asked=ANYWHERE), opening.agent
    with _facts(opening, request) as facts:
        held = _held(opening, request, facts)
        denied = refuse_parties(held, agent.party, (), opening.now)
        if denied is not None:
            raise refused(denied)
        if not delegation_stands_for(opening.tx, actor_id=agent.id, subject_id=held.subject.id, now=opening.now):
            raise NotDelegated("no delegation lets this agent act for this subject", reason="not_delegated")
    return Granted(held.subject, None)


@contextmanager
def _facts(opening: Opening, request: ExchangeRequest) -> Iterator[ExchangeFacts]:
    agent = opening.agent
    facts = read_exchange_facts(opening.tx, request, agent.lookup, issuer=opening.issuer.identifier, now=opening.now)
    with _concerning(**concerned_by(facts, agent.client)):
        yield facts


def _held(opening: Opening, request: ExchangeRequest, facts: ExchangeFacts) -> Held:
    """Return for whom the subject token is. One that serves a task leads to no other: nothing outlives its task."""
    held = verify_subject(
        opening.tx, request, facts, opening.agent.client, opening.issuer, opening.upstream_keys, opening.now
    )
    if held.parent is not None and held.parent.txn is not None:
        raise InvalidSubjectToken("a token that serves a task opens no other", reason="task_within_task")
    return held


# --- the task ---


def _task(opening: Opening, granted: Granted) -> Task:
    request, now = opening.request, opening.now
    first = next(iter(granted.authority or ()), None)
    return Task(
        txn=opening.tx.new_id(),
        subject_id=granted.subject.id,
        actor_id=opening.agent.id,
        delegation_id=granted.delegations[0].id if granted.delegations else None,
        audience=first.resource if first else None,
        scopes=first.scopes if first else (),
        authorization_details=first.authorization_details if first else (),
        state=TaskState.OPEN,
        created_at=now,
        expires_at=_end(opening, granted),
        ended_at=None,
        purpose=request.purpose,
        authority=granted.authority,
        budget=request.budget,
    )


def _end(opening: Opening, granted: Granted) -> datetime:
    end = end_of_task(opening.request.expires_in_s, list(_bounds(opening, granted)), opening.now)
    if isinstance(end, Bound):
        most = int((end.until - opening.now).total_seconds())
        raise InvalidRequest(f"expires_in is more than {end.words} allows: {most} seconds", reason="task_too_long")
    return end


def _bounds(opening: Opening, granted: Granted) -> Iterator[Bound]:
    now = opening.now
    yield Bound("max_task_s of the tenant", now + timedelta(seconds=opening.agent.max_task_s))
    for delegation in granted.delegations:
        yield Bound(f"max_task_s of the delegation {delegation.id}", now + timedelta(seconds=delegation.max_task_s))
        if delegation.expires_at is not None:
            yield Bound(f"expires_at of the delegation {delegation.id}", delegation.expires_at)
    for role, party in (("subject", granted.subject), ("agent", opening.agent.party)):
        if party.valid_until is not None:
            yield Bound(f"the validity of the {role}", party.valid_until)


def _write(opening: Opening, granted: Granted, task: Task) -> None:
    agent = opening.agent
    fault = task_open(
        opening.tx, task, subject=granted.subject, actor=agent.party, client_id=agent.client.client_id, now=opening.now
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
