"""Backups of a cluster of the tests' own: its files with their WAL, and the scripts of docs/operating.md."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from dev.postgres import DATABASE, PORT, SUPERUSER, SYSTEM_BINARIES, Cluster, start_cluster
from server.process import unprivileged_account
from server.schema import migrate
from tests.conftest import _fast_folder
from tests.workers.plant import wait_until

ROOT = Path(__file__).parent.parent.parent

RECOVERY = """
restore_command = 'cp {wal}/%f %p'
recovery_target_name = '{point}'
recovery_target_action = 'promote'
"""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that ends with the test and that PostgreSQL's account may pass."""
    made = Path(tempfile.mkdtemp(prefix="identity-restore-", dir=_fast_folder()))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@contextmanager
def cluster_in(place: Path, binaries: Path | None = None, *, migrated: bool = False) -> Iterator[Cluster]:
    """Run the cluster of a folder, which is made where there is none."""
    cluster = start_cluster(place, durable=False, binaries=binaries)
    try:
        if migrated:
            migrate(cluster.url())
            cluster.ensure_login()
        yield cluster
    finally:
        cluster.stop()


def superuser(cluster: Cluster, database: str = DATABASE) -> psycopg.Connection:
    return psycopg.connect(host=str(cluster.socket_folder), port=PORT, user=SUPERUSER, dbname=database, autocommit=True)


def back_up_files(cluster: Cluster, place: Path) -> None:
    """Copy the files of a running cluster, as pg_basebackup does."""
    data = place / "postgres"
    with superuser(cluster) as connection:
        connection.execute("ALTER SYSTEM SET wal_keep_size = '1GB'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_backup_start('drill', fast => true)")
        shutil.copytree(cluster.data, data, ignore=_not_copied)
        row = connection.execute("SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)").fetchone()
    assert row is not None
    (data / "backup_label").write_text(row[0])
    data.chmod(0o700)


def _not_copied(folder: str, names: list[str]) -> list[str]:
    """The running server's own files, and WAL, which is kept apart."""
    if Path(folder).name == "pg_wal":
        return [name for name in names if (Path(folder) / name).is_file()]
    return [name for name in names if name in ("postmaster.pid", "postmaster.opts")]


def mark(cluster: Cluster, point: str) -> None:
    """Name this instant, to restore to it."""
    with superuser(cluster) as connection:
        connection.execute("SELECT pg_create_restore_point(%s)", (point,))


def archive(cluster: Cluster, place: Path) -> None:
    """Keep all WAL that was written so far."""
    with superuser(cluster) as connection:
        connection.execute("SELECT pg_switch_wal()")
    shutil.copytree(
        cluster.data / "pg_wal", place / "wal", ignore=shutil.ignore_patterns("archive_status", "summaries")
    )


@contextmanager
def restored_to(point: str, place: Path) -> Iterator[Cluster]:
    """Run the cluster whose files and WAL are in ``place``, as it was at ``point``."""
    data = place / "postgres"
    with (data / "postgresql.auto.conf").open("a") as configuration:
        configuration.write(RECOVERY.format(wal=place / "wal", point=point))
    (data / "recovery.signal").touch()
    _lend(place)
    with cluster_in(place) as cluster, superuser(cluster) as connection:
        wait_until(lambda: connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,))
        yield cluster


def _lend(place: Path) -> None:
    account = unprivileged_account()
    for path in [] if account is None else place.rglob("*"):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)  # type: ignore[union-attr]


# --- dumps ------------------------------------------------------------------------------------------------------


def dumping_binaries() -> Path | None:
    """The newest server on this machine that has pg_dump beside it; the embedded one has not."""
    found = [each.parent for each in SYSTEM_BINARIES.glob("*/bin/pg_dump") if (each.parent / "postgres").exists()]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def script(name: str, place: Path) -> Path:
    """Write the script of that name that docs/operating.md shows."""
    manual = (ROOT / "docs" / "operating.md").read_text()
    [text] = re.findall(rf"^```sh[^\n]*\n(#!/bin/sh\n# {re.escape(name)} .*?)^```", manual, re.DOTALL | re.MULTILINE)
    path = place / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def run_script(
    path: Path, file: Path, cluster: Cluster, binaries: Path, login: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "PGHOST": str(cluster.socket_folder),
        "PGPORT": str(PORT),
        "PGUSER": login,
        "PGDATABASE": DATABASE,
    }
    return subprocess.run([path, file], env=environment, capture_output=True, text=True, check=False, timeout=120)
