"""Tenants in a schema of any age, written with the columns that the first one had: what an old version left behind."""

from uuid import UUID

import psycopg

TENANTS = tuple(UUID(int=0xACE << 96 | 7 << 76 | 2 << 62 | number) for number in range(3))
AUDIENCE = "https://erp.example"

# An id is a kind and a number. Of the agents, numbers 1 to 5 were suspended by an administrator, 6 to 10 because their
# last owner left, 11 by somebody of whom the audit log says nothing.
ID = "CAST('01900000-' || {kind} || '-7000-8000-' || lpad(to_hex({n}), 12, '0') AS uuid)"


def id_of(kind: str, number: int | str) -> str:
    """Return the SQL of an id; ``kind`` has four hexadecimal digits."""
    return ID.format(kind=f"'{kind}'", n=f"({number})::bigint")


USER, GROUP, AGENT, TASK, TOKEN, DELEGATION, OTHER = "000a", "000b", "000c", "000d", "000e", "000f", "0010"
PRINCIPAL = "tenant_id, id, kind, connection_id, state, name, name_key, document, epoch, created_at, updated_at"

ROWS = (
    "INSERT INTO tenants (tenant_id, slug, display_name, created_at) VALUES (%(tenant)s, %(slug)s, %(slug)s, now())",
    f"""INSERT INTO connections (tenant_id, id, kind, name, dialect, created_at)
        VALUES (%(tenant)s, {id_of(OTHER, 1)}, 'scim', 'directory', 'rfc', now())""",
    f"""INSERT INTO connection_tokens (tenant_id, id, connection_id, hash, created_at)
        VALUES (%(tenant)s, {id_of(OTHER, 2)}, {id_of(OTHER, 1)}, sha256('x'), now())""",
    f"""INSERT INTO resources (tenant_id, audience, scopes, created_at)
        VALUES (%(tenant)s, '{AUDIENCE}', '{{read}}', now())""",
    f"""INSERT INTO principals ({PRINCIPAL})
        SELECT %(tenant)s, {id_of(USER, "n")}, 'user', {id_of(OTHER, 1)}, 'active', 'user-' || n, 'user-' || n, '{{}}',
               n %% 3, now(), now() FROM generate_series(1, %(users)s) n""",
    f"""INSERT INTO principals ({PRINCIPAL})
        SELECT %(tenant)s, {id_of(GROUP, "n")}, 'group', CASE WHEN n > 1 THEN {id_of(OTHER, 1)} END, 'active',
               'group-' || n, 'group-' || n, '{{}}', 0, now(), now() FROM generate_series(1, 3) n""",
    f"""INSERT INTO principals ({PRINCIPAL})
        SELECT %(tenant)s, {id_of(AGENT, "n")}, 'agent', NULL, CASE WHEN n > 11 THEN 'active' ELSE 'suspended' END,
               'agent-' || n, 'agent-' || n, '{{}}', n %% 5, now(), now() FROM generate_series(1, 40) n""",
    f"""INSERT INTO events (tenant_id, id, at, type, outcome, caller_kind, subject_id, reason)
        SELECT %(tenant)s, {id_of(OTHER, "100 + n")}, now(), 'agent.suspended', 'done',
               CASE WHEN n > 5 THEN 'worker' ELSE 'administrator' END, {id_of(AGENT, "n")},
               CASE WHEN n > 5 THEN 'no_active_owner' ELSE 'a theft' END FROM generate_series(1, 10) n""",
    f"""INSERT INTO group_members (tenant_id, group_id, member_id, added_at)
        SELECT %(tenant)s, {id_of(GROUP, "1 + n %% 3")}, {id_of(USER, "n")}, now() FROM generate_series(1, %(users)s) n
        UNION ALL SELECT %(tenant)s, {id_of(GROUP, 2)}, {id_of(GROUP, 3)}, now()""",
    f"""INSERT INTO principal_owners (tenant_id, principal_id, owner_id, since)
        SELECT %(tenant)s, {id_of(AGENT, "n")}, {id_of(USER, "n")}, now() FROM generate_series(1, 20) n""",
    f"""INSERT INTO clients (tenant_id, client_id, principal_id, token_endpoint_auth_method, created_at)
        SELECT %(tenant)s, 'client-' || n, {id_of(AGENT, "n")}, 'client_secret_basic', now()
          FROM generate_series(1, 40) n""",
    f"""INSERT INTO delegations (tenant_id, id, actor_id, subject_id, resource, max_lifetime_s, max_depth, created_at)
        SELECT %(tenant)s, {id_of(DELEGATION, "n")}, {id_of(AGENT, "n")}, {id_of(USER, "n")}, '{AUDIENCE}', 60, 1, now()
          FROM generate_series(1, 40) n""",
    f"""INSERT INTO tasks (tenant_id, txn, subject_id, actor_id, delegation_id, audience, scopes, state, created_at,
                           expires_at)
        SELECT %(tenant)s, {id_of(TASK, "n")}, {id_of(USER, "n")}, {id_of(AGENT, "n")}, {id_of(DELEGATION, "n")},
               '{AUDIENCE}', '{{read}}', CASE WHEN n %% 4 = 0 THEN 'done' ELSE 'open' END, now(), now()
          FROM generate_series(1, 40) n""",
)


def plant(owner_url: str, *, users: int) -> None:
    """Write three tenants that are alike."""
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        for tenant in TENANTS:
            connection.execute(f"SET app.tenant = '{tenant}'".encode())
            for statement in ROWS:
                values = {"tenant": tenant, "slug": f"tenant-{tenant.int % 8}", "users": users}
                connection.execute(statement.encode(), values)
