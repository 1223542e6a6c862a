"""What a request reads, in rows and index entries, and a tenant that grows while prepared plans stay.

A connection keeps the plans that it made when the tables were small. So PostgreSQL looks at small tables and makes its
plans, then the tenant becomes large, then the same connection is asked again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine, event

from dev.postgres import SUPERUSER
from identity.model.ids import TenantId
from identity.store.transaction import transaction
from tests.conftest import Server

CROWD_SIZE = 400
SMALL, LARGE = 300, 3_000
AT_ONCE = 50
NEW_ID = "gen_random_uuid()"
PERSON = "CAST('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)"
READ = """
SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""
CROWD = """
INSERT INTO {table} SELECT (jsonb_populate_record(original, jsonb_build_object('tenant_id', gen_random_uuid()))).*
  FROM {table} AS original, generate_series(1, {crowd}) AS n WHERE original.ctid = (SELECT min(ctid) FROM {table})
"""
COPY = """
INSERT INTO {table} SELECT (jsonb_populate_record(original, jsonb_build_object({changed}))).*
  FROM {table} AS original, generate_series({first}, {last}) AS n
 WHERE original.ctid = (SELECT ctid FROM {table} WHERE tenant_id = '{tenant}' AND {original} LIMIT 1)
"""


def keep_first_plans(server: Server, engine: Engine) -> None:
    """Let every connection to come make one plan per statement and keep it."""
    server.execute(f"ALTER DATABASE {engine.url.database} SET plan_cache_mode = 'force_generic_plan'")
    engine.dispose()


@contextmanager
def rows_read(engine: Engine) -> Iterator[list[int]]:
    """Yield a list that gets, for each transaction that is committed, how many rows and index entries it read."""
    seen: list[int] = []
    counts: list[int] = []  # PostgreSQL counts on from transaction to transaction, until it publishes

    def count(cursor: Any) -> int:
        cursor.execute(READ)
        return int(cursor.fetchone()[0])

    def after(_conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("BEGIN"):
            counts.append(count(cursor))

    def before(_conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.endswith("COMMIT"):
            seen.append(count(cursor) - counts.pop())

    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        event.remove(engine, "after_cursor_execute", after)
        event.remove(engine, "before_cursor_execute", before)


def read_again_until(engine: Engine, ask: Callable[[], object], most: int, seconds: float = 30) -> int:
    """Return how many rows an ask reads, asking again for a while until they are at most ``most``.

    The versions of a row that nobody sees any more are in the way until every transaction has ended that was open when
    they were made, in any database: another test's may last for seconds.
    """
    until = time.monotonic() + seconds
    while True:
        with rows_read(engine) as seen:
            ask()
        if sum(seen) <= most or time.monotonic() > until:
            return sum(seen)


def wait_for_others(server: Server, seconds: float = 30) -> None:
    """Wait until each transaction has ended that is open now, in any database: it keeps dead versions of rows."""
    question = "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND xact_start <= %s"
    with psycopg.connect(host=server.socket_folder, user=SUPERUSER, dbname="identity", autocommit=True) as connection:
        begun = connection.execute("SELECT clock_timestamp()").fetchone()
        until = time.monotonic() + seconds
        while connection.execute(question, begun).fetchone() != (0,) and time.monotonic() < until:
            connection.execute("SELECT pg_sleep(0.02)")


def look(server: Server, engine: Engine) -> None:
    """Let PostgreSQL look at its tables, as it does by itself before long: one tenant, among many that are tiny."""
    superuser = psycopg.connect(host=server.socket_folder, user=SUPERUSER, dbname=engine.url.database, autocommit=True)
    with superuser as connection:
        connection.execute("SET session_replication_role = replica")  # rows are enough: what they refer to is not there
        for table in ("principals", "group_members", "tasks", "tokens"):
            connection.execute(CROWD.format(table=table, crowd=CROWD_SIZE))
        connection.execute("ANALYZE")


def grow(engine: Engine, tenant_id: UUID, table: str, original: str, numbers: range, **changed: str) -> None:
    """Copy one row of a tenant many times, few at a time, as sources write them: what counts them is one row, of which
    a transaction that wrote all would leave as many versions. ``changed`` are SQL expressions, in which ``n`` counts.
    """
    pairs = ", ".join(f"'{column}', {expression}" for column, expression in changed.items())
    for first in range(numbers[0], numbers[-1] + 1, AT_ONCE):
        statement = COPY.format(
            table=table,
            tenant=tenant_id,
            original=original,
            changed=pairs,
            first=first,
            last=min(first + AT_ONCE - 1, numbers[-1]),
        )
        with transaction(engine, TenantId(tenant_id)) as tx:
            tx.connection.exec_driver_sql(statement)
