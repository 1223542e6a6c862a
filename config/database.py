"""The schema of the database: where it is, where it should be, how it gets there.

Alembic takes a fifth of a second to import, so only what migrates imports it.
"""

import re
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from config.settings import Settings
from identity.store.session import Role
from identity.store.transaction import make_engine

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
REVISION = re.compile(r'^(revision|down_revision) = (?:"(\w+)"|None)$', re.MULTILINE)
CURRENT = "SELECT version_num FROM alembic_version"


def engine_of(settings: Settings, *, role: Role = "identity_app", pool_size: int = 1) -> "Engine":
    """Return an engine on the installation's database, as its settings say."""
    return make_engine(
        settings.database_url.get_secret_value(),
        role=role,
        pool_size=pool_size,
        is_prepared=settings.database_prepared,
    )


def migrate(owner_url: str) -> None:
    """Bring the schema to its head; each migration is one transaction, and only one migrator runs at a time.

    Raises ``sqlalchemy.exc.OperationalError`` when another session holds a lock for too long: run it again.
    """
    from alembic import command  # noqa: PLC0415

    command.upgrade(_alembic(owner_url), "head")


def migration_sql(owner_url: str) -> str:
    """Return the SQL from an empty database to the head, for whoever applies migrations by hand."""
    from alembic import command  # noqa: PLC0415

    text = StringIO()
    command.upgrade(_alembic(owner_url, output=text), "head", sql=True)
    return text.getvalue()


@cache
def head_revision() -> str:
    """Return the revision that this code was written for: the one migration that no other comes after."""
    files = (MIGRATIONS / "versions").glob("*.py")
    steps: list[dict[str, str]] = [dict(REVISION.findall(file.read_text())) for file in files]
    [head] = {step["revision"] for step in steps} - {step["down_revision"] for step in steps}
    return head


def is_at_head(connection: "Connection") -> bool:
    """Say whether the schema is the one that this code was written for: one statement."""
    return bool(connection.exec_driver_sql(CURRENT).scalar_one_or_none() == head_revision())


def schema_state(url: str) -> tuple[str | None, str]:
    """Return (current, head) of the database behind ``url``; current is None where nothing was ever migrated.

    Raises ``psycopg.OperationalError`` when it cannot be reached.
    """
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=3) as connection:
        try:
            row = connection.execute(CURRENT).fetchone()
        except psycopg.errors.UndefinedTable:
            return None, head_revision()
    return (row[0] if row else None), head_revision()


def _alembic(owner_url: str, output: StringIO | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    # Everything that alembic.ini would hold, in code: one place less to keep true.
    config = Config(output_buffer=output) if output else Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    config.attributes["owner_url"] = owner_url
    return config
