"""The schema of the database: where it is, where it should be, how it gets there."""

from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def migrate(owner_url: str) -> None:
    """Bring the schema to its head; each migration is one transaction, and only one migrator runs at a time.

    Raises ``sqlalchemy.exc.OperationalError`` when another session holds a lock for too long: run it again.
    """
    command.upgrade(_alembic(owner_url), "head")


def migration_sql(owner_url: str) -> str:
    """Return the SQL from an empty database to the head, for whoever applies migrations by hand."""
    text = StringIO()
    command.upgrade(_alembic(owner_url, output=text), "head", sql=True)
    return text.getvalue()


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the database, or None when it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str | None:
    """Return the revision that this code was written for."""
    return _scripts().get_current_head()


def schema_state(url: str) -> tuple[str | None, str | None]:
    """Return (current, head) of the database behind ``url``."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        return current_revision(connection), head_revision()


def is_at_head(connection: Connection) -> bool:
    """Say whether the schema is the one that this code was written for."""
    return current_revision(connection) == head_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


def _alembic(owner_url: str, output: StringIO | None = None) -> Config:
    # Everything that alembic.ini would hold, in code: one place less to keep true.
    config = Config(output_buffer=output) if output else Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    config.attributes["owner_url"] = owner_url
    return config
