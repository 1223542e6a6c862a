"""No construct keeps the tables from being distributed, or partitioned, by tenant: in the catalogue and in the SQL."""

import re

import psycopg
import pytest

from identity.store.tables import metadata
from tests.house.statements import tables_unbound, tables_unnamed
from tests.house.test_statements import texts

pytestmark = pytest.mark.promise(4)

TABLES = sorted(metadata.tables)
REGISTRY = {"tenants"}
"""The one table that every node has whole: a slug is found in it before its tenant is known."""

LOCAL = {"alembic_version"}
"""What is no tenant's: it stays where the migrator is."""


def rows(owner_url: str, query: str) -> list[tuple[str, ...]]:
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_every_table_is_distributed_by_its_tenant_or_is_the_registry(owner_url: str) -> None:
    query = """SELECT c.relname, bool_or(a.attname = 'tenant_id' AND a.attnotnull)
                 FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY 1"""
    assert {name for name, has_tenant in rows(owner_url, query) if not has_tenant} == LOCAL


def test_whatever_is_unique_is_unique_in_a_tenant_but_for_the_registry(owner_url: str) -> None:
    query = """SELECT c.relname, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                 JOIN pg_class c ON c.oid = x.indrelid
                WHERE c.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisexclusion)
                  AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'
                                     AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]))"""
    assert {table for table, _ in rows(owner_url, query)} == REGISTRY | LOCAL


def test_every_foreign_key_pairs_the_tenant_with_the_tenant(owner_url: str) -> None:
    query = """SELECT k.conname, EXISTS (
                      SELECT FROM unnest(k.conkey, k.confkey) AS pair (ours, theirs)
                        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ours
                        JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = theirs
                       WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')
                 FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace"""
    found = rows(owner_url, query)
    assert len(found) > 20
    assert [name for name, is_paired in found if not is_paired] == []


def test_no_trigger_reads_the_rows_of_a_statement_together(owner_url: str) -> None:
    query = "SELECT tgname FROM pg_trigger WHERE tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL"
    assert rows(owner_url, query) == []


def test_no_trigger_touches_rows_of_another_tenant_than_its_row(owner_url: str) -> None:
    query = """SELECT p.proname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                 JOIN pg_class c ON c.oid = t.tgrelid
                WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace"""
    found = dict(rows(owner_url, query))
    assert found.keys() == {"outbox_wake", "principals_count_changed"}
    for name, body in found.items():
        touched = tables_unnamed(body.replace("NEW.tenant_id", ":tenant").replace(" AS kept", ""))
        writes = re.findall(r"\bINTO\s+(\w+)", body)
        assert touched == (), name
        assert len(writes) == len(re.findall(r"VALUES\s*\(\s*NEW\.tenant_id", body)), name


def test_no_statement_that_recurses_or_locks_leaves_it_to_a_join_which_tenant_it_is() -> None:
    assert {name for name, text in texts().items() if tables_unbound(text)} == set()


@pytest.mark.parametrize(
    ("statement", "is_bound"),
    [
        ("SELECT id FROM principals WHERE tenant_id = :tenant FOR UPDATE", True),
        ("SELECT id FROM principals WHERE tenant_id = %(tenant)s::UUID FOR NO KEY UPDATE OF principals", True),
        ("SELECT id FROM outbox WHERE done_at IS NULL FOR UPDATE SKIP LOCKED", False),
        ("SELECT id FROM outbox WHERE (tenant_id, id) IN (SELECT 1, 2) FOR UPDATE", False),
        (
            "SELECT 1 FROM tasks k JOIN tokens t ON t.tenant_id = k.tenant_id WHERE k.tenant_id = :tenant FOR SHARE",
            False,
        ),
        (
            "SELECT 1 FROM tasks k JOIN tokens t ON t.tenant_id = :tenant WHERE k.tenant_id = :tenant FOR KEY SHARE",
            True,
        ),
        ("WITH RECURSIVE a (id) AS (SELECT 1 UNION SELECT m.group_id FROM a, group_members m) SELECT id FROM a", False),
        ("SELECT 1 FROM tasks k JOIN tokens t ON t.tenant_id = k.tenant_id WHERE k.tenant_id = :tenant", True),
    ],
)
def test_the_rule_tells_a_bound_tenant_from_a_joined_one(statement: str, is_bound: bool) -> None:
    assert (not tables_unbound(statement)) is is_bound
