"""How migrations run: one migrator at a time, one transaction each, with short waits for locks, and again where they
gave way to requests.
"""

import time
from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from identity.store.tables import metadata
from migrations import steps

LOCK_PAUSE_S = 0.1
MIGRATOR = 4_717_276_003_129_671  # the advisory lock that says that a migration runs; any constant will do


def run_online(owner_url: str) -> None:
    """Apply migrations, holding the migrators' lock from before the first look to after the last commit."""
    url = make_url(owner_url).set(drivername="postgresql+psycopg")
    # The URL's options may give up the owner's rights, which are needed here.
    engine = create_engine(url.difference_update_query(["options"]), poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SET statement_timeout = {steps.STATEMENT_TIMEOUT_MS}")
        _wait_for_other_migrators(connection)
        connection.commit()
        _run_to_the_end(connection)  # closing the connection gives the lock back


def _run_to_the_end(connection: Connection) -> None:
    """Go on from the migration that gave way, and that was rolled back, as long as each succeeds within a minute."""
    while True:
        before = _revision(connection)
        try:
            steps.repeated(lambda: _run(connection))
        except DBAPIError as error:
            if not steps.gave_way(error) or _revision(connection) == before:
                raise
        else:
            return


def _revision(connection: Connection) -> str | None:
    connection.rollback()
    found = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return found


def _wait_for_other_migrators(connection: Connection) -> None:
    """Take the migrators' lock by repeated attempts. A statement that waits for it would hold a snapshot, and
    ``CREATE INDEX CONCURRENTLY`` waits for every snapshot: the one who has the lock and the one who waits for it would
    wait for each other.
    """
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({MIGRATOR})").scalar_one():
        connection.rollback()
        time.sleep(LOCK_PAUSE_S)


def _run(connection: Connection) -> None:
    connection.rollback()
    connection.exec_driver_sql(f"SET lock_timeout = {steps.LOCK_TIMEOUT_MS}")
    connection.exec_driver_sql(f"SET statement_timeout = {steps.STATEMENT_TIMEOUT_MS}")
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        on_version_apply=show_what_is_served,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


def show_what_is_served(ctx: MigrationContext, heads: set[str], **_: Any) -> None:
    """Write beside the revision which versions of the program the schema still serves: those that know ``serves_from``.

    It stands in the migration that takes something away (see README.md), and holds for all that come after it.
    """
    scripts = context.script.iterate_revisions(tuple(heads), "base") if heads else ()
    said = (script.module.serves_from for script in scripts if hasattr(script.module, "serves_from"))
    if (oldest := next(said, None)) is not None:
        ctx.execute(f"UPDATE alembic_version SET serves_from = '{oldest}'")


def run_offline() -> None:
    """Print the SQL instead."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # else every percent sign would be printed twice
        target_metadata=metadata,
        transaction_per_migration=True,
        literal_binds=True,
        on_version_apply=show_what_is_served,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online(context.config.attributes["owner_url"])
