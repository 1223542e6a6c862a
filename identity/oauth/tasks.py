"""Routes of the tasks API: an agent opens, reads, completes and cancels its own tasks, by its own token."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from identity.actions.agent_authentication import AgentCall, authenticate_agent
from identity.actions.client_authentication import caller_of
from identity.actions.own_tasks import (
    OwnTask,
    cancel_own_task,
    cancel_task_of_subject,
    complete_own_task,
    get_own_task,
    list_own_tasks,
)
from identity.actions.task_opening import open_task
from identity.actions.upstream import UpstreamKeysNeeded
from identity.edge.audit import refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for, tenant_of
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import open_transaction, runtime
from identity.model.errors import InvalidRequest, NotFound, Refusal
from identity.model.ids import parse_id
from identity.model.task import Spent, authority_document, budget_document
from identity.oauth.errors import render_bearer_refusal
from identity.oauth.form import read_query
from identity.oauth.pipeline import fetch_keys
from identity.oauth.task_body import PAGE, PAGE_MAX, Nothing, Proof, parse_json, parse_proof, parse_task, read_json

blueprint = Blueprint("tasks", __name__)
blueprint.register_error_handler(Refusal, render_bearer_refusal)


@contextmanager
def agent_call(slug: str, *, is_brief: bool = True) -> Iterator[AgentCall]:
    """Open the transaction of a request, authenticated by the own token of an agent.

    One that ends a task is not brief: it waits for the tokens that are being issued, each as long as a brief one.
    """
    tenant, shared = tenant_of(slug), runtime()
    with refusals_audited("oauth", tenant.id, anonymous()) as audit:
        token = bearer_token()
        if request.method == "POST":
            read_json()  # whole, before the transaction: no slow sender holds one open
        with open_transaction(tenant.id, is_brief=is_brief) as tx:
            now, issuer = shared.clock(), issuer_for(tenant)
            agent = authenticate_agent(tx, token, issuer=issuer, now=now)
            audit.caller = name_caller(caller_of(agent.client.client_id, request_id()))
            yield AgentCall(tx, agent.client, issuer, shared.upstream_keys, audit.caller, now, agent)


def with_keys(slug: str, attempt: Callable[[], Response]) -> Response:
    """Return the answer of an attempt, or of a second one with the keys of an upstream issuer fetched in between."""
    for is_second in (False, True):
        try:
            return attempt()
        except UpstreamKeysNeeded as needed:
            fetch_keys(tenant_of(slug), needed, is_second=is_second)
    raise AssertionError("the second attempt is the last")


@blueprint.post("/t/<slug>/tasks", endpoint="open")
def open_(slug: str) -> Response:
    """Open a task with a purpose; with an authority, an end and a budget of its own where the body has them."""
    return with_keys(slug, lambda: _open(slug))


def _open(slug: str) -> Response:
    with agent_call(slug) as call:
        task = open_task(call, parse_task(read_json()))
    response = jsonify(document_of(OwnTask(task, None if task.budget is None else Spent())))
    response.status_code = 201
    response.headers["Location"] = f"{call.issuer.identifier}/tasks/{task.txn}"
    return response


@blueprint.get("/t/<slug>/tasks", endpoint="list")
def list_(slug: str) -> Response:
    """List the tasks that the agent opened, ended ones included."""
    with agent_call(slug) as call:
        limit, after = read_page()
        tasks, last = list_own_tasks(call, after=after, limit=limit)
    return jsonify(items=list(map(document_of, tasks)), next_cursor=None if last is None else str(last))


@blueprint.get("/t/<slug>/tasks/<txn>")
def get(slug: str, txn: str) -> Response:
    """Read a task that the agent opened or acted in."""
    with agent_call(slug) as call:
        read_parameters()
        return jsonify(document_of(get_own_task(call, parse_txn(txn))))


@blueprint.post("/t/<slug>/tasks/<txn>/complete")
def complete(slug: str, txn: str) -> Response:
    """End a task whose work is done, and every token that serves it."""
    with agent_call(slug, is_brief=False) as call:
        parse_json(Nothing, read_json())
        return jsonify(document_of(complete_own_task(call, parse_txn(txn))))


@blueprint.post("/t/<slug>/tasks/<txn>/cancel")
def cancel(slug: str, txn: str) -> Response:
    """End a task: for its opener or its subject all of it, for another actor its branch."""
    return with_keys(slug, lambda: _cancel(slug, txn))


def _cancel(slug: str, txn: str) -> Response:
    with agent_call(slug, is_brief=False) as call:
        proof = parse_proof(parse_json(Proof, read_json()))
        if proof is None:
            return jsonify(document_of(cancel_own_task(call, parse_txn(txn))))
        task = cancel_task_of_subject(call, parse_txn(txn), proof)
        return jsonify({name: plain(getattr(task, name)) for name in ("txn", "state", "ended_at")})


def parse_txn(text: str) -> UUID:
    """Return the id of a task in a URL. Raises ``NotFound``, also for a malformed one."""
    found = parse_id(text)
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
    """Return the size of the requested page, and the id that it follows. Raises ``InvalidRequest``."""
    query = read_parameters("limit", "after")
    limit, after = query.get("limit", str(PAGE)), query.get("after")
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:4]) <= PAGE_MAX) or len(limit) > 3:
        raise InvalidRequest(f"limit is a number from 1 to {PAGE_MAX}")
    cursor = None if after is None else parse_id(after)
    if after is not None and cursor is None:
        raise InvalidRequest("after is the next_cursor of the page before")
    return int(limit), cursor


MEMBERS = ("txn", "state", "purpose", "subject_id", "actor_id", "created_at", "expires_at", "ended_at")


def document_of(own: OwnTask) -> dict[str, Any]:
    """Return a task as JSON, with the use of its budget where it has one, and the end of the agent's own branch."""
    task, spent, actor = own.task, own.spent, own.actor
    document = {name: plain(getattr(task, name)) for name in MEMBERS} | {
        "authority": None if task.authority is None else authority_document(task.authority),
        "budget": None if task.budget is None else budget_document(task.budget),
    }
    if spent is not None:
        document["spent"] = asdict(spent)
    if actor is not None and actor.ended_at is not None:
        document["branch_ended_at"] = plain(actor.ended_at)
    return document


def plain(value: object) -> str | None:
    """Return a value as a string of JSON: an instant in UTC (RFC 3339), an id as text; None stays None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
