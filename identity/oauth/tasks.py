"""Routes of the tasks API: an agent opens, reads, completes and cancels its own tasks, by its own token."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from identity.actions.agent_authentication import PresentedAgent, authenticate_agent
from identity.actions.issuance import Issuer
from identity.actions.own_tasks import (
    OwnTask,
    cancel_own_task,
    cancel_task_of_subject,
    complete_own_task,
    get_own_task,
    list_own_tasks,
)
from identity.actions.task_opening import open_task
from identity.edge.audit import refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for, tenant_of
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import InvalidRequest, NotFound, Refusal
from identity.model.ids import parse_id
from identity.model.task import Spent, authority_document, budget_document
from identity.oauth.call import answered_with_keys
from identity.oauth.errors import render_bearer_refusal
from identity.oauth.form import read_query
from identity.oauth.task_body import PAGE, PAGE_MAX, Nothing, Proof, parse_json, presented, read_json, task_request

blueprint = Blueprint("tasks", __name__)
blueprint.register_error_handler(Refusal, render_bearer_refusal)


@dataclass(frozen=True, slots=True)
class AgentCall:
    """One request of an agent that is authenticated, its transaction open."""

    tx: Tx
    issuer: Issuer
    agent: PresentedAgent
    caller: Caller
    now: datetime


@contextmanager
def agent_call(slug: str, *, is_brief: bool = True) -> Iterator[AgentCall]:
    """Open the transaction of a request, authenticated by an agent's own token. One that ends a task is not brief: it
    waits for the tokens that are being issued, each of which may take as long as a brief one.
    """
    tenant, callers = tenant_of(slug), [anonymous()]
    with refusals_audited("oauth", tenant.id, lambda: callers[-1]):
        token = bearer_token()
        if request.method == "POST":
            read_json()  # whole, before the transaction: no slow sender holds one open
        with open_transaction(tenant.id, is_brief=is_brief) as tx:
            now, issuer = runtime().clock(), issuer_for(tenant)
            agent = authenticate_agent(tx, token, issuer=issuer, now=now)
            callers.append(name_caller(agent.caller(request_id())))
            yield AgentCall(tx, issuer, agent, callers[-1], now)


@blueprint.post("/t/<slug>/tasks", endpoint="open")
def open_(slug: str) -> Response:
    """Open a task, with a purpose, and where it is told with an authority, an end and a budget of its own."""
    return answered_with_keys(slug, lambda: _open(slug))


def _open(slug: str) -> Response:
    with agent_call(slug) as call:
        task = open_task(
            call.tx,
            task_request(read_json()),
            agent=call.agent,
            issuer=call.issuer,
            upstream_keys=runtime().upstream_keys,
            caller=call.caller,
            now=call.now,
        )
    response = jsonify(document_of(OwnTask(task, None if task.budget is None else Spent(), None)))
    response.status_code = 201
    response.headers["Location"] = f"{call.issuer.identifier}/tasks/{task.txn}"
    return response


@blueprint.get("/t/<slug>/tasks", endpoint="list")
def list_(slug: str) -> Response:
    """List the tasks that the agent opened, ended ones among them."""
    with agent_call(slug) as call:
        limit, after = read_page()
        tasks = list_own_tasks(call.tx, agent=call.agent, after=after, limit=limit + 1)
    shown, is_cut = tasks[:limit], len(tasks) > limit
    return jsonify(items=list(map(document_of, shown)), next_cursor=str(shown[-1].task.txn) if is_cut else None)


@blueprint.get("/t/<slug>/tasks/<txn>")
def get(slug: str, txn: str) -> Response:
    """Read a task that the agent opened or acted in."""
    with agent_call(slug) as call:
        read_parameters()
        return _shown(call, named(txn))


@blueprint.post("/t/<slug>/tasks/<txn>/complete")
def complete(slug: str, txn: str) -> Response:
    """End a task whose work is done, and every token that serves it."""
    with agent_call(slug, is_brief=False) as call:
        parse_json(Nothing, read_json())
        complete_own_task(call.tx, named(txn), agent=call.agent, caller=call.caller, now=call.now)
        return _shown(call, named(txn))


@blueprint.post("/t/<slug>/tasks/<txn>/cancel")
def cancel(slug: str, txn: str) -> Response:
    """End a task: for its opener or its subject all of it, for another actor its branch."""
    return answered_with_keys(slug, lambda: _cancel(slug, txn))


def _cancel(slug: str, txn: str) -> Response:
    with agent_call(slug, is_brief=False) as call:
        proof = presented(parse_json(Proof, read_json()))
        if proof is None:
            cancel_own_task(call.tx, named(txn), agent=call.agent, caller=call.caller, now=call.now)
            return _shown(call, named(txn))
        task = cancel_task_of_subject(
            call.tx,
            named(txn),
            proof,
            agent=call.agent,
            issuer=call.issuer,
            upstream_keys=runtime().upstream_keys,
            caller=call.caller,
            now=call.now,
        )
        return jsonify(txn=str(task.txn), state=task.state, ended_at=instant(task.ended_at))


def _shown(call: AgentCall, txn: UUID) -> Response:
    return jsonify(document_of(get_own_task(call.tx, txn, agent=call.agent)))


def named(txn: str) -> UUID:
    """Return the task's id in a URL. Raises ``NotFound``: what is malformed is not there."""
    found = parse_id(txn)
    if found is None:
        raise NotFound("there is no such task of this agent's")
    return found


def read_parameters(*known: str) -> Mapping[str, str]:
    """Return the parameters in the URL. Raises ``InvalidRequest``."""
    query = read_query()
    if query.keys() - set(known):
        raise InvalidRequest(f"the parameters are: {', '.join(known) or 'none'}")
    return query


def read_page() -> tuple[int, UUID | None]:
    """Return how many tasks are asked for, and after which one. Raises ``InvalidRequest``."""
    query = read_parameters("limit", "after")
    limit, after = query.get("limit", str(PAGE)), query.get("after")
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:4]) <= PAGE_MAX) or len(limit) > 3:
        raise InvalidRequest(f"limit is a number from 1 to {PAGE_MAX}")
    if after is not None and parse_id(after) is None:
        raise InvalidRequest("after is the next_cursor of the page before")
    return int(limit), None if after is None else parse_id(after)


def document_of(found: OwnTask) -> dict[str, Any]:
    """Return a task as JSON: what it spent where it has a budget, and when the agent's own branch was cancelled."""
    task, spent, actor = found.task, found.spent, found.actor
    document = {
        "txn": str(task.txn),
        "state": task.state,
        "purpose": task.purpose,
        "subject_id": str(task.subject_id),
        "actor_id": str(task.actor_id),
        "authority": None if task.authority is None else authority_document(task.authority),
        "budget": None if task.budget is None else budget_document(task.budget),
        "created_at": instant(task.created_at),
        "expires_at": instant(task.expires_at),
        "ended_at": instant(task.ended_at),
    }
    if spent is not None:
        document["spent"] = asdict(spent)
    if actor is not None and actor.ended_at is not None:
        document["branch_ended_at"] = instant(actor.ended_at)
    return document


def instant(at: datetime | None) -> str | None:
    """Return an instant as RFC 3339 has it, in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
