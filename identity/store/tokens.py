"""Issued tokens: remembered, with their event, before they leave; revoked for ever."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import any_, bindparam, func, literal, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from identity.model.access import Caller
from identity.model.cutoff import CutoffKind, ListedCutoff
from identity.model.event import Event
from identity.model.task import Budget, Task
from identity.model.token import Issue
from identity.model.upstream_token import Upstream
from identity.store.clock import THIS_MINUTE
from identity.store.events import event_row
from identity.store.locks import (
    client_key,
    connection_key,
    delegation_key,
    issue_lock,
    membership_key,
    pair_key,
    principal_key,
    resource_key,
    subject_key,
    task_key,
    token_key,
)
from identity.store.nesting import CLIENT_IS_ACTIVE, DELEGATION_IS_IN_FORCE, TASK_IS_OPEN, memberships_hold, path_to
from identity.store.rows import RowMapper, fields_writer
from identity.store.tables import IDS, cutoffs, tokens
from identity.store.task_counts import TOO_MANY, count_parameters, opened
from identity.store.tx import LockKey, Tx

UNLIMITED = 2**31 - 1

# The row is written by one issuer at a time, and looked at as the last one left it: no budget is overspent.
HANDED = "coalesce(task_budgets.handed_on -> CAST(:handing_id AS text), '[]')"
KNOWN = f"(CAST(:handing_id AS text) IS NULL OR {HANDED} @> to_jsonb(CAST(:joining_id AS text)))"
FANS_OUT = f"(NOT {KNOWN} AND jsonb_array_length({HANDED}) >= :fan_out_max)"
IS_LATER = "excluded.minute > task_budgets.minute"
SPENT = f"""
spent AS (
    INSERT INTO task_budgets (tenant_id, txn, issued, minute, issued_in_minute, handed_on)
    SELECT :tenant, :txn, 1, {THIS_MINUTE}, 1, CASE WHEN CAST(:handing_id AS text) IS NULL THEN '{{}}'
           ELSE jsonb_build_object(CAST(:handing_id AS text), jsonb_build_array(CAST(:joining_id AS text))) END
      FROM fault WHERE reason IS NULL AND CAST(:is_budgeted AS boolean)
    ON CONFLICT (tenant_id, txn) DO UPDATE SET
        issued = task_budgets.issued + 1,
        minute = greatest(task_budgets.minute, excluded.minute),
        issued_in_minute = CASE WHEN {IS_LATER} THEN 1 ELSE task_budgets.issued_in_minute + 1 END,
        handed_on = CASE WHEN {KNOWN} THEN task_budgets.handed_on
            ELSE jsonb_set(task_budgets.handed_on, ARRAY[CAST(:handing_id AS text)],
                           {HANDED} || to_jsonb(CAST(:joining_id AS text))) END
     WHERE task_budgets.issued < :tokens_max AND NOT {FANS_OUT}
       AND ({IS_LATER} OR task_budgets.issued_in_minute < :tokens_per_minute_max)
    RETURNING true)"""
# A statement of its own: the one that was refused would see the row as it was before it waited for it.
OVERSPENT = text(f"""
SELECT CASE WHEN issued >= :tokens_max THEN 'task_budget_spent' WHEN {FANS_OUT} THEN 'task_fan_out_exceeded'
       ELSE 'task_rate_exceeded' END FROM task_budgets WHERE tenant_id = :tenant AND txn = :txn
""")

SPENDING = ("tenant", "txn", "tokens_max", "fan_out_max", "handing_id", "joining_id")

# Everything that the token rests on is looked at once more, under the locks that hold cuts off: of what was cut since,
# nothing is issued. ``opened`` counts the tasks of an actor; a slot's share of the limit is all that is read.
REMEMBER = f"""
WITH parties AS (
    SELECT coalesce(sum(p.epoch), 0) AS epoch_sum, count(*) AS alive FROM principals p
     WHERE p.tenant_id = :tenant AND p.id = ANY (CAST(:party_ids AS uuid[])) AND p.state = 'active'
       AND (p.valid_from IS NULL OR p.valid_from <= :now)
       AND (p.valid_until IS NULL OR p.valid_until >= :expires_at)),
paths AS MATERIALIZED (
    SELECT d.id, {path_to("d.subject_group_id", "CAST(:subject_id AS uuid)")} AS memberships FROM delegations d
     WHERE d.tenant_id = :tenant AND d.id = ANY (CAST(:delegation_ids AS uuid[]))
       AND d.id <> ALL (CAST(:inherited_ids AS uuid[])) AND d.subject_group_id IS NOT NULL),
fault (reason) AS (SELECT CASE
    WHEN (SELECT epoch_sum <> :epoch_sum OR alive <> cardinality(CAST(:party_ids AS uuid[])) FROM parties)
        THEN 'party_cut_off'
    WHEN (SELECT count(*) FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = ANY (CAST(:client_ids AS text[]))
             AND {CLIENT_IS_ACTIVE}) <> cardinality(CAST(:client_ids AS text[])) THEN 'client_revoked'
    WHEN (SELECT count(*) FROM delegations d
           WHERE d.tenant_id = :tenant AND d.id = ANY (CAST(:delegation_ids AS uuid[]))
             AND {DELEGATION_IS_IN_FORCE}
             AND (d.id = ANY (CAST(:inherited_ids AS uuid[])) OR d.subject_id = CAST(:subject_id AS uuid)
                  OR (SELECT p.memberships IS NOT NULL FROM paths p WHERE p.id = d.id)))
         <> cardinality(CAST(:delegation_ids AS uuid[])) THEN 'delegation_ended'
    WHEN NOT ({memberships_hold("CAST(:memberships AS jsonb)")}) THEN 'membership_ended'
    WHEN (SELECT count(*) FROM resource_pairs x WHERE x.tenant_id = :tenant AND x.id = ANY (CAST(:pair_ids AS uuid[])))
         <> cardinality(CAST(:pair_ids AS uuid[])) THEN 'pair_deleted'
    WHEN CAST(:connection_id AS uuid) IS NOT NULL AND NOT EXISTS (
            SELECT FROM connections u WHERE u.tenant_id = :tenant AND u.id = :connection_id AND u.ended_at IS NULL)
        THEN 'connection_ended'
    WHEN (SELECT coalesce(sum(n.epoch), 0) FROM (
            SELECT d.epoch FROM delegations d
             WHERE d.tenant_id = :tenant AND d.id = ANY (CAST(:delegation_ids AS uuid[]))
            UNION ALL SELECT r.epoch FROM resources r
             WHERE r.tenant_id = :tenant AND r.audience = ANY (CAST(:audiences AS text[]))
            UNION ALL SELECT x.epoch FROM resource_pairs x
             WHERE x.tenant_id = :tenant AND x.id = ANY (CAST(:pair_ids AS uuid[]))
            UNION ALL SELECT u.epoch FROM connections u
             WHERE u.tenant_id = :tenant AND u.id = CAST(:connection_id AS uuid)) AS n) <> :basis_epoch_sum
        THEN 'authority_narrowed'
    WHEN CAST(:upstream_iat AS timestamptz) <= (
            SELECT o.not_before FROM cutoffs o
             WHERE o.tenant_id = :tenant AND o.kind = 'subject' AND o.key = CAST(:upstream_key AS text))
        THEN 'subject_cut_off'
    WHEN CAST(:task_expires_at AS timestamptz) IS NULL AND CAST(:txn AS uuid) IS NOT NULL AND NOT EXISTS (
            SELECT FROM tasks k WHERE k.tenant_id = :tenant AND k.txn = :txn AND k.expires_at > :now AND {TASK_IS_OPEN})
        THEN 'task_ended'
    WHEN (SELECT true FROM task_actors b WHERE b.tenant_id = :tenant AND b.txn = CAST(:txn AS uuid)
             AND b.actor_id = ANY (CAST(:actor_ids AS uuid[])) AND b.ended_at IS NOT NULL LIMIT 1)
        THEN 'branch_cancelled'
    WHEN EXISTS (SELECT FROM tokens a WHERE a.tenant_id = :tenant AND a.jti = ANY (CAST(:ancestor_ids AS uuid[]))
                    AND a.revoked_at IS NOT NULL) THEN 'ancestor_revoked'
    WHEN CAST(:task_expires_at AS timestamptz) IS NOT NULL AND {TOO_MANY} THEN 'too_many_tasks'
    END),
{opened("CAST(:task_expires_at AS timestamptz) IS NOT NULL")},
task AS (
    INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, authorization_details,
                       state, subject_epoch, actor_epoch, created_at, expires_at)
    SELECT :tenant, :txn, :subject_id, :task_actor_id, :task_delegation_id, :audience, :scopes,
           :authorization_details, 'open', :subject_epoch, :actor_epoch, :issued_at,
           CAST(:task_expires_at AS timestamptz)
      FROM fault WHERE reason IS NULL AND CAST(:task_expires_at AS timestamptz) IS NOT NULL),
{SPENT},
allowed AS (
    SELECT 1 AS one FROM fault
     WHERE reason IS NULL AND (NOT CAST(:is_budgeted AS boolean) OR (SELECT true FROM spent))),
joined AS (
    INSERT INTO task_actors (tenant_id, txn, actor_id, joined_at)
    SELECT :tenant, :txn, CAST(:joining_id AS uuid), :issued_at FROM allowed
     WHERE CAST(:joining_id AS uuid) IS NOT NULL AND (
        SELECT true FROM task_actors w
         WHERE w.tenant_id = :tenant AND w.txn = :txn AND w.actor_id = CAST(:joining_id AS uuid)) IS NULL
        ON CONFLICT DO NOTHING),
token AS (
    INSERT INTO tokens (tenant_id, jti, txn, client_id, subject_id, actor_ids, ancestor_ids, delegation_ids,
                        client_ids, pair_ids, party_ids, epoch_sum, basis_epoch_sum, depth_max, audience, scopes,
                        authorization_details, issued_at, expires_at, upstream, connection_id, upstream_key,
                        renewable_until, first_jti, memberships)
    SELECT :tenant, :jti, :txn, :client_id, :subject_id, :actor_ids, :ancestor_ids, :delegation_ids, :client_ids,
           :pair_ids, :party_ids, :epoch_sum, :basis_epoch_sum, :depth_max, :audience, :scopes,
           :authorization_details, :issued_at, :expires_at, :upstream, :connection_id, :upstream_key,
           :renewable_until, :first_jti,
           (SELECT coalesce(jsonb_agg(kept), '[]') FROM (
                SELECT jsonb_array_elements(CAST(:memberships AS jsonb)) AS kept
                UNION SELECT jsonb_array_elements(p.memberships) FROM paths p) AS each_once)
      FROM allowed
    RETURNING jti),
event AS (
    INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind, caller_id, subject_id, actor_ids, txn, reason,
                        request_id, detail)
    SELECT :tenant, :event_id, :issued_at, :event_type, :event_outcome, :caller_kind, :caller_id, :subject_id,
           :actor_ids, :txn, :event_reason, :request_id, :event_detail
      FROM token RETURNING id)
SELECT reason, (SELECT true FROM token) IS NOT NULL AS is_written FROM fault
"""

REMEMBER_STATEMENT = text(" ".join(REMEMBER.split())).bindparams(
    bindparam("authorization_details", type_=JSONB),
    bindparam("event_detail", type_=JSONB),
    bindparam("memberships", type_=JSONB),
    bindparam("inherited_ids", type_=IDS),
    bindparam("upstream", type_=JSONB(none_as_null=True)),
    *(
        bindparam(name, type_=tokens.c[name].type)
        for name in (
            "actor_ids",
            "ancestor_ids",
            "delegation_ids",
            "client_ids",
            "pair_ids",
            "party_ids",
            "scopes",
            "txn",
        )
    ),
)


def token_remember(
    tx: Tx,
    issue: Issue,
    event: Event,
    *,
    new_task: Task | None,
    budget: Budget | None = None,
    caller: Caller,
    now: datetime,
) -> str | None:
    """Write a token, its event, and the task that it opens, in one statement; return None when that is done.

    A ``budget`` is what its task may spend. Otherwise nothing is written, and the answer is what ended meanwhile,
    ``too_many_tasks`` of one actor, or what of the budget is spent.
    """
    issue_lock(tx, _rests_on(issue))
    recorded = event_row(tx, event, caller=caller, now=now)
    parameters = (
        _issue_parameters(tx, issue)
        | _task_parameters(issue, new_task, now)
        | _budget_parameters(issue, budget)
        | _event_parameters(recorded)
    )
    row = tx.execute(REMEMBER_STATEMENT, parameters | {"now": now}).one()
    fault: str | None = row.reason
    if row.is_written or fault is not None:
        return fault
    return str(tx.execute(OVERSPENT, {name: parameters[name] for name in SPENDING}).scalar_one())


def _rests_on(issue: Issue) -> Iterator[LockKey]:
    yield from (principal_key(party.id) for party in issue.parties)
    yield from map(client_key, issue.client_ids)
    yield from map(delegation_key, issue.delegation_ids)
    yield from map(resource_key, issue.audiences)
    yield from map(pair_key, issue.pair_ids)
    yield from map(token_key, issue.ancestor_ids)
    if issue.txn is not None:
        yield task_key(issue.txn)
    if issue.delegation_ids and issue.subject is not None:
        yield membership_key(issue.subject.id)
    if issue.connection_id is not None:
        yield connection_key(issue.connection_id)
    if issue.upstream_key is not None:
        yield subject_key(issue.upstream_key)


ISSUE_FIELDS = fields_writer(Issue, "subject", "actors", "parties", "parent_id", "basis", "upstream")


def _issue_parameters(tx: Tx, issue: Issue) -> dict[str, Any]:
    return ISSUE_FIELDS(issue) | {
        "tenant": tx.tenant_id,
        "subject_id": issue.subject.id if issue.subject else None,
        "actor_ids": [actor.id for actor in issue.actors],
        "party_ids": [party.id for party in issue.parties],
        "epoch_sum": issue.epoch_sum,
        "basis_epoch_sum": issue.basis_epoch_sum,
        "upstream": asdict(issue.upstream) if issue.upstream and issue.upstream != Upstream() else None,
    }


def _task_parameters(issue: Issue, task: Task | None, now: datetime) -> dict[str, Any]:
    epochs = {party.id: party.epoch for party in issue.parties}
    return {
        "task_delegation_id": task.delegation_id if task else None,
        "task_expires_at": task.expires_at if task else None,
        "subject_epoch": epochs[task.subject_id] if task else 0,
        "actor_epoch": epochs[task.actor_id] if task else 0,
        **count_parameters(task.actor_id if task else None, issue.jti, now),
    }


def _budget_parameters(issue: Issue, budget: Budget | None) -> dict[str, Any]:
    spends = budget or Budget()
    present, previous, *_ = (*(str(actor.id) for actor in issue.actors), None, None)
    if previous is None and issue.parent_id is not None and issue.subject is not None:
        previous = str(issue.subject.id)  # an agent that hands on a token for itself
    is_counted = spends.fan_out is not None and issue.first_jti is None
    return {
        "joining_id": present if issue.txn else None,
        "handing_id": previous if is_counted else None,
        "is_budgeted": budget is not None,
        "tokens_max": _most(spends.tokens),
        "tokens_per_minute_max": _most(spends.tokens_per_minute),
        "fan_out_max": _most(spends.fan_out),
    }


def _most(limit: int | None) -> int:
    return UNLIMITED if limit is None else limit


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


def token_revoke(tx: Tx, jtis: Collection[UUID], *, now: datetime) -> bool:
    """Revoke these tokens; False when all of them were already, or are not there."""
    tx.ends.update(map(token_key, jtis))
    statement = (
        update(tokens)
        .where(
            tokens.c.tenant_id == tx.tenant_id,
            tokens.c.jti == any_(literal(list(jtis), IDS)),
            tokens.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    return tx.execute(statement).rowcount > 0


# --- cut-offs --------------------------------------------------------------------------------------------------

CUTOFFS = RowMapper(cutoffs, ListedCutoff)


def cutoff_set(tx: Tx, kind: CutoffKind, key: str, *, reason: str, now: datetime) -> None:
    """Let everything issued for ``key`` up to ``now`` be dead."""
    statement = insert(cutoffs).values(tenant_id=tx.tenant_id, kind=kind, key=key, not_before=now, reason=reason)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "kind", "key"],
            set_={
                "not_before": func.greatest(cutoffs.c.not_before, statement.excluded.not_before),
                "reason": statement.excluded.reason,
            },
        )
    )


def cutoff_list(tx: Tx, *, after: tuple[str, str] | None, limit: int) -> list[ListedCutoff]:
    """Return at most ``limit`` cut-offs in the order of kind and key."""
    statement = (
        select(*CUTOFFS.columns)
        .where(cutoffs.c.tenant_id == tx.tenant_id)
        .order_by(cutoffs.c.kind, cutoffs.c.key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(cutoffs.c.kind, cutoffs.c.key) > after)
    return CUTOFFS.all(tx.execute(statement))
