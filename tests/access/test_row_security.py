"""The wall a second time, in PostgreSQL: what a forgotten WHERE would show is nothing, and what opens it stops us."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from config.app import create_app
from config.settings import load_settings
from dev.postgres import SUPERUSER
from identity.model.errors import Refusal, Unavailable
from identity.model.ids import TenantId
from identity.store import Tx
from identity.store.tables import metadata
from identity.store.transaction import make_engine, transaction
from server.schema import migrate
from tests.access.owned_objects import Estate

TABLES = sorted(metadata.tables)
BEGIN = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.promise(4)


def rows(url: str, query: str, *parameters: object, role: str | None = None) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        if role:
            connection.execute(f"SET ROLE {role}".encode())
        return connection.execute(query.encode(), parameters).fetchall()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        connection.execute(statement.encode())


# --- the catalogue ---------------------------------------------------------------------------------------------


def test_every_table_has_the_wall_forced_for_reading_and_writing(owner_url: str) -> None:
    query = """
        SELECT c.relname FROM pg_class c JOIN pg_policies p ON p.tablename = c.relname AND p.schemaname = 'public'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND c.relforcerowsecurity
           AND p.policyname = 'tenant_wall' AND p.cmd = 'ALL' AND p.roles = '{public}'
           AND p.qual = '(tenant_id = (current_setting(''app.tenant''::text))::uuid)' AND p.with_check = p.qual
         ORDER BY 1"""
    assert [name for (name,) in rows(owner_url, query)] == TABLES


def test_there_are_no_other_tables_and_no_other_policies(owner_url: str) -> None:
    query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f')"
    assert {name for (name,) in rows(owner_url, query)} == {*TABLES, "alembic_version"}
    query = "SELECT tablename, policyname, cmd, roles::text FROM pg_policies WHERE policyname <> 'tenant_wall'"
    assert set(rows(owner_url, query)) == {
        ("tenants", "registry", "SELECT", "{identity_app}"),  # a slug is public: it is in every URL
        ("outbox", "relay", "ALL", "{identity_relay}"),  # ids only
    }


def test_neither_role_owns_inherits_or_bypasses_anything(owner_url: str) -> None:
    query = """
        SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolcanlogin,
               (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid),
               (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid),
               has_schema_privilege(rolname, 'public', 'CREATE')
          FROM pg_roles r WHERE rolname IN ('identity_app', 'identity_relay') ORDER BY 1"""
    assert rows(owner_url, query) == [("identity_app", False, 0, 0, False), ("identity_relay", False, 0, 0, False)]


def test_every_key_begins_with_the_tenant(owner_url: str) -> None:
    query = """
        SELECT c.relname || '.' || i.relname
          FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
         WHERE c.relnamespace = 'public'::regnamespace AND (x.indisunique OR x.indisprimary OR x.indisexclusion)
           AND a.attname <> 'tenant_id' AND c.relname <> 'alembic_version'"""
    assert rows(owner_url, query) == [("tenants.uq_tenants_slug",)]  # the registry: a slug names one issuer


def test_every_foreign_key_begins_with_the_tenant_on_both_sides(owner_url: str) -> None:
    query = """
        SELECT k.conname, a.attname, f.attname FROM pg_constraint k
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
          JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
         WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace"""
    found = rows(owner_url, query)
    assert len(found) > 20
    assert [name for name, ours, theirs in found if (ours, theirs) != ("tenant_id", "tenant_id")] == []


def test_no_view_and_no_definer_function_looks_over_the_wall(owner_url: str) -> None:
    assert rows(owner_url, "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND oid > 16384 "
                           "AND relnamespace = 'public'::regnamespace") == []  # fmt: skip
    query = "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text IN ('public', 'pgmq')"
    assert rows(owner_url, query) == []


# --- start-up --------------------------------------------------------------------------------------------------

BREAKAGES = {
    "row-level security is off on one table": "ALTER TABLE tokens DISABLE ROW LEVEL SECURITY",
    "row-level security is not forced on one table": "ALTER TABLE tokens NO FORCE ROW LEVEL SECURITY",
    "a table has no policy": "DROP POLICY tenant_wall ON tokens",
    "a table has only another policy": "ALTER POLICY tenant_wall ON tokens USING (true)",
    "a policy lets everything be written": "ALTER POLICY tenant_wall ON tokens WITH CHECK (true)",
    "a policy more, which lets everything through": "CREATE POLICY open ON tokens USING (true)",
    "a policy more, for reading": "CREATE POLICY open ON tokens FOR SELECT TO identity_app USING (true)",
    "a new table without a wall": "CREATE TABLE extra (tenant_id uuid, secret text)",
    "a view": "CREATE VIEW every_token AS SELECT * FROM tokens",
    "a materialised view": "CREATE MATERIALIZED VIEW every_token AS SELECT * FROM tokens WITH NO DATA",
    "a definer function": "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "the application owns a table": "GRANT CREATE ON SCHEMA public TO identity_app; "
                                    "ALTER TABLE tokens OWNER TO identity_app",
}  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_start_up_refuses(owner_url: str, database_url: str, breakage: str) -> None:
    key = {"key_encryption_key": "A" * 43 + "="}
    create_app(load_settings(database_url=database_url, **key))
    execute(owner_url, BREAKAGES[breakage])
    with pytest.raises(Unavailable, match="not isolated"):
        create_app(load_settings(database_url=database_url, **key))


def test_start_up_allows_a_view_that_asks_as_its_reader(owner_url: str, database_url: str) -> None:
    execute(owner_url, "CREATE VIEW mine WITH (security_invoker = true) AS SELECT * FROM tokens")
    create_app(load_settings(database_url=database_url, key_encryption_key="A" * 43 + "="))


def test_start_up_leaves_to_an_extension_what_it_owns(owner_url: str, database_url: str) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), user=SUPERUSER, autocommit=True) as superuser:
        superuser.execute("CREATE VIEW public.statistics AS SELECT 1; ALTER EXTENSION plpgsql ADD VIEW statistics")
        superuser.execute("CREATE FUNCTION public.reset() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
        superuser.execute("ALTER EXTENSION plpgsql ADD FUNCTION reset()")
    create_app(load_settings(database_url=database_url, key_encryption_key="A" * 43 + "="))


def test_migrating_again_changes_nothing(owner_url: str) -> None:
    query = "SELECT count(*), max(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    before = rows(owner_url, query)
    migrate(owner_url)
    assert rows(owner_url, query) == before


# --- rows ------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine_and_rivals(refusing_estate: Estate) -> tuple[TenantId, TenantId]:
    query = "SELECT slug, tenant_id FROM tenants"
    found = dict(rows(refusing_estate.owner_url, query, role="identity_app"))
    return found["acme"], found["rival"]  # type: ignore[return-value,index]


def refused(url: str, tenant: UUID | None, statement: str, *parameters: object, role: str = "identity_app") -> str:
    """Return the SQLSTATE with which a statement is refused, or how many rows it touched; undo it."""
    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        connection.execute(f"SET ROLE {role}".encode())
        if tenant is not None:
            connection.execute("SELECT set_config('app.tenant', %s, true)", [str(tenant)])
        try:
            return f"{connection.execute(statement.encode(), parameters).rowcount} rows"
        except psycopg.Error as error:
            return str(error.sqlstate)
        finally:
            connection.rollback()


@pytest.mark.parametrize("table", TABLES)
def test_a_statement_that_forgets_its_tenant_sees_and_touches_only_its_own(
    refusing_estate: Estate, mine_and_rivals: tuple[TenantId, TenantId], table: str
) -> None:
    url, (mine, rival) = refusing_estate.owner_url, mine_and_rivals
    theirs = f"SELECT FROM {table} WHERE tenant_id = %s"
    if table != "tenants":
        assert refused(url, mine, theirs, rival) == "0 rows"
    for change in (f"DELETE FROM {table}", f"UPDATE {table} SET tenant_id = tenant_id"):
        statement = f"{change} WHERE tenant_id = %s"
        assert refused(url, mine, statement, rival) in ("0 rows", "42501")
    assert refused(url, mine, f"INSERT INTO {table} (tenant_id) VALUES (%s)", rival) == "42501"


@pytest.mark.parametrize("table", [table for table in TABLES if table != "tenants"])
def test_without_a_tenant_nothing_is_seen_at_all(refusing_estate: Estate, table: str) -> None:
    assert refused(refusing_estate.owner_url, None, f"SELECT FROM {table}") in ("42704", "22P02")


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = 'x'", "DELETE FROM events", "TRUNCATE events"])
def test_nobody_who_serves_requests_can_rewrite_history(
    refusing_estate: Estate, mine_and_rivals: tuple[TenantId, TenantId], statement: str
) -> None:
    for role in ("identity_app", "identity_relay"):
        assert refused(refusing_estate.owner_url, mine_and_rivals[0], statement, role=role) == "42501"


@pytest.mark.parametrize("table", [table for table in TABLES if table != "outbox"])
def test_the_relay_sees_only_the_outbox(
    refusing_estate: Estate, mine_and_rivals: tuple[TenantId, TenantId], table: str
) -> None:
    for tenant in mine_and_rivals:
        assert refused(refusing_estate.owner_url, tenant, f"SELECT FROM {table}", role="identity_relay") == "42501"


def test_the_relay_may_neither_add_nor_delete_news(
    refusing_estate: Estate, mine_and_rivals: tuple[TenantId, TenantId]
) -> None:
    url, (mine, _) = refusing_estate.owner_url, mine_and_rivals
    assert refused(url, mine, "SELECT FROM outbox", role="identity_relay") not in ("0 rows", "42501")
    assert refused(url, mine, "DELETE FROM outbox", role="identity_relay") == "42501"
    assert refused(url, mine, "INSERT INTO outbox (tenant_id) VALUES (%s)", mine, role="identity_relay") == "42501"


REFERENCES = [
    ("principals", "connection_id", "connection"),
    ("connections", "provisioned_by", "connection"),
    ("clients", "principal_id", "bot"),
    ("clients", "audience", "audience"),
    ("clients", "connection_id", "connection"),
    ("delegations", "subject_id", "sam"),
    ("tasks", "delegation_id", "delegation"),
    ("tokens", "txn", "txn"),
    ("outbox", "principal_id", "sam"),
]


@pytest.mark.parametrize(("table", "column", "name"), REFERENCES)
def test_a_reference_to_the_rivals_row_is_refused_like_one_to_nothing(
    refusing_estate: Estate, mine_and_rivals: tuple[TenantId, TenantId], table: str, column: str, name: str
) -> None:
    sandbox, (mine, _) = refusing_estate, mine_and_rivals
    of_that_kind = f" WHERE {column} IS NOT NULL" if table == "clients" else ""  # a client is of one party
    statement = f"UPDATE {table} SET {column} = %s{of_that_kind}"
    theirs = refused(sandbox.owner_url, mine, statement, sandbox.rivals[name])
    assert theirs == refused(sandbox.owner_url, mine, statement, sandbox.nowhere[name]) == "23503"


# --- the pool --------------------------------------------------------------------------------------------------


class DiceError(Exception):
    """The work of a transaction goes wrong."""


def go_wrong(tx: Tx, outcome: float) -> None:
    """Let one transaction in three fail: in our code, in a statement, or with its connection."""
    if outcome < 0.2:
        raise DiceError
    if outcome < 0.3:
        tx.execute(text("SELECT 1 / 0"))
    if outcome < 0.35:
        tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.fixture
def twenty_tenants(owner_url: str, database_url: str) -> Iterator[list[TenantId]]:
    engine = make_engine(database_url, pool_size=1)
    tenants = [TenantId(uuid4()) for _ in range(20)]
    for number, tenant in enumerate(tenants):
        with transaction(engine, tenant) as tx:
            insert = text("INSERT INTO tenants (tenant_id, slug, display_name, created_at) VALUES (:t, :s, :s, :now)")
            tx.execute(insert, {"t": tenant, "s": f"tenant-{number}", "now": BEGIN})
    engine.dispose()
    yield tenants


def test_a_pooled_connection_never_remembers_a_tenant(database_url: str, twenty_tenants: list[TenantId]) -> None:
    engine = make_engine(database_url, pool_size=3)
    dice, foreign = random.Random(20261124), []

    def work(number: int) -> None:
        tenant, outcome = dice.choice(twenty_tenants), dice.random()
        try:
            with transaction(engine, tenant) as tx:
                insert = text("INSERT INTO cutoffs VALUES (:t, 'jti', :key, now())")
                tx.execute(insert, {"t": tenant, "key": str(number)})
                seen = tx.execute(text("SELECT tenant_id FROM cutoffs")).scalars().all()  # no WHERE: the wall alone
                foreign.extend(other for other in seen if other != tenant)
                go_wrong(tx, outcome)
        except (DiceError, DBAPIError, Refusal):
            pass
        if outcome > 0.9:
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT current_setting('app.tenant', true)").scalar() in (None, "")

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(work, number) for number in range(2_000)]:
            done.result()
    assert foreign == []
    with transaction(engine, twenty_tenants[0]) as tx:
        assert 0 < len(tx.execute(text("SELECT key FROM cutoffs")).all()) < 200
    engine.dispose()
