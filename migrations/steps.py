"""How a migration changes a schema that is in use: one table at a time, never long, and again where others were first.

A statement of a migration that waits for its lock makes every later query of that table wait behind it. So each waits a
fourth of a second at most (``LOCK_TIMEOUT_MS``), gives way, and is tried again for a minute. That is less than
PostgreSQL's ``deadlock_timeout``: where a migration and a request wait for each other, it is the migration that gives
up.

What these functions run is committed at once, and a migration may end anywhere between two of them. So each statement
must do no harm when it is run again: ``IF NOT EXISTS``, ``IF EXISTS``, ``OR REPLACE``, or an UPDATE that finds nothing
left to do. A constraint or a policy has no such form: put it behind ``once``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy.exc import DBAPIError

LOCK_TIMEOUT_MS = 250
STATEMENT_TIMEOUT_MS = 60_000
LONG_TIMEOUT_MS = 6 * 3_600_000  # of what holds no lock that a request waits for: building an index, going through rows
QUEUE_TIMEOUT_S = 60.0
PAUSE_S, PAUSE_S_MAX = 0.05, 2.0
BATCH = 200  # rows that are written in one transaction; a request may wait for it

GAVE_WAY = frozenset({"40P01", "55P03", "57014"})
"""SQLSTATE of a statement that can be run again: deadlock, lock not available, cancelled by a time-out."""


def repeated(run: Callable[[], object]) -> None:
    """Run until it gets the locks it needs, with growing pauses, for a minute; then raise what PostgreSQL said."""
    deadline, pause = time.monotonic() + QUEUE_TIMEOUT_S, PAUSE_S
    while True:
        try:
            run()
        except DBAPIError as error:
            if not gave_way(error) or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_S_MAX)
        else:
            return


def gave_way(error: DBAPIError) -> bool:
    """Return whether a statement failed for others' locks only."""
    return getattr(error.orig, "sqlstate", None) in GAVE_WAY


def alone(*statements: str) -> None:
    """Run statements in one transaction of their own: of one table, or of several that are locked in the order in which
    requests lock them (tenants, connections, principals, whatever refers to them).
    """
    with _no_transaction():
        repeated(lambda: op.execute(";\n".join(statements)))


def once(condition: str, *statements: str) -> None:
    """The same where ``condition``, an SQL expression, is true: for what has no ``IF NOT EXISTS`` of its own."""
    body = ";\n    ".join(statements)
    alone(f"DO $once$\nBEGIN\n  IF {condition} THEN\n    {body};\n  END IF;\nEND\n$once$")


def lacks_table(name: str) -> str:
    """Return the condition that there is no such table."""
    return f"to_regclass('{name}') IS NULL"


def lacks_constraint(table: str, name: str) -> str:
    """Return the condition that a table has no such constraint."""
    return f"NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = '{table}'::regclass AND conname = '{name}')"


def create_index(name: str, definition: str) -> None:
    """Build an index beside the writers. One that an earlier try left unfinished is dropped first."""
    unfinished = f"EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid)"
    once(unfinished, f"DROP INDEX {name}")
    _unhurried(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")


def drop_index(name: str) -> None:
    """Drop an index beside the writers."""
    _unhurried(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


TENANT_BY_TENANT = """DO $each$
DECLARE
    tenant uuid;
    place uuid[];
    was_found boolean;
BEGIN
  FOREACH tenant IN ARRAY ARRAY(SELECT tenant_id FROM tenants ORDER BY tenant_id) LOOP
    place := '{first}';
    LOOP
      BEGIN
        PERFORM set_config('app.tenant', tenant::text, true);
        {statement};
        was_found := {is_more};
      EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        PERFORM pg_sleep(0.05 + random() / 10);
        was_found := NULL;
      END;
      COMMIT;
      EXIT WHEN NOT was_found;
    END LOOP;
  END LOOP;
END
$each$"""
"""A transaction per batch, and its tenant in each: row-level security binds the owner of the tables like every role,
and a distributed table is written one tenant at a time.
"""

NO_ID = "00000000-0000-0000-0000-000000000000"


def each_tenant(statement: str) -> None:
    """Run a statement, in which ``tenant`` is the tenant's id, for one after the other: where few rows change."""
    _unhurried(
        TENANT_BY_TENANT.format(first="{}", statement=statement, is_more="false"), lock_timeout_ms=LOCK_TIMEOUT_MS
    )


def each_batch(table: str, key: tuple[str, ...], change: str) -> None:
    """Go through a table in the order of its primary key: the tenant, then ``key``, which are UUIDs.

    ``change`` is an UPDATE or DELETE that names ``tenant`` and takes its rows from ``batch``, which has the columns of
    the key; it must pass over rows that need no change.
    """
    columns = ", ".join(key)
    beyond = ", ".join(f"place[{number}]" for number in range(1, len(key) + 1))
    statement = f"""
        WITH batch AS MATERIALIZED (
            SELECT {columns} FROM {table} WHERE tenant_id = tenant AND ({columns}) > ({beyond})
             ORDER BY {columns} LIMIT {BATCH}),
        changed AS ({change} RETURNING 1)
        SELECT ARRAY[{columns}] INTO place FROM batch
         ORDER BY {", ".join(f"{column} DESC" for column in key)} LIMIT 1""".strip()
    first = "{" + ",".join([NO_ID] * len(key)) + "}"
    text = TENANT_BY_TENANT.format(first=first, statement=statement, is_more="FOUND")
    _unhurried(text, lock_timeout_ms=LOCK_TIMEOUT_MS)


def _unhurried(statement: str, *, lock_timeout_ms: int = 0) -> None:
    """Run a statement that may take hours, because no request waits for it: it holds no lock that a request needs."""
    with _no_transaction():
        op.execute(f"SET statement_timeout = {LONG_TIMEOUT_MS}")
    with _no_transaction():
        op.execute(f"SET lock_timeout = {lock_timeout_ms}")
    with _no_transaction():
        repeated(lambda: op.execute(statement))
    with _no_transaction():
        op.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
    with _no_transaction():
        op.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")


@contextmanager
def _no_transaction() -> Iterator[None]:
    with op.get_context().autocommit_block():
        yield
