"""The schema of the database: its revision, the migrations, and the programs that a schema serves.

Alembic takes a fifth of a second to import, so only the functions that migrate import it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from identity.store import Connection, Engine
from identity.store.errors import ProgrammingError
from identity.store.transaction import untenanted
from server.failures import Failure

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
COMPATIBLE_FROM = "renew_from_tasks"
"""The oldest schema that this program can serve. It is raised when a statement needs what a later one added."""

REVISION = re.compile(r'^(revision|down_revision) = (?:"(\w+)"|None)$', re.MULTILINE)
NEVER_MIGRATED = "nothing was migrated yet: run `identity migrate`"
CURRENT = "SELECT to_jsonb(v) FROM alembic_version v"  # as JSON: an older schema says less of itself


class MigrationError(Failure):
    """The schema cannot be migrated as requested; the message says why."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database: its revision, None before the first migration; and the oldest revision whose program it
    serves.
    """

    revision: str | None
    serves_from: str | None = None

    @property
    def is_at_head(self) -> bool:
        """True when the schema is the one that this program was written for."""
        return self.revision == head_revision()

    @property
    def is_ahead(self) -> bool:
        """True when a later version has migrated it."""
        return self.revision is not None and self.revision not in revisions()

    @property
    def fault(self) -> str | None:
        """Why this program cannot serve on the schema; None where it can."""
        known = revisions()
        if self.revision is None:
            return NEVER_MIGRATED
        if self.is_ahead:
            refusal = f"it is at {self.revision}, which does not serve this version: install a later one"
            return None if self.serves_from in known else refusal
        if known.index(self.revision) < known.index(COMPATIBLE_FROM):
            return f"it is at {self.revision}, before {COMPATIBLE_FROM}: run `identity migrate`"
        return None


def migrate(owner_url: str, to: str = "head") -> None:
    """Upgrade the schema to a revision. Each migration is tried again for a minute while others hold the locks that it
    needs, and only one migrator runs at a time.

    Raises ``MigrationError``; ``sqlalchemy.exc.OperationalError`` when a lock was never free: run it again.
    """
    from alembic import command  # noqa: PLC0415

    _refuse_unknown(owner_url, to)
    command.upgrade(_alembic(owner_url), to)


def migrate_down(owner_url: str, to: str, *, lose_data: bool = False) -> None:
    """Downgrade the schema to a revision. Raises ``MigrationError``, also when rows or columns would be lost and
    ``lose_data`` does not say that they may be.
    """
    from alembic import command  # noqa: PLC0415

    schema = _refuse_unknown(owner_url, to)
    if schema.revision is None or revisions().index(to) > revisions().index(schema.revision):
        raise MigrationError(f"the schema is at {schema.revision}, which is before {to}")
    losses = [loss for step in _steps_between(to, schema.revision) if (loss := getattr(step.module, "loses", None))]
    if losses and not lose_data:
        raise MigrationError(f"this would lose: {'; '.join(losses)}. Add --lose-data if it may")
    command.downgrade(_alembic(owner_url), to)


def _steps_between(old: str, new: str) -> "list[Script]":
    """Return the migrations after ``old`` up to ``new``, the newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return list(ScriptDirectory(str(MIGRATIONS)).iterate_revisions(new, old))


def _refuse_unknown(owner_url: str, to: str) -> Schema:
    schema = schema_found(owner_url)
    if schema.is_ahead:
        raise MigrationError(f"the schema is at {schema.revision}, which a later version has made: use that one")
    if to not in {"head", *revisions()}:
        raise MigrationError(f"there is no revision {to}; there are {', '.join(revisions())}")
    return schema


def migration_sql(owner_url: str) -> str:
    """Return the SQL from an empty database to the head, for operators who apply migrations by hand."""
    from alembic import command  # noqa: PLC0415

    text = StringIO()
    command.upgrade(_alembic(owner_url, output=text), "head", sql=True)
    return text.getvalue()


@cache
def revisions() -> tuple[str, ...]:
    """Return the revisions that this program knows, the oldest first."""
    files = (MIGRATIONS / "versions").glob("*.py")
    steps: list[dict[str, str]] = [dict(REVISION.findall(file.read_text())) for file in files]
    after = {step["down_revision"]: step["revision"] for step in steps}
    chain, last = [], ""
    while last in after:
        chain.append(last := after[last])
    if len(chain) != len(steps):
        raise AssertionError("the migrations are no chain: two come after one, or one after none")
    return tuple(chain)


def head_revision() -> str:
    """Return the revision that this code was written for: the one migration that no other comes after."""
    return revisions()[-1]


def schema_seen(connection: Connection) -> Schema:
    """Return the schema, in one statement that the application's role may run."""
    return _schema(connection.exec_driver_sql(CURRENT).scalar_one_or_none())


def schema_of(engine: Engine) -> Schema:
    """Return the schema, in a transaction of the engine's role."""
    with untenanted(engine) as connection:
        try:
            return schema_seen(connection)
        except ProgrammingError:  # no version table, or none that this role may read: a schema from before the roles
            return Schema(None)


def schema_found(url: str) -> Schema:
    """Return the schema of the database behind ``url``.

    Raises ``psycopg.OperationalError`` when it cannot be reached.
    """
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=3) as connection:
        try:
            row = connection.execute(CURRENT).fetchone()
        except psycopg.errors.UndefinedTable:
            row = None
    return _schema(row[0] if row else None)


def _schema(row: Mapping[str, Any] | None) -> Schema:
    return Schema(row["version_num"], row.get("serves_from")) if row else Schema(None)


def _alembic(owner_url: str, output: StringIO | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    # The contents of alembic.ini, in code: one file less to keep true.
    config = Config(output_buffer=output) if output else Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    config.attributes["owner_url"] = owner_url
    return config
