"""Tasks that an agent opens by themselves, before any token of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from identity.model.delegation import DELEGATIONS_MAX
from identity.model.task import Task, budget_document
from identity.model.token import Party
from identity.store.locks import client_key, issue_lock, principal_key
from identity.store.nesting import CLIENT_IS_ACTIVE, DELEGATION_IS_IN_FORCE, covers
from identity.store.rows import fields_writer
from identity.store.tables import tasks
from identity.store.tables.schema import IDS
from identity.store.task_counts import TOO_MANY, count_parameters, opened
from identity.store.tx import Tx

# Subject, opener and client are looked at once more, under the locks that hold cuts off: a task is never opened for one
# that was cut. What its tokens rest on besides is decided with each of them.
OPEN = f"""
WITH parties AS (
    SELECT coalesce(sum(p.epoch), 0) AS epoch_sum, count(*) AS alive FROM principals p
     WHERE p.tenant_id = :tenant AND p.id = ANY (CAST(:party_ids AS uuid[])) AND p.state = 'active'),
fault (reason) AS (SELECT CASE
    WHEN (SELECT epoch_sum <> :epoch_sum OR alive <> cardinality(CAST(:party_ids AS uuid[])) FROM parties)
        THEN 'party_cut_off'
    WHEN (SELECT {CLIENT_IS_ACTIVE} FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = :client_id) IS NOT TRUE
        THEN 'client_revoked'
    WHEN {TOO_MANY} THEN 'too_many_tasks'
    END),
{opened()},
task AS (
    INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, authorization_details,
                       state, subject_epoch, actor_epoch, purpose, authority, budget, created_at, expires_at)
    SELECT :tenant, :txn, :subject_id, :task_actor_id, :delegation_id, :audience, :scopes, :authorization_details,
           :state, :subject_epoch, :actor_epoch, :purpose, :authority, :budget, :now, :expires_at
      FROM fault WHERE reason IS NULL)
SELECT reason FROM fault
"""

OPEN_STATEMENT = text(" ".join(OPEN.split())).bindparams(
    bindparam("party_ids", type_=IDS),
    bindparam("authorization_details", type_=JSONB),
    bindparam("authority", type_=JSONB(none_as_null=True)),
    bindparam("budget", type_=JSONB(none_as_null=True)),
    *(
        bindparam(name, type_=tasks.c[name].type)
        for name in ("txn", "subject_id", "delegation_id", "audience", "scopes", "purpose", "expires_at")
    ),
)

# An agent's delegations for groups are as many as administrators grant; the first that covers the person will do.
STANDING = f"""
SELECT true FROM (
    SELECT d.* FROM delegations d
     WHERE d.tenant_id = :tenant AND d.ended_at IS NULL AND d.subject_id = :subject_id AND d.actor_id = :actor_id
    UNION ALL (
    SELECT d.* FROM delegations d
     WHERE d.tenant_id = :tenant AND d.ended_at IS NULL AND d.subject_group_id IS NOT NULL AND d.actor_id = :actor_id
     ORDER BY d.resource, d.id LIMIT :most)) d
 WHERE {DELEGATION_IS_IN_FORCE} AND {covers(":subject_id")}
 LIMIT 1
"""
STANDING_STATEMENT = text(" ".join(STANDING.split()))

LOOKED_THROUGH_MAX = 10 * DELEGATIONS_MAX
"""An agent's delegations for groups that are read, at most, to find one that covers a person."""


TASK_FIELDS = fields_writer(Task, "actor_id", "created_at", "ended_at", "budget")


def task_open(tx: Tx, task: Task, *, subject: Party, actor: Party, client_id: str, now: datetime) -> str | None:
    """Write a task; return None when that is done, else why nothing was: what was cut, or ``too_many_tasks``."""
    parties = {party.id: party for party in (subject, actor)}
    issue_lock(tx, [client_key(client_id), *map(principal_key, parties)])
    parameters = {
        "tenant": tx.tenant_id,
        "party_ids": list(parties),
        "epoch_sum": sum(party.epoch for party in parties.values()),
        "client_id": client_id,
        **TASK_FIELDS(task),
        "subject_epoch": subject.epoch,
        "actor_epoch": actor.epoch,
        "budget": None if task.budget is None else budget_document(task.budget),
        **count_parameters(task.actor_id, task.txn, now),
        "now": now,
    }
    fault: str | None = tx.execute(OPEN_STATEMENT, parameters).scalar_one()
    return fault


def delegation_exists_for(tx: Tx, *, actor_id: UUID, subject_id: UUID, now: datetime) -> bool:
    """Return whether an agent may act for a principal at any resource server at all."""
    parameters = {"tenant": tx.tenant_id, "actor_id": actor_id, "subject_id": subject_id, "now": now}
    return tx.execute(STANDING_STATEMENT, parameters | {"most": LOOKED_THROUGH_MAX}).scalar() is True
