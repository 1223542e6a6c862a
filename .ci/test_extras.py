"""Each extra in an environment that holds what it installs and nothing else: the programs are started, not imported."""

import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import redis

from cli.main import COMMANDS
from dev.postgres import start_cluster
from tests.workers.plant import redis_at

sys.path.insert(0, str(Path(__file__).parent))

from environments import ROOT, Environment, Maker, clean_environment, find_uv, run

PACKAGES = ("cli", "config", "dev", "examples", "identity", "migrations", "scim", "workers", "server")
START_S = 60


# --- what is built once --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    folder = tmp_path_factory.mktemp("environments")
    return Maker(find_uv(folder / "uv"), folder)


@pytest.fixture(scope="session")
def wheels(maker: Maker) -> tuple[Path, Path]:
    """The application's wheel, and the verifier's."""
    return maker.wheel(ROOT, "foundation"), maker.wheel(ROOT / "verifier", "verifier")


Make = Callable[..., Environment]


@pytest.fixture(scope="session")
def installed(maker: Maker, wheels: tuple[Path, Path]) -> Make:
    """Return an environment with these extras, installed from the wheels, on the pinned versions."""

    @cache
    def make(*extras: str) -> Environment:
        foundation, verifier = wheels
        asked = f"{foundation}[{','.join(extras)}]" if extras else str(foundation)
        name = "-".join(("with", *extras)) if extras else "bare"
        return maker.environment(name, verifier, asked, constraints=str(ROOT / "constraints.txt"))

    return make


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account which root lends to PostgreSQL can reach, and where no source lies."""
    made = Path(tempfile.mkdtemp(prefix="identity-extras-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@dataclass(frozen=True, slots=True)
class Started:
    """A program that runs, and the file that holds all that it says."""

    process: subprocess.Popen[bytes]
    said: Path

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            assert self.process.poll() is None, self.said.read_text()[-3000:]
            assert time.monotonic() < deadline, self.said.read_text()[-3000:]
            time.sleep(0.05)

    def wait_for_line(self, part: str) -> None:
        self.wait_for(lambda: part in self.said.read_text())


@contextmanager
def started(command: list[str | Path], folder: Path, **environment: str) -> Iterator[Started]:
    """Start a program; it must still run at the end, and then end by itself when it is told to."""
    said = folder / f"{Path(command[0]).name}-{command[1]}.log"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [*map(str, command)], cwd=folder, env=clean_environment(**environment), stdout=out, stderr=out
        )
    try:
        yield Started(process, said)
        assert process.poll() is None, said.read_text()[-3000:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, said.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def refused(environment: Environment, *words: str, folder: Path, **settings: str) -> str:
    """Return what a command says that must end with 1 and one sentence."""
    ended = subprocess.run(
        [environment.identity, *words], cwd=folder, env=clean_environment(**settings), capture_output=True, text=True,
        check=False, timeout=START_S,
    )  # fmt: skip
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr[-3000:]
    return ended.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """Settings of an installation whose database is empty, on a PostgreSQL of this run."""
    folder = Path(tempfile.mkdtemp(prefix="identity-extras-postgres-"))
    folder.chmod(0o711)
    cluster = start_cluster(folder, durable=False)
    try:
        yield {
            "IDENTITY_OWNER_DATABASE_URL": cluster.url().replace("+psycopg", ""),
            "IDENTITY_DATABASE_URL": cluster.url().replace("+psycopg", "").replace("://identity@", "://identity_web@"),
            "IDENTITY_KEY_ENCRYPTION_KEY": b64encode(bytes(32)).decode(),
            "IDENTITY_ADMIN_TOKEN": "a" * 40,
            "IDENTITY_MANAGEMENT_PORT": "0",
        }
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def migrated(database: dict[str, str], installed: Make) -> dict[str, str]:
    """The same, brought to the schema by the bare installation."""
    url = database["IDENTITY_OWNER_DATABASE_URL"]
    run(installed().identity, "migrate", cwd="/", env=clean_environment(**database | {"IDENTITY_DATABASE_URL": url}))
    psql = "CREATE ROLE identity_web LOGIN; GRANT identity_app, identity_relay TO identity_web"
    superuser = url.replace("://identity@", "://postgres@")
    run(sys.executable, "-c", f"import psycopg; psycopg.connect({superuser!r}, autocommit=True).execute({psql!r})")
    return database


# --- the wheel -----------------------------------------------------------------------------------------------------


def test_the_wheel_holds_every_module_and_every_file_that_modules_read(wheels: tuple[Path, Path]) -> None:
    tracked = run("git", "ls-files", *PACKAGES, cwd=ROOT).split()
    held = set(zipfile.ZipFile(wheels[0]).namelist())
    assert [name for name in tracked if name not in held and not name.endswith(".md")] == []
    assert {name.partition("/")[0] for name in held if ".dist-info/" not in name} == set(PACKAGES)


# --- no extra ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_found_without_any_extra(installed: Make, folder: Path, command: str) -> None:
    shown = run(installed().identity, command, "--help", cwd=folder, env=clean_environment())
    assert shown.startswith("Usage: identity")


def test_without_any_extra_web_worker_and_relay_run_on_postgresql(
    installed: Make, migrated: dict[str, str], folder: Path
) -> None:
    port = free_port()
    identity = installed().identity
    settings = migrated | {"IDENTITY_PORT": str(port)}
    with (
        started([identity, "serve"], folder, **settings) as web,
        started([identity, "worker"], folder, **settings) as worker,
        started([identity, "relay"], folder, **settings) as relay,
    ):
        web.wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        for program in (worker, relay):
            program.wait_for_line('"started"')


@pytest.mark.parametrize(
    ("words", "settings", "said"),
    [
        (["demo"], {}, r"The story needs cedarpy: pip install 'identity-foundation\[demo\]'"),
        (["dev", "--story"], {}, r"The story needs cedarpy: pip install 'identity-foundation\[demo\]'"),
        (["worker"], {"IDENTITY_BROKER_URL": "redis://127.0.0.1:1/0"},
         r"Redis needs redis and packaging: pip install 'identity-foundation\[redis\]'"),
        (["relay"], {"IDENTITY_BROKER_URL": "redis://127.0.0.1:1/0"},
         r"Redis needs redis and packaging: pip install 'identity-foundation\[redis\]'"),
    ],
)  # fmt: skip
def test_a_missing_extra_is_named_in_one_sentence(
    installed: Make, migrated: dict[str, str], folder: Path, words: list[str], settings: dict[str, str], said: str
) -> None:
    assert re.search(said, refused(installed(), *words, folder=folder, **migrated | settings))


# --- embedded and demo ---------------------------------------------------------------------------------------------


def test_with_embedded_a_whole_installation_starts_from_nothing(installed: Make, folder: Path) -> None:
    port = free_port()
    command = [installed("embedded").identity, "dev", "--port", str(port), "--data", folder / "data"]
    with started(command, folder) as dev:
        dev.wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"))


def test_with_demo_the_story_is_played_to_its_end(installed: Make, folder: Path) -> None:
    told = run(installed("embedded", "demo").identity, "demo", "--json", cwd=folder, env=clean_environment())
    assert json.loads(told.splitlines()[-1]) == {"succeeded": True}


# --- redis ---------------------------------------------------------------------------------------------------------


def is_a_worker_waiting(server: "redis.Redis[Any]") -> bool:
    return any(client["cmd"].lower().startswith("brpop") for client in server.client_list())


def well_of(identity: Path, folder: Path, settings: dict[str, str]) -> set[str]:
    """What `doctor` finds to be well; without a web server not all of it is."""
    command = [str(identity), "doctor", "--json"]
    told = subprocess.run(
        command, cwd=folder, env=clean_environment(**settings), capture_output=True, text=True, check=False
    )
    return {each["name"] for each in json.loads(told.stdout)["findings"] if each["is_well"]}


def test_with_redis_worker_and_relay_run_on_it(installed: Make, migrated: dict[str, str], folder: Path) -> None:
    path = folder / "redis.sock"
    identity = installed("redis").identity
    settings = migrated | {"IDENTITY_BROKER_URL": f"redis+socket://{path}"}
    with (
        redis_at(path),
        started([identity, "worker"], folder, **settings) as worker,
        started([identity, "relay"], folder, **settings) as relay,
        redis.Redis(unix_socket_path=str(path)) as server,
    ):
        worker.wait_for(lambda: is_a_worker_waiting(server))
        assert relay.process.poll() is None, relay.said.read_text()
        assert well_of(identity, folder, settings) >= {"broker", "worker", "relay", "queue", "outbox"}


# --- what tests the project ----------------------------------------------------------------------------------------


def test_with_dev_tests_and_checks_run(installed: Make, folder: Path) -> None:
    environment = installed("dev")
    environ = clean_environment(PYTHONDONTWRITEBYTECODE="1")
    options = ["-q", "-n", "0", "-p", "no:cacheprovider"]
    tests = "tests/model/test_lifecycle.py"
    assert "passed" in run(environment.python, "-m", "pytest", *options, tests, cwd=ROOT, env=environ)
    run(environment.place / "bin/ruff", "check", "--no-cache", "identity/model", cwd=ROOT, env=environ)
    run(environment.place / "bin/mypy", "--cache-dir", folder, "-p", "identity_verifier", cwd=ROOT, env=environ)
    run(environment.place / "bin/lint-imports", "--no-cache", cwd=ROOT, env=environ)


HAS_FUZZER = platform.machine() == "x86_64" and sys.platform == "linux"
"""atheris publishes wheels for nothing else."""


def test_with_fuzz_inputs_are_made_where_there_is_a_wheel_for_this_machine(installed: Make, folder: Path) -> None:
    if not HAS_FUZZER:
        return
    environ = clean_environment(PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'verifier'}", PYTHONDONTWRITEBYTECODE="1")
    told = run(installed("dev", "fuzz").python, "-m", "fuzz", "50", "filter", cwd=folder, env=environ)
    assert re.search(r"^filter +[1-9]", told, re.MULTILINE), told
