"""Every fact that a token decision rests on, read in one statement.

The parts are written once, and put together for the decisions of the token service: may this be exchanged
(``exchange_facts``), is this token active, may this client have a token for itself, does this token open the SCIM
endpoint.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from identity.model.client import Client
from identity.model.connection import Dialect
from identity.model.signing_key import SigningKey
from identity.model.task import Task
from identity.model.token import Crossing, Cutoff, GrantStatus, Party, TokenFacts
from identity.store.clients import auth_method_sql
from identity.store.nesting import CLIENT_STANDS, DELEGATION_STANDS, TASK_STANDS, covers, memberships_hold
from identity.store.rows import json_of, row_reader
from identity.store.tables import (
    clients,
    connections,
    cutoffs,
    delegations,
    principals,
    resource_pairs,
    resources,
    signing_keys,
    tasks,
    tokens,
)
from identity.store.tx import Tx

CLIENT = f"""
client AS (
    SELECT c.client_id, c.principal_id, {json_of(clients, Client, "c", auth_method=auth_method_sql("c"))} AS facts,
           {CLIENT_STANDS} AS stands
      FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = :client_id),
fresh AS (
    INSERT INTO used_assertions (tenant_id, client_id, jti_hash, expires_at)
    SELECT :tenant, client.client_id, CAST(:assertion_hash AS bytea), CAST(:assertion_expires_at AS timestamptz)
      FROM client WHERE CAST(:assertion_hash AS bytea) IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING 1)"""

PARTY = json_of(principals, Party, "p")
STATE_OF_TASK = f"CASE WHEN k.state <> 'open' OR {TASK_STANDS} THEN k.state ELSE 'cancelled' END"
TASK = json_of(tasks, Task, "k", state=STATE_OF_TASK)
TENANT_CUT_OFF = """(SELECT o.not_before FROM cutoffs o
      WHERE o.tenant_id = :tenant AND o.kind = 'tenant' AND o.key = CAST(:tenant AS text))"""

DELEGATION_STATUS = json_of(
    delegations,
    GrantStatus,
    "d",
    is_active=f"({DELEGATION_STANDS} AND (t.memberships IS NOT NULL OR {covers('t.subject_id')})) IS TRUE",
)
LASTING = {"max_lifetime_s": "NULL", "expires_at": "NULL"}
CLIENT_STATUS = json_of(clients, GrantStatus, "c", id="c.client_id", is_active=f"{CLIENT_STANDS} IS TRUE", epoch="0",
                        **LASTING)  # fmt: skip
RESOURCE_STATUS = json_of(resources, GrantStatus, "v", id="v.audience", is_active="v.deleted_at IS NULL", **LASTING)
TOKEN = json_of(
    tokens,
    TokenFacts,
    "t",
    tenant_state="(SELECT e.state FROM tenants e WHERE e.tenant_id = :tenant)",
    is_revoked="""t.revoked_at IS NOT NULL OR EXISTS (SELECT FROM tokens a
        WHERE a.tenant_id = :tenant AND a.jti = ANY (t.ancestor_ids) AND a.revoked_at IS NOT NULL)""",
    parties=f"""(SELECT json_agg({PARTY}) FROM principals p
                  WHERE p.tenant_id = :tenant AND p.id = ANY (t.party_ids))""",
    delegations=f"""(SELECT json_agg({DELEGATION_STATUS}) FROM delegations d
                      WHERE d.tenant_id = :tenant AND d.id = ANY (t.delegation_ids))""",
    memberships_hold=memberships_hold("t.memberships"),
    crossings=f"""(SELECT json_agg({json_of(resource_pairs, Crossing, "x", pair_id="x.id", audience="x.source")})
                     FROM resource_pairs x WHERE x.tenant_id = :tenant AND x.id = ANY (t.pair_ids))""",
    resources=f"""(
        SELECT json_agg({RESOURCE_STATUS})
          FROM resources v WHERE v.tenant_id = :tenant AND v.audience = ANY (t.audience || ARRAY(
                SELECT x.source FROM resource_pairs x WHERE x.tenant_id = :tenant AND x.id = ANY (t.pair_ids))))""",
    connection_epoch="""coalesce((
        SELECT u.epoch FROM connections u WHERE u.tenant_id = :tenant AND u.id = t.connection_id), 0)""",
    is_connection_active="""t.connection_id IS NULL OR (
        SELECT u.ended_at IS NULL FROM connections u WHERE u.tenant_id = :tenant AND u.id = t.connection_id)""",
    clients=f"""(SELECT json_agg({CLIENT_STATUS})
                   FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = ANY (t.client_ids))""",
    task_state=STATE_OF_TASK,
    task_expires_at="k.expires_at",
    is_branch_active="""(SELECT true FROM task_actors b WHERE b.tenant_id = :tenant AND b.txn = t.txn
                        AND b.actor_id = ANY (t.actor_ids) AND b.ended_at IS NOT NULL LIMIT 1) IS NULL""",
    cutoffs=f"""(SELECT json_agg({json_of(cutoffs, Cutoff, "o")})
                  FROM (SELECT 'tenant' AS kind, CAST(:tenant AS text) AS key
                        UNION ALL SELECT 'principal', CAST(id AS text) FROM unnest(t.party_ids) AS id
                        UNION ALL SELECT 'client', id FROM unnest(t.client_ids) AS id
                        UNION ALL SELECT 'task', CAST(t.txn AS text)
                        UNION ALL SELECT 'subject', t.upstream_key
                        UNION ALL SELECT 'jti', CAST(id AS text) FROM unnest(t.ancestor_ids || t.jti) AS id) AS i
                 CROSS JOIN LATERAL (SELECT kind, key, not_before FROM cutoffs
                                      WHERE tenant_id = :tenant AND kind = i.kind AND key = i.key OFFSET 0) AS o)""",
)


def presented(*jtis: str) -> str:
    """Return the CTE of the tokens with these ids, each with the present state of all that it rests on."""
    return f"""
presented (jti, facts) AS (
    SELECT t.jti, {TOKEN} FROM tokens t LEFT JOIN tasks k ON k.tenant_id = :tenant AND k.txn = t.txn
     WHERE t.tenant_id = :tenant AND t.jti IN ({", ".join(jtis)}))"""


KEY = json_of(signing_keys, SigningKey, "s")
RETIRED_KEY = f"""(SELECT {KEY} FROM signing_keys s
      WHERE s.tenant_id = :tenant AND s.kid = CAST(:retired_kid AS text) AND s.state = 'live')"""
KEYS = f"""(SELECT json_agg({KEY}) FROM signing_keys s
      WHERE s.tenant_id = :tenant AND s.state = 'live' AND (s.verify_until IS NULL OR s.verify_until > :now))"""

COMMON = f"""
    {TENANT_CUT_OFF} AS cut_off,
    (SELECT facts FROM client) AS client, (SELECT stands FROM client) IS TRUE AS client_stands,
    (SELECT count(*) FROM fresh) = 1 AS is_fresh,
    n.state AS tenant_state, n.task_lifetime_max_s, n.max_task_s, {KEYS} AS keys"""


def folded(statement: str) -> TextClause:
    """Return a statement with its blanks folded: the driver keeps only short statements parsed."""
    return text(" ".join(statement.split()))


ITSELF = folded(f"""
WITH {CLIENT}
SELECT {COMMON},
    (SELECT {PARTY} FROM principals p
      WHERE p.tenant_id = :tenant AND p.id = (SELECT principal_id FROM client)) AS principal,
    r.scopes AS resource_scopes, coalesce(r.epoch, 0) AS resource_epoch,
    (SELECT {TASK} FROM tasks k WHERE k.tenant_id = :tenant AND k.txn = CAST(:txn AS uuid)) AS task
  FROM tenants n
  LEFT JOIN resources r ON r.tenant_id = :tenant AND r.audience = :resource AND r.deleted_at IS NULL
 WHERE n.tenant_id = :tenant
""")

LIFE = folded(f"""
WITH {CLIENT}, {presented(":jti")}
SELECT {COMMON}, (SELECT facts FROM presented) AS token, {RETIRED_KEY} AS retired_key
  FROM tenants n WHERE n.tenant_id = :tenant
""")


@dataclass(frozen=True, slots=True)
class ClientLookup:
    """Which client claims to ask; ``assertion_hash`` is spent by being asked about, in the same statement."""

    client_id: str
    assertion_hash: bytes | None = None
    assertion_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CommonFacts:
    """What every question of the token service needs. ``is_fresh``: the assertion had not been seen before.
    ``client_stands``: it is not revoked, nor has its principal or its connection ended. ``cut_off``: everything in the
    tenant that was issued up to then is dead, and what was used up to then may not be known here.
    """

    client: Client | None
    client_stands: bool
    is_fresh: bool
    tenant_state: str
    task_lifetime_max_s: int
    max_task_s: int
    keys: tuple[SigningKey, ...]
    cut_off: datetime | None


@dataclass(frozen=True, slots=True)
class ClientCredentialsFacts:
    """For a client that asks for a token for itself; scopes and epoch are of the resource server that it names, and
    ``task`` is the one that it names.
    """

    common: CommonFacts
    principal: Party | None
    resource_scopes: tuple[str, ...] | None
    resource_epoch: int
    task: Task | None


@dataclass(frozen=True, slots=True)
class TokenStatusFacts:
    """For a client that asks whether a token is alive."""

    common: CommonFacts
    token: TokenFacts | None
    retired_key: SigningKey | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A live SCIM connection, as far as a request of it needs; and the version of its tenant's catalogue."""

    connection_id: UUID
    dialect: Dialect
    catalogue_version: int


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """For who presents a token at the SCIM endpoint. ``source``: the live connection whose client obtained it."""

    token: TokenFacts | None
    source: Source | None
    keys: tuple[SigningKey, ...]


SOURCE = json_of(connections, Source, "u", connection_id="u.id", catalogue_version="n.catalogue_version")
ACCESS = folded(f"""
WITH {presented(":jti")}
SELECT {KEYS} AS keys, (SELECT facts FROM presented) AS token,
    (SELECT {SOURCE} FROM connections u
      WHERE u.tenant_id = :tenant AND u.kind = 'scim' AND u.ended_at IS NULL AND u.id = (
            SELECT c.connection_id FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = (
                SELECT t.client_id FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :jti))) AS source
  FROM tenants n WHERE n.tenant_id = :tenant
""")
CLIENT_CREDENTIALS_FACTS = row_reader(ClientCredentialsFacts)
TOKEN_STATUS_FACTS = row_reader(TokenStatusFacts)
ACCESS_FACTS = row_reader(AccessFacts)


def itself_facts_read(
    tx: Tx, client: ClientLookup, *, resource: str | None, txn: UUID | None, now: datetime
) -> ClientCredentialsFacts:
    """Read the facts that a token for the client itself is decided on."""
    parameters = client_parameters(tx, client, now) | {"resource": resource, "txn": txn}
    return CLIENT_CREDENTIALS_FACTS(tx.execute(ITSELF, parameters).one())


def life_facts_read(
    tx: Tx, client: ClientLookup, *, jti: UUID | None, retired_kid: str | None, now: datetime
) -> TokenStatusFacts:
    """Read the facts that say whether one token is active. ``retired_kid`` names a key that others may not verify with
    any more.
    """
    parameters = client_parameters(tx, client, now) | {"jti": jti, "retired_kid": retired_kid}
    return TOKEN_STATUS_FACTS(tx.execute(LIFE, parameters).one())


def access_facts_read(tx: Tx, *, jti: UUID | None, now: datetime) -> AccessFacts:
    """Read the facts that say whether one token opens the SCIM endpoint."""
    return ACCESS_FACTS(tx.execute(ACCESS, {"tenant": tx.tenant_id, "now": now, "jti": jti}).one())


def client_parameters(tx: Tx, client: ClientLookup, now: datetime) -> dict[str, Any]:
    """Return the parameters of every one of these statements: the tenant, the time and the client."""
    return {
        "tenant": tx.tenant_id,
        "now": now,
        "client_id": client.client_id,
        "assertion_hash": client.assertion_hash,
        "assertion_expires_at": client.assertion_expires_at,
    }
