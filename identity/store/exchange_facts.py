"""Every fact that an exchange is decided on, read in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import JSONB

from identity.model.connection import Connection
from identity.model.delegation import DELEGATIONS_MAX, Delegation
from identity.model.resource import ResourceServer
from identity.model.resource_pair import ResourcePair
from identity.model.signing_key import SigningKey
from identity.model.task import Task
from identity.model.token import Party, TokenFacts
from identity.store.facts import (
    CLIENT,
    COMMON,
    PARTY,
    RETIRED_KEY,
    TASK,
    TENANT_CUT_OFF,
    ClientLookup,
    CommonFacts,
    client_parameters,
    folded,
    presented,
)
from identity.store.nesting import HAS_RESOURCE, covers
from identity.store.resources import TYPES, details_types_sql
from identity.store.rows import json_of, row_reader
from identity.store.tables import connections, delegations, resource_pairs, resources
from identity.store.tx import Tx

SERVER = json_of(resources, ResourceServer, "r", **{name: details_types_sql("r", name) for name in TYPES})

EXCHANGE = folded(f"""
WITH {CLIENT},
upstream AS (
    SELECT u.id, u.match, u.provisioned_by, {json_of(connections, Connection, "u")} AS facts, s.subject,
           u.id || ' ' || encode(sha256(convert_to(s.subject, 'UTF8')), 'hex') AS upstream_key
      FROM connections u CROSS JOIN LATERAL (SELECT CAST(:claims AS jsonb) ->> u.subject_claim AS subject) AS s
     WHERE u.tenant_id = :tenant AND u.kind = 'oidc' AND u.issuer = :issuer AND u.ended_at IS NULL),
namesakes AS (
    SELECT p.id, p.connection_id, p.deleted_at FROM principals p
     WHERE p.tenant_id = :tenant AND p.kind = 'user'
       AND p.external_id = (SELECT subject FROM upstream WHERE match = 'externalId')
       AND ((SELECT provisioned_by FROM upstream) IS NULL OR p.connection_id = (SELECT provisioned_by FROM upstream))),
person AS (
    SELECT n.id FROM namesakes n WHERE n.deleted_at IS NULL
    UNION
    SELECT f.principal_id FROM upstream u JOIN federated_subjects f ON f.connection_id = u.id AND f.subject = u.subject
     WHERE f.tenant_id = :tenant AND u.match = 'subject'),
actor AS (SELECT coalesce(
    (SELECT t.subject_id FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :actor_jti),
    (SELECT principal_id FROM client)) AS id),
source AS (SELECT t.audience FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :subject_jti),
task AS (SELECT coalesce(
    CAST(:txn AS uuid), (SELECT t.txn FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :subject_jti)) AS txn),
target AS (SELECT coalesce(CAST(:resource AS text), (SELECT audience FROM source)) AS audience),
subject AS (SELECT coalesce(
    (SELECT t.subject_id FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :subject_jti),
    (SELECT id FROM person LIMIT 1)) AS id),
{presented(":subject_jti", ":actor_jti")},
granted AS (
    SELECT d.* FROM delegations d
     WHERE d.tenant_id = :tenant AND d.ended_at IS NULL AND d.subject_id = (SELECT id FROM subject)
       AND d.actor_id = (SELECT id FROM actor) AND d.resource = (SELECT audience FROM target) AND {HAS_RESOURCE}
    UNION ALL
    SELECT d.* FROM (
        SELECT d.* FROM delegations d
         WHERE d.tenant_id = :tenant AND d.ended_at IS NULL AND d.subject_group_id IS NOT NULL
           AND d.actor_id = (SELECT id FROM actor) AND d.resource = (SELECT audience FROM target) AND {HAS_RESOURCE}
         ORDER BY d.id LIMIT :delegations_max) d
     WHERE {covers("(SELECT id FROM subject)")}),
servers AS (
    SELECT r.audience, {SERVER} AS facts FROM resources r
     WHERE r.tenant_id = :tenant AND r.deleted_at IS NULL
       AND r.audience = ANY (ARRAY[(SELECT audience FROM target), (SELECT audience FROM source)]))
SELECT {COMMON},
    (SELECT facts FROM upstream) AS upstream,
    ARRAY(SELECT id FROM person LIMIT 2) AS persons,
    (SELECT id FROM subject) AS subject_id,
    (SELECT id FROM actor) AS actor_id,
    (SELECT facts FROM presented WHERE jti = :subject_jti) AS subject_token,
    (SELECT facts FROM presented WHERE jti = :actor_jti) AS actor_token,
    (SELECT json_object_agg(p.id, {PARTY}) FROM principals p WHERE p.tenant_id = :tenant AND p.id = ANY (ARRAY(
        SELECT id FROM subject UNION SELECT id FROM actor UNION SELECT principal_id FROM client
        UNION SELECT unnest(t.party_ids) FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :subject_jti
        UNION SELECT subject_group_id FROM granted))
        ) AS parties,
    (SELECT json_agg(d.facts) FROM (
        SELECT {json_of(delegations, Delegation, "d")} AS facts FROM granted d
         WHERE d.actor_end_count = (
                SELECT a.end_count FROM principals a WHERE a.tenant_id = :tenant AND a.id = d.actor_id)
           AND d.subject_end_count = (
                SELECT s.end_count FROM principals s
                 WHERE s.tenant_id = :tenant AND s.id = ANY (ARRAY[d.subject_id, d.subject_group_id]))
         ORDER BY d.id LIMIT :delegations_max) AS d) AS delegations,
    greatest(
        (SELECT max(o.not_before) FROM cutoffs o WHERE o.tenant_id = :tenant AND o.kind = 'principal'
            AND o.key = ANY (ARRAY(SELECT CAST(id AS text) FROM namesakes UNION SELECT CAST(id AS text) FROM person))),
        (SELECT o.not_before FROM cutoffs o WHERE o.tenant_id = :tenant AND o.kind = 'subject'
            AND o.key = (SELECT upstream_key FROM upstream)),
        {TENANT_CUT_OFF}) AS subject_cut_off,
    (SELECT upstream_key FROM upstream) AS upstream_key,
    (SELECT facts FROM servers WHERE audience = (SELECT audience FROM source)) AS source,
    (SELECT facts FROM servers WHERE audience = (SELECT audience FROM target)) AS target,
    (SELECT {json_of(resource_pairs, ResourcePair, "x")} FROM resource_pairs x WHERE x.tenant_id = :tenant
        AND x.source = (SELECT audience FROM source) AND x.target = (SELECT audience FROM target)) AS pair,
    (SELECT {TASK} FROM tasks k WHERE k.tenant_id = :tenant AND k.txn = (SELECT txn FROM task)) AS task,
    (SELECT b.ended_at IS NULL FROM task_actors b WHERE b.tenant_id = :tenant
        AND b.txn = (SELECT txn FROM task) AND b.actor_id = (SELECT id FROM actor)) IS TRUE AS is_in_task,
    {RETIRED_KEY} AS retired_key
  FROM tenants n WHERE n.tenant_id = :tenant
""").bindparams(bindparam("claims", type_=JSONB))


@dataclass(frozen=True, slots=True)
class ExchangeFacts:
    """The facts for a client that wants to act for a person. ``persons``: those that an upstream claim names; exactly
    one is right.

    ``subject_cut_off`` is the last one of the tenant, or of any person that the claim ever named: a person who was
    deleted and provisioned anew has another id, but an upstream token from before does not say so. ``upstream_key`` is
    that of the claimed subject. ``source`` is the resource server of the subject token where it is ours; ``target`` the
    requested one, or the same; ``pair`` what may cross from the first to the second. ``task`` is the requested one, or
    that of the subject token; ``is_in_task``: the actor took part in it, and its branch was not cancelled.
    ``retired_key`` is the key with the requested ``kid``, whether it still signs or verifies for others.
    """

    common: CommonFacts
    upstream: Connection | None
    persons: tuple[UUID, ...]
    subject_id: UUID | None
    actor_id: UUID | None
    subject_token: TokenFacts | None
    actor_token: TokenFacts | None
    parties: Mapping[UUID, Party]
    delegations: tuple[Delegation, ...]
    subject_cut_off: datetime | None
    upstream_key: str | None
    source: ResourceServer | None
    target: ResourceServer | None
    pair: ResourcePair | None
    task: Task | None
    is_in_task: bool
    retired_key: SigningKey | None


EXCHANGE_FACTS = row_reader(ExchangeFacts)


def exchange_facts_read(
    tx: Tx,
    client: ClientLookup,
    *,
    issuer: str | None,
    claims: Mapping[str, Any],
    subject_jti: UUID | None,
    actor_jti: UUID | None,
    resource: str | None,
    txn: UUID | None,
    retired_kid: str | None,
    now: datetime,
) -> ExchangeFacts:
    """Read the facts that an exchange is decided on. ``claims`` are unverified, and only choose which rows are read."""
    parameters = {
        **client_parameters(tx, client, now),
        "issuer": issuer,
        "claims": dict(claims),
        "subject_jti": subject_jti,
        "actor_jti": actor_jti,
        "resource": resource,
        "txn": txn,
        "retired_kid": retired_kid,
        "delegations_max": DELEGATIONS_MAX,
    }
    return EXCHANGE_FACTS(tx.execute(EXCHANGE, parameters).one())
