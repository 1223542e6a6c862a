"""Issued tokens: remembered, with their event, before they leave; revoked for ever."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text, update
from sqlalchemy.dialects.postgresql import JSONB

from identity.model.access import Caller
from identity.model.event import Event
from identity.model.task import Task
from identity.model.token import Issue
from identity.model.upstream_token import Upstream
from identity.store.events import event_row
from identity.store.tables import tokens
from identity.store.tx import Tx

# The parties are looked at once more in the statement that writes: if one was cut since, nothing is written.
REMEMBER = text("""
WITH parties AS (
    SELECT coalesce(sum(p.epoch), 0) AS epoch_sum, count(*) AS alive FROM principals p
     WHERE p.tenant_id = :tenant_id AND p.id = ANY (CAST(:party_ids AS uuid[])) AND p.state = 'active'),
task AS (
    INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, authorization_details,
                       state, created_at, expires_at)
    SELECT :tenant_id, :txn, :subject_id, :task_actor_id, :task_delegation_id, :audience, :scopes,
           :authorization_details, 'open', :issued_at, CAST(:task_expires_at AS timestamptz)
     WHERE CAST(:task_expires_at AS timestamptz) IS NOT NULL),
token AS (
    INSERT INTO tokens (tenant_id, jti, txn, client_id, subject_id, actor_ids, ancestor_ids, delegation_ids,
                        client_ids, party_ids, epoch_sum, depth_max, audience, scopes, authorization_details,
                        issued_at, expires_at, upstream)
    SELECT :tenant_id, :jti, :txn, :client_id, :subject_id, :actor_ids, :ancestor_ids, :delegation_ids, :client_ids,
           :party_ids, :epoch_sum, :depth_max, :audience, :scopes, :authorization_details, :issued_at, :expires_at,
           :upstream
      FROM parties
     WHERE parties.epoch_sum = :epoch_sum AND parties.alive = cardinality(CAST(:party_ids AS uuid[]))
    RETURNING jti)
INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind, caller_id, subject_id, actor_ids, txn, reason,
                    request_id, detail)
SELECT :tenant_id, :event_id, :issued_at, :event_type, :event_outcome, :caller_kind, :caller_id, :subject_id,
       :actor_ids, :txn, :event_reason, :request_id, :event_detail
  FROM token RETURNING id
""").bindparams(
    bindparam("authorization_details", type_=JSONB),
    bindparam("event_detail", type_=JSONB),
    bindparam("upstream", type_=JSONB(none_as_null=True)),
    *(
        bindparam(name, type_=tokens.c[name].type)
        for name in ("actor_ids", "ancestor_ids", "delegation_ids", "client_ids", "party_ids", "scopes", "txn")
    ),
)


def token_remember(tx: Tx, issue: Issue, event: Event, *, new_task: Task | None, caller: Caller, now: datetime) -> bool:
    """Write a token, its event, and the task that it opens, in one statement; False when a party was cut meanwhile."""
    recorded = event_row(tx, event, caller=caller, now=now)
    row = tx.execute(
        REMEMBER, _issue_parameters(tx, issue) | _task_parameters(new_task) | _event_parameters(recorded)
    ).first()
    return row is not None


def _issue_parameters(tx: Tx, issue: Issue) -> dict[str, Any]:
    return {
        "tenant_id": tx.tenant_id,
        "jti": issue.jti,
        "txn": issue.txn,
        "client_id": issue.client_id,
        "subject_id": issue.subject.id if issue.subject else None,
        "actor_ids": [actor.id for actor in issue.actors],
        "ancestor_ids": list(issue.ancestor_ids),
        "delegation_ids": list(issue.delegation_ids),
        "client_ids": list(issue.client_ids),
        "party_ids": [party.id for party in issue.parties],
        "epoch_sum": issue.epoch_sum,
        "depth_max": issue.depth_max,
        "audience": issue.audience,
        "scopes": list(issue.scopes),
        "authorization_details": [dict(entry) for entry in issue.authorization_details],
        "issued_at": issue.issued_at,
        "expires_at": issue.expires_at,
        "upstream": asdict(issue.upstream) if issue.upstream and issue.upstream != Upstream() else None,
    }


def _task_parameters(task: Task | None) -> dict[str, Any]:
    return {
        "task_actor_id": task.actor_id if task else None,
        "task_delegation_id": task.delegation_id if task else None,
        "task_expires_at": task.expires_at if task else None,
    }


def _event_parameters(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": row["id"],
        "event_type": row["type"],
        "event_outcome": row["outcome"],
        "event_reason": row["reason"],
        "event_detail": row["detail"],
        "caller_kind": row["caller_kind"],
        "caller_id": row["caller_id"],
        "request_id": row["request_id"],
    }


def token_revoke(tx: Tx, jti: UUID, *, now: datetime) -> bool:
    """Revoke one token; False when it was already, or is not there."""
    statement = (
        update(tokens)
        .where(tokens.c.tenant_id == tx.tenant_id, tokens.c.jti == jti, tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return tx.execute(statement).rowcount == 1
