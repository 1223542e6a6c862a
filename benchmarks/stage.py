"""What a run stands on: a migrated PostgreSQL that keeps its promises, and the settings of a server on it."""

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from benchmarks.serving import tree_cpu_s
from config.settings import Settings, load_settings
from dev.postgres import start_cluster
from server.schema import migrate

EXTERNAL_URL = "https://identity.example"
SCIM_REQUESTS_PER_S = 100_000  # not the limit is to be measured


@dataclass(frozen=True, slots=True)
class Database:
    """The PostgreSQL of a run. ``cpu_s`` is 0 where it runs out of our sight."""

    owner_url: str
    application_url: str
    cpu_s: Callable[[], float]


@contextmanager
def database(given: str | None) -> Iterator[Database]:
    """Give a migrated database: the ``given`` owner's, or one of our own that keeps every promise about durability.

    The application's login for a given one comes from ``IDENTITY_DATABASE_URL``.
    """
    if given is not None:
        migrate(given)
        yield Database(given, os.environ["IDENTITY_DATABASE_URL"], lambda: 0.0)
        return
    folder = Path(mkdtemp(prefix="identity-benchmark-"))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass
    cluster = start_cluster(folder)
    try:
        migrate(cluster.url())
        cluster.ensure_login()
        yield Database(cluster.url(), cluster.url(role="identity_app"), lambda: tree_cpu_s(cluster.process.pid))
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def version_of(owner_url: str) -> str:
    """Return what the database is, and whether a commit is durable when it returns."""
    with owner(owner_url) as connection:
        shown = (
            connection.execute(f"SHOW {name}").fetchone() for name in ("server_version", "fsync", "synchronous_commit")
        )
        server, fsync, commit = (row[0] if row else "unknown" for row in shown)
    return f"PostgreSQL {server} (fsync {fsync}, synchronous_commit {commit})"


def settle(owner_url: str) -> None:
    """Let PostgreSQL look at what was loaded, as it would by itself after a minute."""
    with owner(owner_url) as connection:
        connection.execute("VACUUM (ANALYZE)")


def owner(owner_url: str) -> psycopg.Connection:
    """Connect as the owner of the tables."""
    return psycopg.connect(owner_url.replace("+psycopg", "", 1), autocommit=True)


def settings_of(application_url: str) -> Settings:
    """Return the settings of a run."""
    return load_settings(
        database_url=application_url,
        external_url=EXTERNAL_URL,
        key_encryption_key=base64.b64encode(secrets.token_bytes(32)).decode(),
        scim_requests_per_s=SCIM_REQUESTS_PER_S,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as a server of ours reads them."""
    key = settings.key_encryption_key
    return {
        "IDENTITY_DATABASE_URL": settings.database_url.get_secret_value(),
        "IDENTITY_EXTERNAL_URL": settings.external_url,
        "IDENTITY_KEY_ENCRYPTION_KEY": key.get_secret_value() if key else "",
        "IDENTITY_SCIM_REQUESTS_PER_S": str(settings.scim_requests_per_s),
        "IDENTITY_LOG_LEVEL": "warning",
    }
