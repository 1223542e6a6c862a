"""`identity serve`, `worker` and `relay` while the database is away, and a web process that ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from dev.postgres import PORT, start_cluster
from server.restarts import ENDS_MAX
from server.schema import migrate
from tests.access.slow_clients import Shape, attacked, posted
from tests.config.test_management import free_port, status, wait_until
from tests.conftest import Server

ROOT = Path(__file__).parent.parent.parent
IN_FULL = bool(os.environ.get("IDENTITY_PROVE_FAULTS"))
SECONDS = 60
SOCKET = f".s.PGSQL.{PORT}"

pytestmark = pytest.mark.timeout(600 if IN_FULL else 120)

# A server whose web processes have nothing that they could load.
CANNOT_START = """
import sys
from server.restarts import Restarts
from server.web_server import web_server

server = web_server("127.0.0.1", int(sys.argv[1]), 1)
server.restarts = Restarts(first_pause_s=0.01)
server.serve(target_loader=lambda _: sys.exit(3))
"""


# A server whose web processes fail while they put their application together.
CANNOT_LOAD = """
import sys
from config import web, web_process
from server import respawning
from server.restarts import Restarts
from config.settings import load_settings
from server.telemetry import configure_logging


def fail(settings):
    raise LookupError("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl")


respawning.Restarts = lambda: Restarts(first_pause_s=0.01)
web_process.serve = fail
configure_logging("json", sys.argv[2])
web._serve(load_settings(database_url="postgresql://x@/x", port=int(sys.argv[1])))
"""


@dataclass(frozen=True, slots=True)
class Away:
    """A folder in which the application looks for PostgreSQL's socket, and whether there is one."""

    folder: Path
    server: Server
    database: str

    @property
    def url(self) -> str:
        return f"postgresql://identity_web@/{self.database}?host={self.folder}"

    def come_back(self) -> None:
        (self.folder / SOCKET).symlink_to(Path(self.server.socket_folder) / SOCKET)

    def go_away(self) -> None:
        (self.folder / SOCKET).unlink()
        self.server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.database}'", "postgres"
        )


@pytest.fixture
def away(server: Server, database: str, tmp_path: Path) -> Away:
    """A database that cannot be reached yet."""
    folder = tmp_path / "sockets"
    folder.mkdir()
    return Away(folder, server, database)


@contextmanager
def running(command: str, url: str, said: Path, **more: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    mine = {
        "IDENTITY_DATABASE_URL": url, "IDENTITY_PORT": str(port), "IDENTITY_MANAGEMENT_PORT": "0",
        "IDENTITY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode(),
    }  # fmt: skip
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", command], cwd=ROOT, env=clean | mine | more, stderr=errors
        )
    try:
        yield port, process
    finally:
        process.terminate()
        process.wait(SECONDS)


def readiness(port: int) -> tuple[int, str | None]:
    """Return the status of /readyz and its reason; 0 where nobody listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=20) as answer:
            return int(answer.status), None
    except HTTPError as error:
        return error.code, json.loads(error.read())["reason"]
    except OSError:
        return 0, None


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.promise(6)
def test_without_a_database_the_web_server_says_so_and_serves_as_soon_as_there_is_one(
    away: Away, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with running("serve", away.url, said) as (port, process):
        wait_until(lambda: status(port, "/livez") == 200, SECONDS)
        web = children(process.pid)
        assert readiness(port) == (503, "database_unreachable")
        for path in ("/t/acme/scim/v2/Users", "/t/acme/jwks", "/t/acme/oauth/token", "/admin/v1/tenants"):
            with pytest.raises(HTTPError) as refused:
                urlopen(f"http://127.0.0.1:{port}{path}", timeout=20)
            assert refused.value.code == 503
            assert refused.value.headers["Retry-After"]
        away.come_back()
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        assert status(port, "/admin/v1/tenants") == 401
        away.go_away()
        assert readiness(port) == (503, "database_unreachable")
        assert status(port, "/t/acme/jwks") == 503
        away.come_back()
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        assert status(port, "/t/acme/jwks") == 404
        assert children(process.pid) == web  # nobody was started anew for it
    assert "database_does_not_answer" in said.read_text()
    assert process.returncode == 0


@pytest.mark.parametrize("command", ["worker", "relay"])
def test_without_a_database_a_worker_and_a_relay_wait_for_it(
    away: Away, tmp_path: Path, owner_url: str, command: str
) -> None:
    said = tmp_path / "said"
    connected = f"SELECT 1/count(*) FROM pg_stat_activity WHERE datname = '{away.database}' AND query LIKE 'LISTEN%'"

    def listens() -> bool:
        try:
            away.server.execute(connected, "postgres")
        except Exception:  # none: a division by zero
            return False
        return True

    with running(command, away.url, said) as (_, process):
        wait_until(lambda: "database_does_not_answer" in said.read_text(), SECONDS)
        assert process.poll() is None
        away.come_back()
        wait_until(listens, SECONDS)
        assert process.poll() is None


@pytest.mark.parametrize("command", ["serve", "worker", "relay"])
def test_a_program_that_waits_for_a_database_ends_with_0_when_it_is_told_to_stop(tmp_path: Path, command: str) -> None:
    said = tmp_path / "said"
    with running(command, "postgresql://x@/x?host=/nonexistent", said) as (_, process):
        wait_until(lambda: "database_does_not_answer" in said.read_text(), SECONDS)
    assert process.returncode == 0


@pytest.mark.promise(6)
def test_web_processes_that_die_in_quick_succession_are_started_again(database_url: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with running("serve", database_url, said) as (port, process):
        for _ in range(10 if IN_FULL else 3):
            wait_until(lambda: status(port, "/livez") == 200, SECONDS)
            for child in children(process.pid):
                os.kill(child, signal.SIGKILL)
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        assert process.poll() is None
    assert said.read_text().count("web_process_ended") >= 3
    assert process.returncode == 0


@pytest.mark.promise(8)
def test_the_web_server_stops_while_bodies_are_on_their_way_and_many_more_are_tried(
    database_url: str, tmp_path: Path
) -> None:
    """It is told again and again, and hears it once; whoever sends a body has the time of one."""
    said, slow = tmp_path / "said", Shape(posted("/admin/v1/tenants", body=b"{", length=2))
    with running("serve", database_url, said) as (port, process):
        wait_until(lambda: readiness(port) == (200, None), SECONDS)
        with attacked(port, slow, 300):
            process.terminate()
            assert process.wait(SECONDS) == 0
    assert "web_process_killed" not in said.read_text()


def test_web_processes_that_can_never_be_started_end_the_server_and_it_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CANNOT_START, str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "web_process_cannot_start" in ended.stdout + ended.stderr


@pytest.mark.parametrize(("level", "shows_where"), [("info", False), ("debug", True)])
def test_a_web_process_that_fails_says_a_line_with_a_reference_and_no_traceback(level: str, shows_where: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CANNOT_LOAD, str(free_port()), level],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    said = [line for line in lines if line["event"] == "web_process_failed" and line["level"] == "error"]
    assert len(said) == ENDS_MAX
    assert len({line["detail"] for line in said}) == 1
    assert said[0]["detail"].startswith("unexpected LookupError (reference ")
    assert ("Traceback" in ended.stderr) is shows_where
    assert "eyJ" not in ended.stderr


def test_without_a_key_encryption_key_the_web_server_ends_at_once_in_one_line(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with running("serve", "postgresql://x@/x?host=/nonexistent", said, IDENTITY_KEY_ENCRYPTION_KEY="") as (_, process):
        assert process.wait(SECONDS) == 1
    assert "IDENTITY_KEY_ENCRYPTION_KEY is not set" in said.read_text()
    assert "Traceback" not in said.read_text()


@contextmanager
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="identity-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=711", "identity-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4_096))


def make_tenant(port: int, admin: str) -> int:
    body = json.dumps({"slug": f"t-{uuid4().hex[:16]}", "display_name": "x" * 60}).encode()
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/admin/v1/tenants", body, headers), timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


if IN_FULL and os.geteuid() == 0:  # it mounts a disk; the short form is in tests/config/test_readiness.py

    def test_a_full_disk_shows_in_readyz_and_is_over_when_there_is_room(tmp_path: Path) -> None:
        with small_disk() as disk:
            cluster = start_cluster(disk / "data", durable=False)
            try:
                migrate(cluster.url())
                cluster.ensure_login()
                admin = "x" * 40
                url, said = cluster.url(role="identity_app"), tmp_path / "said"
                with running("serve", url, said, IDENTITY_ADMIN_TOKEN=admin) as (port, _):
                    wait_until(lambda: readiness(port) == (200, None), SECONDS)
                    fill(disk / "full")
                    statuses: set[int] = set()
                    wait_until(lambda: (statuses.add(make_tenant(port, admin)), 503 in statuses)[1], SECONDS)
                    assert statuses <= {201, 503}
                    assert [readiness(port) for _ in range(3)] == [(503, "disk_full")] * 3
                    (disk / "full").unlink()
                    assert readiness(port) == (200, None)
                    assert make_tenant(port, admin) == 201
            finally:
                cluster.stop()
