"""`identity dev` for real: from nothing to ready, one stop for everything, nothing left behind."""

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from cli.printout import greeting
from dev.supervisor import Ready

ROOT = Path(__file__).parent.parent.parent
IN_FULL = bool(os.environ.get("IDENTITY_PROVE_FAULTS"))


@dataclass
class Run:
    """A started `identity dev` and what it said."""

    process: subprocess.Popen[str]
    said: dict[str, Any]

    def tree(self) -> set[int]:
        """Every process that it started, and theirs."""
        found: set[int] = set()
        queue = [self.process.pid]
        while queue:
            children = [int(pid) for pid in _children(queue.pop())]
            found.update(children)
            queue.extend(children)
        return found


def _children(pid: int) -> list[str]:
    try:
        return [pid for task in Path(f"/proc/{pid}/task").iterdir() for pid in (task / "children").read_text().split()]
    except OSError:
        return []


def _alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if _state(pid) not in (None, "Z")}


def _state(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account which root lends to PostgreSQL can reach."""
    made = Path(mkdtemp(prefix="identity-dev-"))
    made.chmod(0o711)
    yield made / "data"
    shutil.rmtree(made)


@contextmanager
def dev(
    folder: Path, user: str | None = None, python: str = sys.executable, umask: int = -1, **environment: str
) -> Iterator[Run]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    process = subprocess.Popen(
        [python, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder), "--json"],
        cwd=ROOT, env=clean | environment, stdout=subprocess.PIPE, text=True, start_new_session=True, umask=umask,
        **({"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}),
    )  # type: ignore[call-overload]  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it ended without being ready"
        yield Run(process, json.loads(line))
    finally:
        process.terminate()
        process.wait(20)


def started_all(run: Run) -> bool:
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in _children(run.process.pid)]
    return all(any(name in command for command in commands) for name in ("serve", "worker", "relay", "postgres"))


def test_from_nothing_it_is_ready_for_five_seconds_of_work(folder: Path) -> None:
    """What it takes on a machine at rest is its own work; how long that waits for a busy one says nothing of us."""
    with dev(folder) as run:
        assert urlopen(f"{run.said['base_url']}/readyz").status == 200
        assert sum(map(_worked_s, {run.process.pid, *run.tree()})) < 5


def _worked_s(pid: int) -> float:
    """Return the processor's seconds that a process and its ended children took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def test_a_sigterm_leaves_nothing(folder: Path) -> None:
    with dev(folder) as run:
        wait_until(lambda: started_all(run))
        started = run.tree()
        run.process.terminate()
        assert run.process.wait(15) == 0
        assert _alive(started) == set()


def test_a_kill_9_leaves_nothing_and_the_next_start_finds_everything(folder: Path) -> None:
    with dev(folder) as run:
        wait_until(lambda: started_all(run))
        started = run.tree()
        run.process.kill()
        wait_until(lambda: _alive(started) == set(), seconds=5)
        token = run.said["admin_token"]
    with dev(folder) as again:
        assert again.said["admin_token"] == token
        assert urlopen(f"{again.said['base_url']}/readyz").status == 200
    kept = folder / "installation.toml"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert token in kept.read_text()


def test_a_damaged_file_is_named_in_one_line(folder: Path) -> None:
    folder.mkdir()
    (folder / "installation.toml").write_text("admin_token = ")
    refused = subprocess.run(
        [sys.executable, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"Error: {folder}/installation.toml is not TOML")
    assert len(refused.stderr.splitlines()) == 1


def test_a_given_admin_token_is_used_and_none_is_made(folder: Path) -> None:
    with dev(folder, IDENTITY_ADMIN_TOKEN="x" * 40) as run:
        assert run.said["admin_token"] is None
        access = json.loads((folder / "access.json").read_text())
        assert access == {"url": run.said["base_url"], "admin_token": None}
    assert "admin_token" not in (folder / "installation.toml").read_text()
    assert not (folder / "access.json").exists()


@pytest.mark.timeout(600)
def test_programs_that_die_are_started_again_and_the_others_stay(folder: Path) -> None:
    with dev(folder) as run:
        wait_until(lambda: started_all(run))
        for turn in range(42 if IN_FULL else 2):
            name = ("worker", "serve", "relay")[turn % 3]
            wait_until(lambda name=name: program(run, name) is not None, seconds=60)  # type: ignore[misc]
            os.kill(program(run, name) or 0, signal.SIGKILL)
        wait_until(lambda: all(program(run, name) for name in ("worker", "serve", "relay")), seconds=60)
        wait_until(lambda: status_of(f"{run.said['base_url']}/readyz") == 200, seconds=60)
        assert run.process.poll() is None


def postmaster(run: Run) -> int | None:
    for pid in map(int, _children(run.process.pid)):
        with suppress(OSError):
            if "bin/postgres\0" in Path(f"/proc/{pid}/cmdline").read_text() and _alive({pid}):
                return pid
    return None


def status_of(url: str) -> int | None:
    try:
        with urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.timeout(600)
@pytest.mark.promise(6)
def test_a_database_that_dies_is_started_again_and_the_others_come_back(folder: Path) -> None:
    """And its log is continued."""
    with dev(folder) as run:
        wait_until(lambda: started_all(run))
        said = (folder / "postgres.log").read_bytes()
        for _ in range(16 if IN_FULL else 2):
            wait_until(lambda: postmaster(run) is not None, seconds=30)
            pid = postmaster(run)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: postmaster(run) not in (None, pid), seconds=30)  # type: ignore[misc]
            wait_until(lambda: status_of(f"{run.said['base_url']}/readyz") == 200, seconds=30)
        assert run.process.poll() is None
        assert (folder / "postgres.log").read_bytes().startswith(said)
        started = run.tree()
    assert run.process.returncode == 0
    assert _alive(started) == set()


def program(run: Run, name: str) -> int | None:
    for pid in map(int, _children(run.process.pid)):
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_text().endswith(f"{name}\0") and _alive({pid}):
                return pid
    return None


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_this_account_can_read_what_it_writes(folder: Path, umask: int) -> None:
    """Whatever the umask; the account that root lends to PostgreSQL may pass through a folder and list nothing."""
    with dev(folder, umask=umask) as run:
        wait_until(lambda: started_all(run))
        modes = {path: mode for path in folder.rglob("*") if (mode := _mode(path)) is not None}
        assert _mode(folder) == (0o710 if os.geteuid() == 0 else 0o700)
    assert {"lock", "installation.toml", "postgres.log", "postgres"} <= {path.name for path in modes}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def _mode(path: Path) -> int | None:
    """Return the mode; None for what PostgreSQL has deleted meanwhile, and for links, which have none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return None if stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)


def test_the_log_of_the_database_is_kept_over_a_restart(folder: Path) -> None:
    log = folder / "postgres.log"
    with dev(folder):
        first = log.read_bytes()
    with dev(folder):
        assert log.read_bytes().startswith(first)
        assert log.read_bytes().count(b"database system is ready") == 2


def test_its_programs_log_in_as_one_that_owns_nothing(folder: Path) -> None:
    with dev(folder) as run:
        wait_until(lambda: started_all(run))
        told = [
            Path(f"/proc/{pid}/environ").read_text()
            for pid in _children(run.process.pid)
            if "cli" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
    assert len(told) == 3
    assert all(
        "identity_web@" in environment and "IDENTITY_OWNER_DATABASE_URL" not in environment for environment in told
    )


def test_a_folder_in_use_is_refused_in_one_line(folder: Path) -> None:
    with dev(folder):
        second = subprocess.run(
            [sys.executable, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert second.returncode == 1
    assert second.stderr == f"Error: another `identity dev` is using {folder}\n"


def test_a_taken_port_is_refused_in_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, "-m", "cli", "dev", "--port", str(port), "--data", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert refused.returncode == 1
    assert f"port {port} cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not folder.exists(), "nothing was written that a second start could miss"


def test_wrong_settings_are_refused_before_anything_is_written(folder: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder)],
        cwd=ROOT, env=os.environ | {"IDENTITY_PRT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (refused.returncode, refused.stderr) == (
        1, "Error: IDENTITY_PRT is not a setting; remove it or correct its name\n",
    )  # fmt: skip
    assert not folder.exists()


def test_a_folder_of_an_earlier_version_goes_on_and_is_told_how_it_gets_a_token(folder: Path) -> None:
    """It keeps the hash of a token that was shown once."""
    token = "idf_admin_of-an-earlier-version-0123456789"
    folder.mkdir()
    kept = folder / "installation.toml"
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    hashed = f'admin_token_sha256 = "{sha256(token.encode()).hexdigest()}"\n'
    kept.write_text(f'key_encryption_key = "{key}"\n{hashed}')
    with dev(folder) as run:
        assert run.said["admin_token"] is None
        asked = Request(f"{run.said['base_url']}/admin/v1/tenants", headers={"Authorization": f"Bearer {token}"})
        assert urlopen(asked).status == 200
    ready = Ready("http://127.0.0.1:1", folder, 1.0, None, admin_token_is_given=False)
    assert f"delete the line admin_token_sha256 from {kept}" in greeting(ready)
    kept.write_text(kept.read_text().replace(hashed, ""))
    with dev(folder) as run:
        assert run.said["admin_token"].startswith("idf_admin_")
    assert key in kept.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs as an ordinary user already")
def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    folder.mkdir()
    shutil.chown(folder, "nobody")
    # Root's own interpreter may lie in a folder that nobody else can enter; the system's then stands in for it.
    reachable = Path(sys.executable).resolve().is_relative_to("/usr") or "/usr/bin/python3"
    python = sys.executable if reachable is True else str(reachable)
    packages = f"{ROOT}:{Path(pytest.__file__).parent.parent}:{ROOT / 'verifier'}"
    with dev(folder, user="nobody", python=python, PYTHONPATH=packages, PYTHONDONTWRITEBYTECODE="1") as run:
        assert urlopen(f"{run.said['base_url']}/readyz").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another account")
def test_a_closed_folder_of_root_stays_closed(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(parents=True, mode=0o700)
    with dev(closed) as run:
        assert urlopen(f"{run.said['base_url']}/readyz").status == 200
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        home = Path((closed / "postgres.location").read_text().strip())
    shutil.rmtree(home)
