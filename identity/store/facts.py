"""Every fact that a token decision rests on, read in one statement.

The parts are written once and put together for the four questions that are asked of them: may this be exchanged
(``exchange_facts``), is this token alive, may this client have a token for itself, does this token open the SCIM
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
from identity.model.token import Party, TokenFacts
from identity.store.json_rows import client_from, key_from, key_or_none, parties_from, task_or_none, token_from
from identity.store.nesting import (
    CLIENT_STANDS,
    DELEGATION_STANDS,
    RESOURCE_STANDS,
    TASK_STANDS,
    covers,
    memberships_hold,
)
from identity.store.tx import Tx

CLIENT = """
client AS (
    SELECT c.client_id, c.client_name, c.principal_id, c.audience, c.connection_id, c.token_endpoint_auth_method,
           c.posts_secret, encode(c.secret_hash, 'hex') AS secret_hash, c.jwks, c.scopes, c.grant_types, c.version,
           c.created_at, c.revoked_at, {CLIENT_STANDS} AS stands
      FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = :client_id),
fresh AS (
    INSERT INTO used_assertions (tenant_id, client_id, jti_hash, expires_at)
    SELECT :tenant, client.client_id, CAST(:assertion_hash AS bytea), CAST(:assertion_expires_at AS timestamptz)
      FROM client WHERE CAST(:assertion_hash AS bytea) IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING 1)"""

PARTY = """json_build_object('id', p.id, 'kind', p.kind, 'state', p.state, 'epoch', p.epoch,
                             'valid_from', p.valid_from, 'valid_until', p.valid_until)"""

ASKED = """
asked (jti, facts) AS (SELECT t.jti, json_build_object(
    'jti', t.jti, 'txn', t.txn, 'client_id', t.client_id, 'subject_id', t.subject_id, 'actor_ids', t.actor_ids,
    'ancestor_ids', t.ancestor_ids, 'delegation_ids', t.delegation_ids, 'client_ids', t.client_ids,
    'party_ids', t.party_ids, 'epoch_sum', t.epoch_sum,
    'basis_epoch_sum', t.basis_epoch_sum, 'depth_max', t.depth_max, 'audience', t.audience,
    'scopes', t.scopes, 'authorization_details', t.authorization_details,
    'issued_at', t.issued_at, 'expires_at', t.expires_at, 'upstream', t.upstream,
    'is_revoked', t.revoked_at IS NOT NULL OR EXISTS (
        SELECT FROM tokens a WHERE a.tenant_id = :tenant AND a.jti = ANY (t.ancestor_ids) AND a.revoked_at IS NOT NULL),
    'parties', (SELECT json_agg({PARTY}) FROM principals p
                 WHERE p.tenant_id = :tenant AND p.id = ANY (t.party_ids)),
    'delegations', (SELECT json_agg(json_build_object('id', d.id, 'epoch', d.epoch, 'holds',
                        {DELEGATION_STANDS} AND (t.memberships IS NOT NULL OR {COVERS_TOKEN}),
                        'max_lifetime_s', d.max_lifetime_s, 'expires_at', d.expires_at))
                      FROM delegations d WHERE d.tenant_id = :tenant AND d.id = ANY (t.delegation_ids)),
    'memberships', t.memberships, 'memberships_hold', {MEMBERSHIPS_HOLD},
    'pair_ids', t.pair_ids, 'renewable_until', t.renewable_until, 'first_jti', t.first_jti,
    'crossings', (SELECT json_agg(json_build_object('pair_id', x.id, 'audience', x.source, 'epoch', x.epoch))
                    FROM resource_pairs x WHERE x.tenant_id = :tenant AND x.id = ANY (t.pair_ids)),
    'resources', (
        SELECT json_agg(json_build_object('id', v.audience, 'epoch', v.epoch, 'holds', v.deleted_at IS NULL))
          FROM resources v WHERE v.tenant_id = :tenant AND v.audience = ANY (t.audience || ARRAY(
                SELECT x.source FROM resource_pairs x WHERE x.tenant_id = :tenant AND x.id = ANY (t.pair_ids)))),
    'connection_epoch', (SELECT u.epoch FROM connections u WHERE u.tenant_id = :tenant AND u.id = t.connection_id),
    'connection_id', t.connection_id, 'upstream_key', t.upstream_key,
    'connection_holds', t.connection_id IS NULL OR (
        SELECT u.ended_at IS NULL FROM connections u WHERE u.tenant_id = :tenant AND u.id = t.connection_id),
    'clients', (SELECT json_agg(json_build_object('id', c.client_id, 'holds', {CLIENT_STANDS}))
                  FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = ANY (t.client_ids)),
    'task_state', CASE WHEN k.state <> 'open' OR {TASK_STANDS} THEN k.state ELSE 'cancelled' END,
    'task_expires_at', k.expires_at,
    'branch_holds', (SELECT true FROM task_actors b WHERE b.tenant_id = :tenant AND b.txn = t.txn
                        AND b.actor_id = ANY (t.actor_ids) AND b.ended_at IS NOT NULL LIMIT 1) IS NULL,
    'cutoffs', (SELECT json_agg(json_build_object('kind', o.kind, 'key', o.key, 'not_before', o.not_before))
                  FROM (SELECT 'tenant' AS kind, CAST(:tenant AS text) AS key
                        UNION ALL SELECT 'principal', CAST(id AS text) FROM unnest(t.party_ids) AS id
                        UNION ALL SELECT 'client', id FROM unnest(t.client_ids) AS id
                        UNION ALL SELECT 'task', CAST(t.txn AS text)
                        UNION ALL SELECT 'subject', t.upstream_key
                        UNION ALL SELECT 'jti', CAST(id AS text) FROM unnest(t.ancestor_ids || t.jti) AS id) AS i
                 CROSS JOIN LATERAL (SELECT kind, key, not_before FROM cutoffs
                                      WHERE tenant_id = :tenant AND kind = i.kind AND key = i.key OFFSET 0) AS o))
   FROM tokens t LEFT JOIN tasks k ON k.tenant_id = :tenant AND k.txn = t.txn
  WHERE t.tenant_id = :tenant AND t.jti IN ({jtis}))"""

TASK = """json_build_object('txn', k.txn, 'subject_id', k.subject_id, 'actor_id', k.actor_id,
        'delegation_id', k.delegation_id, 'audience', k.audience, 'scopes', k.scopes,
        'authorization_details', k.authorization_details, 'created_at', k.created_at, 'expires_at', k.expires_at,
        'ended_at', k.ended_at, 'purpose', k.purpose, 'authority', k.authority, 'budget', k.budget,
        'state', CASE WHEN k.state <> 'open' OR {TASK_STANDS} THEN k.state ELSE 'cancelled' END)"""

TENANT_CUT_OFF = """(SELECT o.not_before FROM cutoffs o
      WHERE o.tenant_id = :tenant AND o.kind = 'tenant' AND o.key = CAST(:tenant AS text))"""

KEY = """json_build_object('kid', s.kid, 'alg', s.alg, 'public_jwk', s.public_jwk,
                'sealed_private', encode(s.sealed_private, 'hex'), 'created_at', s.created_at,
                'activates_at', s.activates_at, 'verify_until', s.verify_until)"""

RETIRED_KEY = """(SELECT {KEY} FROM signing_keys s
      WHERE s.tenant_id = :tenant AND s.kid = CAST(:retired_kid AS text) AND s.state = 'live')"""

ISSUER = """
    (SELECT json_build_object('slug', n.slug, 'state', n.state, 'task_lifetime_max_s', n.task_lifetime_max_s,
                'max_task_s', n.max_task_s)
       FROM tenants n WHERE n.tenant_id = :tenant) AS tenant,
    (SELECT json_agg({KEY})
       FROM signing_keys s WHERE s.tenant_id = :tenant AND s.state = 'live'
        AND (s.verify_until IS NULL OR s.verify_until > :now)) AS keys"""

COMMON = f"""
    {TENANT_CUT_OFF} AS tenant_cut_off,
    (SELECT row_to_json(client) FROM client) AS client,
    (SELECT count(*) FROM fresh) AS fresh, {ISSUER}"""


def statement_of(template: str, **holes: str) -> TextClause:
    """Put the parts together. Blanks are folded: the driver keeps only short statements parsed."""
    parts = {"CLIENT": CLIENT, "ISSUER": ISSUER, "COMMON": COMMON, "ASKED": ASKED, "TASK": TASK}
    conditions = {
        "PARTY": PARTY,
        "KEY": KEY,
        "RETIRED_KEY": RETIRED_KEY.format(KEY=KEY),
        "TENANT_CUT_OFF": TENANT_CUT_OFF,
        "CLIENT_STANDS": CLIENT_STANDS,
        "DELEGATION_STANDS": DELEGATION_STANDS,
        "RESOURCE_STANDS": RESOURCE_STANDS,
        "TASK_STANDS": TASK_STANDS,
        "COVERS_TOKEN": covers("t.subject_id"),
        "MEMBERSHIPS_HOLD": memberships_hold("t.memberships"),
        "COVERS_SUBJECT": covers("(SELECT id FROM subject)"),
    }
    return text(" ".join(template.format(**parts, **conditions).format(**holes, **conditions).split()))


ITSELF = statement_of(
    """
WITH {CLIENT}
SELECT {COMMON},
    (SELECT json_agg({PARTY}) FROM principals p
      WHERE p.tenant_id = :tenant AND p.id = (SELECT principal_id FROM client)) AS parties,
    (SELECT json_build_object('scopes', r.scopes, 'epoch', r.epoch) FROM resources r
      WHERE r.tenant_id = :tenant AND r.audience = :resource AND r.deleted_at IS NULL) AS resource,
    (SELECT {TASK} FROM tasks k WHERE k.tenant_id = :tenant AND k.txn = CAST(:txn AS uuid)) AS task
"""
)

LIFE = statement_of(
    """
WITH {CLIENT},
{ASKED}
SELECT {COMMON},
    (SELECT facts FROM asked) AS token,
    {RETIRED_KEY} AS retired_key
""",
    jtis=":jti",
)

ACCESS = statement_of(
    """
WITH {ASKED}
SELECT {ISSUER},
    (SELECT facts FROM asked) AS token,
    (SELECT json_build_object('id', u.id, 'dialect', u.dialect, 'catalogue_version', (
            SELECT n.catalogue_version FROM tenants n WHERE n.tenant_id = :tenant)) FROM connections u
      WHERE u.tenant_id = :tenant AND u.kind = 'scim' AND u.ended_at IS NULL AND u.id = (
            SELECT c.connection_id FROM clients c WHERE c.tenant_id = :tenant AND c.client_id = (
                SELECT t.client_id FROM tokens t WHERE t.tenant_id = :tenant AND t.jti = :jti))) AS connection
""",
    jtis=":jti",
)


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
    tenant_slug: str
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


def itself_facts_read(
    tx: Tx, client: ClientLookup, *, resource: str | None, txn: UUID | None, now: datetime
) -> ClientCredentialsFacts:
    """Read what a token for the client itself is decided on."""
    row = tx.execute(ITSELF, client_parameters(tx, client, now) | {"resource": resource, "txn": txn}).one()
    parties = parties_from(row.parties)
    scopes = None if row.resource is None else tuple(row.resource["scopes"])
    epoch = 0 if row.resource is None else row.resource["epoch"]
    return ClientCredentialsFacts(
        common_from(row), parties[0] if parties else None, scopes, epoch, task_or_none(row.task)
    )


def life_facts_read(
    tx: Tx, client: ClientLookup, *, jti: UUID | None, retired_kid: str | None, now: datetime
) -> TokenStatusFacts:
    """Read what the life of one token is decided on. ``retired_kid``: a key that may not verify for others any more."""
    parameters = client_parameters(tx, client, now) | {"jti": jti, "retired_kid": retired_kid}
    row = tx.execute(LIFE, parameters).one()
    common = common_from(row)
    return TokenStatusFacts(common, token_from(row.token, common.tenant_state), key_or_none(row.retired_key))


def access_facts_read(tx: Tx, *, jti: UUID | None, now: datetime) -> AccessFacts:
    """Read what opening the SCIM endpoint with one token is decided on."""
    row = tx.execute(ACCESS, {"tenant": tx.tenant_id, "now": now, "jti": jti}).one()
    found = row.connection
    return AccessFacts(
        token=token_from(row.token, row.tenant["state"]),
        source=None
        if found is None
        else Source(UUID(found["id"]), Dialect(found["dialect"]), found["catalogue_version"]),
        keys=tuple(key_from(item) for item in row.keys or ()),
    )


def client_parameters(tx: Tx, client: ClientLookup, now: datetime) -> dict[str, Any]:
    """Return what every question says of its tenant, its time and its client."""
    return {
        "tenant": tx.tenant_id,
        "now": now,
        "client_id": client.client_id,
        "assertion_hash": client.assertion_hash,
        "assertion_expires_at": client.assertion_expires_at,
    }


def common_from(row: Any) -> CommonFacts:
    """Return what every question needs, from the row that answers it."""
    return CommonFacts(
        client=None if row.client is None else client_from(row.client),
        client_stands=row.client is not None and row.client["stands"],
        is_fresh=row.fresh == 1,
        tenant_slug=row.tenant["slug"],
        tenant_state=row.tenant["state"],
        task_lifetime_max_s=row.tenant["task_lifetime_max_s"],
        max_task_s=row.tenant["max_task_s"],
        keys=tuple(key_from(item) for item in row.keys or ()),
        cut_off=row.tenant_cut_off,
    )
