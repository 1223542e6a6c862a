"""The tables of a fresh installation, each partitioned by hash of its tenant: what docs/scale.md says, as a program."""

from collections.abc import Iterator
from uuid import UUID

import psycopg

from identity.store.tables import metadata

PARTITIONS = 4
REGISTRY = "tenants"
"""Stays whole: its slug is unique over all tenants."""

PARTS = """
SELECT json_build_object(
    'keys', ARRAY(SELECT format('ALTER TABLE %1$I ADD CONSTRAINT %2$I %3$s', '{table}', conname,
                                pg_get_constraintdef(oid))
                    FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype IN ('p', 'u')),
    'foreign', ARRAY(SELECT format('ALTER TABLE %1$I ADD CONSTRAINT %2$I %3$s', '{table}', conname,
                                   replace(pg_get_constraintdef(oid), ' NOT VALID', ''))
                       FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'f'),
    'names', ARRAY(SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'f'),
    'indexes', ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{table}'::regclass
                        AND NOT EXISTS (SELECT FROM pg_constraint
                                         WHERE conindid = indexrelid AND contype IN ('p', 'u'))),
    'triggers', ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = '{table}'::regclass
                         AND NOT tgisinternal),
    'policies', ARRAY(SELECT format('CREATE POLICY %I ON %I FOR %s TO %s USING (%s) %s', policyname, tablename, cmd,
                                    array_to_string(roles, ', '), qual, 'WITH CHECK (' || with_check || ')')
                        FROM pg_policies WHERE schemaname = 'public' AND tablename = '{table}'),
    'rights', ARRAY(SELECT format('GRANT %s ON %I TO %s', privilege_type, relname, grantee::regrole)
                      FROM pg_class c CROSS JOIN aclexplode(c.relacl) WHERE c.oid = '{table}'::regclass
                       AND grantee <> c.relowner))
"""


def partition(owner_url: str) -> None:
    """Make every table anew in parts. The tables are empty, and nothing runs."""
    tables = [table for table in metadata.tables if table != REGISTRY]
    with psycopg.connect(owner_url.replace("+psycopg", "", 1)) as connection:
        connection.execute(
            f"SET app.tenant = '{UUID(int=0)}'".encode()
        )  # who validates a foreign key asks under policies
        parts = {table: _parts(connection, table) for table in tables}
        for statement in _statements(parts):
            connection.execute(statement.encode())


def _parts(connection: psycopg.Connection, table: str) -> dict[str, list[str]]:
    [row] = connection.execute(PARTS.format(table=table).encode()).fetchall()
    found: dict[str, list[str]] = row[0]
    return found


def _statements(parts: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    for table, of in parts.items():
        yield from (f"ALTER TABLE {table} DROP CONSTRAINT {name}" for name in of["names"])
    for table, of in parts.items():
        yield f"ALTER TABLE {table} RENAME TO {table}_whole"
        yield f"""CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
                  PARTITION BY HASH (tenant_id)"""
        yield f"DROP TABLE {table}_whole"
        for number in range(PARTITIONS):
            part = f"{table}_{number}"
            yield f"CREATE TABLE {part} PARTITION OF {table} FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            yield f"ALTER TABLE {part} ALTER COLUMN tenant_id SET (n_distinct = 1)"
            yield f"ALTER TABLE {part} ENABLE ROW LEVEL SECURITY"
            yield f"ALTER TABLE {part} FORCE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        for kind in ("keys", "indexes", "triggers", "policies", "rights"):
            yield from of[kind]
    for of in parts.values():
        yield from of["foreign"]
