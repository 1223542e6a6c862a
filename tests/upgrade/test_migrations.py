"""Every migration runs while the tables are written, leaves what it always left, and can be taken back."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url

from server.schema import MigrationError, head_revision, migrate, migrate_down, revisions, schema_found
from tests.conftest import Server
from tests.upgrade.catalogue import catalogue, digest
from tests.upgrade.planting import AGENT, GROUP, TENANTS, id_of, plant
from tests.upgrade.writers import writing

IS_LONG = "IDENTITY_PROVE_FAULTS" in os.environ
USERS = 20_000 if IS_LONG else 500
FIRST_SERVED = "create_queue"
"""No program served the schema before it."""

CATALOGUES = {
    "create_foundation": "874750f4bd4c7097",
    "create_queue": "98fd469768fd548c",
    "create_principal_counts": "9a269410944b2c09",
    "create_provisioning_requests": "3a7b9cb5b4099ba5",
    "create_definitions": "ff0194f3def07b65",
    "create_provisioning_events": "afa7201db637e16a",
    "create_async_requests": "79f9b2816e304787",
    "hold_principals": "6ec8a2c490f537f5",
    "protect_principals": "9033e58989cbd74d",
    "add_clients_of_connections": "1e175bee3f9857cd",
    "count_ends": "694a62fec4e7ad82",
    "tell_upstream": "6c12559c9db3f089",
    "restrict_scopes_by_details": "5cbfb65b741112d3",
    "set_messages_aside": "0388c3bee70350df",
    "revoke_from_public": "0388c3bee70350df",
}
"""Of the schemas that the migrations made before they were written anew to run beside writers."""


def heads() -> tuple[str, ...]:
    """The revisions that a program served, but the last."""
    known = revisions()
    return known[known.index(FIRST_SERVED) : -1]


def test_a_migration_that_was_written_anew_makes_the_same_schema(empty_owner_url: str) -> None:
    made = {}
    for revision in CATALOGUES:
        migrate(empty_owner_url, revision)
        made[revision] = digest(catalogue(empty_owner_url))
    assert made == CATALOGUES


@pytest.mark.timeout(1200 if IS_LONG else 120)
def test_every_step_runs_beside_writers_and_moves_what_is_there(empty_owner_url: str, server: Server) -> None:
    migrate(empty_owner_url, FIRST_SERVED)
    plant(empty_owner_url, users=USERS)
    with writing(application_url(server, empty_owner_url)) as written:
        for revision in (*heads()[1:], head_revision()):
            written.wait_for(20)
            migrate(empty_owner_url, revision)
        written.wait_for(20)
    assert written.faults == []
    assert len(written.given_up) <= len(written.seconds) / 100
    if IS_LONG:
        assert max(written.seconds) < 1
    for tenant in TENANTS:
        check_moved(empty_owner_url, tenant)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("head", heads() if IS_LONG else heads()[-1:])
def test_each_earlier_head_is_brought_to_the_last_beside_writers(
    empty_owner_url: str, server: Server, head: str
) -> None:
    migrate(empty_owner_url, head)
    plant(empty_owner_url, users=USERS)
    with writing(application_url(server, empty_owner_url), threads=4) as written:
        written.wait_for(200 if IS_LONG else 20)
        begun, before = time.monotonic(), len(written.seconds)
        migrate(empty_owner_url)
        written.wait_for(50)
        rate = (len(written.seconds) - before) / (time.monotonic() - begun)
    print(f"{head}: {rate:.0f} writes/s, slowest {max(written.seconds):.3f} s, {len(written.given_up)} of "
          f"{len(written.seconds)} gave up")  # fmt: skip
    assert written.faults == []
    if IS_LONG:
        assert max(written.seconds) < 1
        assert rate >= 50


COUNTED = "SELECT kind, sum(living)::int FROM principal_counts WHERE tenant_id = %s GROUP BY 1 ORDER BY 1"
THERE = """SELECT kind, count(*)::int FROM principals WHERE tenant_id = %s AND deleted_at IS NULL
            GROUP BY 1 ORDER BY 1"""
HELD = "SELECT name FROM principals WHERE tenant_id = %s AND is_held ORDER BY id"
HELD_NAMES = [(f"agent-{number}",) for number in (1, 2, 3, 4, 5, 11)]
OWNED = "SELECT count(*) FROM principals WHERE tenant_id = %s AND was_owned"
# Of the groups that nobody wrote to meanwhile: a version before these columns writes none of them.
MEMBERS_NOT_MOVED = f"""
SELECT count(*) FROM group_members m JOIN principals g ON g.tenant_id = m.tenant_id AND g.id = m.group_id
  JOIN principals p ON p.tenant_id = m.tenant_id AND p.id = m.member_id
 WHERE m.tenant_id = %s AND m.group_id <> {id_of(GROUP, 1)} AND (m.source_id, m.nested_in) IS DISTINCT FROM
       (coalesce(g.connection_id, '{UUID(int=0)}'), CASE WHEN p.kind = 'group' THEN m.group_id END)
"""
TASKS_NOT_MOVED = f"""
SELECT count(*) FROM tasks t JOIN principals s ON s.tenant_id = t.tenant_id AND s.id = t.subject_id
  JOIN principals a ON a.tenant_id = t.tenant_id AND a.id = t.actor_id
 WHERE t.tenant_id = %s AND t.actor_id <> {id_of(AGENT, 20)} AND (t.subject_epoch, t.actor_epoch) IS DISTINCT FROM
       (CASE t.state WHEN 'open' THEN s.epoch ELSE 0 END, CASE t.state WHEN 'open' THEN a.epoch ELSE 0 END)
"""


def check_moved(owner_url: str, tenant: UUID) -> None:
    """Look at what the migrations wrote of the planted rows."""
    with connected(owner_url, tenant) as connection:

        def found(question: str) -> list[tuple[object, ...]]:
            return connection.execute(question.encode(), [tenant]).fetchall()

        assert found(COUNTED) == found(THERE)
        assert found(HELD) == HELD_NAMES
        assert found(OWNED) == [(20,)]
        assert found(MEMBERS_NOT_MOVED) == [(0,)]
        assert found(TASKS_NOT_MOVED) == [(0,)]


# --- locks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "table"),
    [
        ("hold_principals", "principals"),  # in a transaction of its own, which is tried again
        ("restrict_scopes_by_details", "resources"),  # in the migration's, which is tried again as a whole
        ("create_provisioning_events", "connections"),
    ],
)
def test_a_migration_that_finds_its_table_locked_gives_way_and_is_tried_again(
    empty_owner_url: str, revision: str, table: str
) -> None:
    before = revisions()[revisions().index(revision) - 1]
    waiting = f"SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass"
    migrate(empty_owner_url, before)
    with connected(empty_owner_url) as holder, holder.transaction():
        holder.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        migrator = threading.Thread(target=migrate, args=(empty_owner_url, revision))
        migrator.start()
        for question in (waiting, waiting.replace("> 0", "= 0"), waiting):
            wait_until(empty_owner_url, question)
        assert schema_found(empty_owner_url).revision == before
    migrator.join()
    assert schema_found(empty_owner_url).revision == revision


ORDER = ("tenants", "connections", "principals", "clients", "delegations", "tasks", "tokens", "group_members", "outbox")
"""The order in which requests lock the tables that they write."""

WAITS = """
SELECT w.relation::regclass::text, array_agg(h.relation::regclass::text) FILTER (WHERE h.relation IS NOT NULL)
  FROM pg_locks w LEFT JOIN pg_locks h ON h.pid = w.pid AND h.granted AND h.relation <> w.relation
       AND h.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       AND h.relation = ANY (%s::regclass[])
 WHERE NOT w.granted AND w.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND w.relation = ANY (%s::regclass[]) GROUP BY w.pid, w.relation
 UNION ALL
SELECT own.relation::regclass::text, NULL
  FROM pg_locks w JOIN pg_locks own ON own.pid = w.pid AND own.granted AND own.mode = 'ShareUpdateExclusiveLock'
       AND own.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 WHERE NOT w.granted AND w.locktype = 'virtualxid' AND own.relation = ANY (%s::regclass[])
"""
"""Who waits for a table, and what it holds meanwhile. The build of an index beside the writers waits for transactions
that use its table, and holds nothing that they need.
"""


def test_a_step_that_waits_for_a_table_holds_none_that_requests_lock_later(empty_owner_url: str) -> None:
    """Every table is in use; a step is let through to one after the other, and seen while it waits for each."""
    migrate(empty_owner_url, FIRST_SERVED)
    waited = set()
    for revision in (*heads()[1:], head_revision()):
        with ExitStack() as stack:
            watcher = stack.enter_context(connected(empty_owner_url))
            users = {table: in_use(empty_owner_url, table) for table in ORDER}
            migrator = threading.Thread(target=migrate, args=(empty_owner_url, revision))
            migrator.start()
            while migrator.is_alive():
                for table, held in watcher.execute(WAITS.encode(), [list(ORDER)] * 3).fetchall():
                    assert [each for each in held or () if ORDER.index(each) > ORDER.index(table)] == [], revision
                    waited.add((revision, table))
                    if table in users:
                        users.pop(table).close()
            for user in users.values():
                user.close()
        assert schema_found(empty_owner_url).revision == revision
    assert len(waited) >= 15


def in_use(owner_url: str, table: str) -> psycopg.Connection:
    """Return a connection in a transaction that writes a table."""
    connection = psycopg.connect(owner_url.replace("+psycopg", "", 1))
    connection.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
    return connection


def test_an_index_that_was_left_unfinished_is_built_anew(empty_owner_url: str) -> None:
    migrate(empty_owner_url, "hold_principals")
    migrate(empty_owner_url, "protect_principals")
    with connected(empty_owner_url) as connection:  # as a build that was stopped in the middle would leave it
        connection.execute("DROP INDEX ix_principals_protected")
        connection.execute("UPDATE alembic_version SET version_num = 'hold_principals'")
        unfinished = "CREATE UNIQUE INDEX CONCURRENTLY ix_principals_protected ON principals (tenant_id)"
    plant(empty_owner_url, users=40)
    with connected(empty_owner_url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(unfinished.encode())
    migrate(empty_owner_url, "add_clients_of_connections")
    assert digest(catalogue(empty_owner_url)) == CATALOGUES["add_clients_of_connections"]


@pytest.mark.parametrize("revision", ["create_principal_counts", "create_definitions", "count_ends"])
def test_a_step_that_was_stopped_before_its_end_is_run_again(empty_owner_url: str, revision: str) -> None:
    before = revisions()[revisions().index(revision) - 1]
    migrate(empty_owner_url, revision)
    with connected(empty_owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [before])
    migrate(empty_owner_url, revision)
    assert digest(catalogue(empty_owner_url)) == CATALOGUES[revision]


def test_holds_that_the_cascade_had_made_are_mended(empty_owner_url: str) -> None:
    migrate(empty_owner_url, "revoke_from_public")
    plant(empty_owner_url, users=40)
    for tenant in TENANTS:
        with connected(empty_owner_url, tenant) as connection:
            connection.execute("UPDATE principals SET is_held = true WHERE state = 'suspended'")
    migrate(empty_owner_url)
    for tenant in TENANTS:
        with connected(empty_owner_url, tenant) as connection:
            assert connection.execute(HELD.encode(), [tenant]).fetchall() == HELD_NAMES


def test_rows_that_a_request_has_locked_are_moved_when_it_has_ended(empty_owner_url: str) -> None:
    migrate(empty_owner_url, "count_by_row")
    plant(empty_owner_url, users=40)
    waiting = """SELECT count(*) > 0 FROM pg_stat_activity
                  WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DO%each%'"""
    with connected(empty_owner_url, TENANTS[1]) as request:
        request.execute("UPDATE principals SET is_held = true WHERE state = 'suspended'")
        with request.transaction():
            request.execute("SELECT 1 FROM principals WHERE name = 'agent-7' FOR NO KEY UPDATE")
            migrator = threading.Thread(target=migrate, args=(empty_owner_url, "mend_holds"))
            migrator.start()
            for question in (waiting, waiting.replace("> 0", "= 0"), waiting):
                wait_until(empty_owner_url, question)
        migrator.join()
        assert request.execute(HELD.encode(), [TENANTS[1]]).fetchall() == HELD_NAMES
    assert schema_found(empty_owner_url).revision == "mend_holds"


# --- back ------------------------------------------------------------------------------------------------------


def test_every_step_can_be_taken_back_with_rows_in_the_tables(empty_owner_url: str) -> None:
    migrate(empty_owner_url)
    plant(empty_owner_url, users=40)
    for below in reversed(revisions()[:-1]):
        migrate_down(empty_owner_url, below, lose_data=True)
        if below == "create_provisioning_requests":  # may hold kinds that tenants defined: nobody says that it is valid
            with connected(empty_owner_url) as connection:
                connection.execute("ALTER TABLE principals VALIDATE CONSTRAINT ck_principals_kind")
        if below in CATALOGUES:
            assert digest(catalogue(empty_owner_url)) == CATALOGUES[below], below
    migrate(empty_owner_url)
    assert schema_found(empty_owner_url).is_at_head


def test_a_way_back_that_loses_something_must_be_told_so(empty_owner_url: str) -> None:
    migrate(empty_owner_url)
    with pytest.raises(MigrationError, match=r"would lose: .*how often principals ended.*--lose-data"):
        migrate_down(empty_owner_url, "add_clients_of_connections")
    assert schema_found(empty_owner_url).is_at_head
    with pytest.raises(MigrationError, match=r"would lose: .*which clients send their secret in the body"):
        migrate_down(empty_owner_url, "say_what_is_served")
    migrate_down(empty_owner_url, "say_what_is_served", lose_data=True)
    migrate_down(empty_owner_url, "revoke_from_public")  # nothing is lost
    assert schema_found(empty_owner_url).revision == "revoke_from_public"
    with pytest.raises(MigrationError, match="which is before"):
        migrate_down(empty_owner_url, head_revision())
    with pytest.raises(MigrationError, match="there is no revision nonsense; there are create_foundation, "):
        migrate_down(empty_owner_url, "nonsense")


# --- details ---------------------------------------------------------------------------------------------------


def application_url(server: Server, owner_url: str) -> str:
    return server.url(str(make_url(owner_url).database), role="identity_app")


@contextmanager
def connected(owner_url: str, tenant: UUID | None = None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True) as connection:
        if tenant is not None:
            connection.execute(f"SET app.tenant = '{tenant}'".encode())
        yield connection


def wait_until(owner_url: str, question: str) -> None:
    deadline = time.monotonic() + 20
    with connected(owner_url) as connection:
        while connection.execute(question.encode()).fetchone() != (True,):
            assert time.monotonic() < deadline, question
