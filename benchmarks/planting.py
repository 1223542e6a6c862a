"""Tenants of any size, their rows written by the database itself: as if each user had been created over SCIM."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Engine

from benchmarks.directory import ADMINISTRATOR, USER, user_document
from benchmarks.stage import owner
from identity.actions.connections import create_scim_connection
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.tenants import create_tenant
from identity.model.connection import Dialect
from identity.model.difference import differences
from identity.model.ids import TenantId
from identity.model.provisioning_log import masked_changes
from identity.store.transaction import transaction

BATCH = 1_000  # users written in one transaction: the row that counts them gets a version for each until the commit
TEAM = 50  # users in a group; each is in one
CROWD_SHARE = 10  # every tenth is in the one large group, too

PERSON = "CAST('01900000-0000-7000-8000-' || lpad(to_hex({n}), 12, '0') AS uuid)"
GROUP = "CAST('01900000-0001-7000-8000-' || lpad(to_hex({n}), 12, '0') AS uuid)"
CROWD = UUID("01900000-0002-7000-8000-000000000001")

# A number in a document is where the text 987654321 stands in the one that Python would write.
NUMBER = 987654321
DOCUMENT = "replace({document}, '987654321', n::text)::jsonb"

PEOPLE = f"""
INSERT INTO principals (tenant_id, id, kind, connection_id, state, name, name_key, external_id, display_name,
                        display_name_key, document, created_at, updated_at)
SELECT %(tenant)s, {PERSON.format(n="n")}, 'user', %(connection)s, 'active', 'user-' || n || '@example.com',
       'user-' || n || '@example.com', 'ext-' || n, 'Person Number ' || n, 'person number ' || n,
       {DOCUMENT.format(document="%(document)s::text")}, now(), now()
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""
EMAILS = f"""
INSERT INTO principal_emails (tenant_id, principal_id, position, value_key, type)
SELECT %(tenant)s, {PERSON.format(n="n")}, 0, 'user-' || n || '@example.com', 'work'
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""
EVENTS = f"""
INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind, caller_id, subject_id, request_id, detail)
SELECT %(tenant)s, {PERSON.format(n="n")}, now(), 'user.created', 'done', 'connection', %(connection)s::text,
       {PERSON.format(n="n")}, md5(n::text), '{{"state": "active", "members": 0}}'
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""
REQUESTS = f"""
INSERT INTO provisioning_requests (tenant_id, id, connection_id, at, request_id, method, path, resource_type,
                                   principal_id, name, name_key, body, changes, outcome, status, duration_ms)
SELECT %(tenant)s, {PERSON.format(n="n")}, %(connection)s, now(), md5(n::text), 'POST', '/Users', 'User',
       {PERSON.format(n="n")}, 'user-' || n || '@example.com', 'user-' || n || '@example.com',
       {DOCUMENT.format(document="%(body)s::text")}, {DOCUMENT.format(document="%(changes)s::text")}, 'done', 201, 3
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""
TEAMS = f"""
INSERT INTO principals (tenant_id, id, kind, connection_id, state, name, name_key, display_name, display_name_key,
                        document, created_at, updated_at)
SELECT %(tenant)s, {GROUP.format(n="n")}, 'group', %(connection)s, 'active', 'Team ' || n, 'team ' || n, 'Team ' || n,
       'team ' || n, jsonb_build_object('displayName', 'Team ' || n), now(), now()
  FROM generate_series(%(first)s::int / {TEAM}, %(last)s::int / {TEAM}) AS n
"""
MEMBERS = f"""
INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
SELECT %(tenant)s, {GROUP.format(n=f"n / {TEAM}")}, {PERSON.format(n="n")}, now()
  FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""
THE_CROWD = f"""
INSERT INTO principals (tenant_id, id, kind, connection_id, state, name, name_key, display_name, display_name_key,
                        document, created_at, updated_at)
VALUES (%(tenant)s, '{CROWD}', 'group', %(connection)s, 'active', 'Crowd', 'crowd', 'Crowd', 'crowd',
        '{{"displayName": "Crowd"}}', now(), now())
"""
OF_THE_CROWD = f"""
INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
SELECT %(tenant)s, '{CROWD}', {PERSON.format(n="n")}, now() FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """One tenant: users 0 to ``users`` - 1, of whom the first ``crowd`` are in the one large group."""

    slug: str
    token: str
    tenant_id: TenantId
    users: int

    @property
    def crowd(self) -> int:
        """How many are in the large group."""
        return self.users // CROWD_SHARE

    @property
    def scim(self) -> str:
        """The path of its endpoint."""
        return f"/t/{self.slug}/scim/v2"


def person(number: int) -> UUID:
    """Return the id of a user."""
    return UUID(f"01900000-0000-7000-8000-{number:012x}")


def plant_tenant(
    engine: Engine, owner_url: str, encryption: EnvelopeEncryption, users: int, report: Callable[[int], None]
) -> Planted:
    """Write a tenant. ``report`` is given how many users there are so far."""
    tenant_id, slug, now = TenantId(uuid4()), f"scale-{secrets.token_hex(4)}", datetime.now(UTC)
    token = f"idf_scim_{secrets.token_urlsafe(32)}"
    with transaction(engine, tenant_id) as tx:
        create_tenant(tx, slug=slug, display_name=slug, encryption=encryption, caller=ADMINISTRATOR, now=now)
        source = create_scim_connection(
            tx, name="people", dialect=Dialect.RFC, token=token, caller=ADMINISTRATOR, now=now
        )
    planted = Planted(slug, token, tenant_id, users)
    with owner(owner_url) as connection:
        connection.execute(f"SET app.tenant = '{UUID(str(tenant_id))}'")
        _fill(connection, planted, source.id, report)
    return planted


def _fill(connection: psycopg.Connection, planted: Planted, source: UUID, report: Callable[[int], None]) -> None:
    document = user_document(NUMBER)
    changes = [[change.attribute, change.old, change.new] for change in masked_changes(differences({}, document))]
    fixed = {
        "tenant": planted.tenant_id,
        "connection": source,
        "document": json.dumps(document),
        "body": json.dumps({"schemas": [USER], **document}),
        "changes": json.dumps(changes),
    }
    for first in range(0, planted.users, BATCH):
        last = min(first + BATCH, planted.users) - 1
        with connection.transaction():
            for statement in (PEOPLE, EMAILS, EVENTS, REQUESTS, TEAMS, MEMBERS):
                connection.execute(statement, fixed | {"first": first, "last": last}, prepare=False)
        report(last + 1)
    with connection.transaction():
        connection.execute(THE_CROWD, fixed)
        if planted.crowd:
            connection.execute(OF_THE_CROWD, fixed | {"first": 0, "last": planted.crowd - 1})
