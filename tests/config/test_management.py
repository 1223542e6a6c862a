"""The management listener: what all web processes count, at an address of its own, and nowhere else."""

import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from identity.model.ids import PLATFORM

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def status(port: int, path: str, method: str = "GET") -> int | None:
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return None


@contextmanager
def serving(database_url: str, said: Path, temporary: Path, **environment: str) -> Iterator[tuple[int, int, int]]:
    """Run ``identity serve`` with two web processes; yield its ports, the public and the other one, and its pid."""
    port = free_port()
    managing = int(environment.setdefault("IDENTITY_MANAGEMENT_PORT", str(free_port())))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    mine = {
        "IDENTITY_DATABASE_URL": database_url, "IDENTITY_PORT": str(port), "IDENTITY_WEB_PROCESSES": "2",
        "IDENTITY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode(), "TMPDIR": str(temporary),
    }  # fmt: skip
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve"], cwd=ROOT, env=clean | mine | environment, stderr=errors
        )
    try:
        wait_until(lambda: status(port, "/readyz") == 200)
        yield port, managing, process.pid
    finally:
        process.terminate()
        process.wait(30)


def counted(managing: int, endpoint: str) -> float:
    with urlopen(f"http://127.0.0.1:{managing}/metrics", timeout=5) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == "identity_http_requests_total" and sample.labels["endpoint"] == endpoint
    )


def test_metrics_of_all_web_processes_are_answered_on_the_management_listener_alone(
    database_url: str, tmp_path: Path
) -> None:
    with serving(database_url, tmp_path / "said", tmp_path) as (port, managing, _):
        wait_until(lambda: status(managing, "/metrics") == 200)
        for _ in range(40):  # whichever process answers
            assert status(port, "/livez") == 200
        assert counted(managing, "livez") == 40
        assert status(port, "/metrics") == 404
        assert [status(managing, path) for path in ("/", "/livez", "/metrics/", "/admin/v1/tenants")] == [404] * 4
        assert status(managing, "/metrics", "POST") == 404
    assert status(managing, "/metrics") is None
    assert not list(tmp_path.glob("identity-metrics-*"))


def test_a_taken_management_port_is_told_and_keeps_nobody_from_serving(database_url: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(database_url, said, tmp_path, IDENTITY_MANAGEMENT_PORT=port) as (public, _, _):
            wait_until(lambda: "metrics are not served" in said.read_text())
            assert status(public, "/livez") == 200


def test_port_0_is_none(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "said", tmp_path, IDENTITY_MANAGEMENT_PORT="0") as (public, _, _):
        assert status(public, "/livez") == 200
        assert not list(tmp_path.glob("identity-metrics-*"))


@pytest.mark.promise(6)
def test_a_web_process_that_ends_writes_the_refusals_that_it_counted(
    database_url: str, owner_url: str, tmp_path: Path
) -> None:
    with serving(database_url, tmp_path / "said", tmp_path, IDENTITY_ADMIN_TOKEN="x" * 40) as (port, _, _):
        assert [status(port, "/admin/v1/tenants") for _ in range(40)] == [401] * 40
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute("SELECT set_config('app.tenant', %s, false)", [str(PLATFORM)])
        found = owner.execute("SELECT detail FROM events WHERE type = 'admin.refused'").fetchall()
    assert sum(row[0].get("count", 1) for row in found) == 40
    assert len(found) <= 2 * 2 * 2  # of two processes, in a minute or two


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel tells children of their parent's end")
def test_a_kill_9_leaves_neither_listener_nor_folder(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "said", tmp_path) as (_, managing, pid):
        wait_until(lambda: status(managing, "/metrics") == 200)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: status(managing, "/metrics") is None)
        wait_until(lambda: not list(tmp_path.glob("identity-metrics-*")))
