"""How a migration runs: alone, with bounded waits, one transaction each."""

import time

from alembic import context
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

from identity.store.tables import metadata

LOCK_TIMEOUT_MS = 2_000  # every later query of a table waits behind a migration that waits for its lock
STATEMENT_TIMEOUT_MS = 60_000
LOCK_PAUSE_S = 0.1
MIGRATOR = 4_717_276_003_129_671  # the advisory lock of "somebody is migrating"; any constant will do


def run_online(owner_url: str) -> None:
    """Apply migrations, holding the migrators' lock from before the first look to after the last commit."""
    url = make_url(owner_url).set(drivername="postgresql+psycopg")
    # The URL's options may give up the owner's rights, which are needed here.
    engine = create_engine(url.difference_update_query(["options"]), poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        _wait_for_other_migrators(connection)
        connection.exec_driver_sql(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        connection.commit()
        _run(connection)  # closing the connection gives the lock back


def _wait_for_other_migrators(connection: Connection) -> None:
    """Take the migrators' lock by asking again and again. A statement that waits for it would hold a snapshot, and
    ``CREATE INDEX CONCURRENTLY`` waits for every snapshot: the one who has the lock and the one who waits for it would
    wait for each other.
    """
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({MIGRATOR})").scalar_one():
        connection.rollback()
        time.sleep(LOCK_PAUSE_S)


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def run_offline() -> None:
    """Print the SQL instead."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # else every percent sign would be printed twice
        target_metadata=metadata,
        transaction_per_migration=True,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online(context.config.attributes["owner_url"])
