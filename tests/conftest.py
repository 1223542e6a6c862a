"""A real PostgreSQL for the run, a migrated template in it, and a fresh copy for each test that needs one."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import psycopg
import pytest
import structlog
from hypothesis import settings

from dev.postgres import LOGIN, OWNER, SUPERUSER, Cluster, start_cluster
from scim.schema import catalogue
from server.schema import migrate
from tests.compiled_once import statements_compiled_once, url_rules_compiled_once
from tests.documents.codes import undocumented
from tests.house.statements import watched
from tests.trials import trials

TEMPLATE = "template_migrated"
ROOM_BYTES = 2_000_000_000

settings.register_profile("trials", max_examples=trials(100))
settings.load_profile("trials")


@dataclass(frozen=True, slots=True)
class Server:
    """The run's PostgreSQL; the processes of a parallel run share it."""

    socket_folder: str

    def url(self, database: str, role: str | None = None) -> str:
        """The owner's URL, or that of the application's login, which has taken ``role``."""
        options = f"&options=-c%20role%3D{role}" if role else ""
        return f"postgresql+psycopg://{LOGIN if role else OWNER}@/{database}?host={self.socket_folder}{options}"

    def execute(self, statement: str, user: str = OWNER) -> None:
        _session(self.socket_folder, user).execute(statement)

    def copy(self, template: str = TEMPLATE, *, prefix: str = "test") -> str:
        """Make a database that begins as ``template``, which has no connections; return its name.

        To copy its files takes half of the time that it takes to log their pages. Two copies hold tenants of the same
        ids, so this process forgets the catalogues that it kept of them.
        """
        catalogue._KEPT.clear()
        name = f"{prefix}_{uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, database: str) -> Future[None]:
        """Drop a database and end every connection to it, the application's and PostgreSQL's own (autovacuum) too.

        PostgreSQL waits 100 ms for open connections to end; the next test need not.
        """
        return _DROPS.submit(self.execute, f"DROP DATABASE {database} WITH (FORCE)", SUPERUSER)


@cache
def _session(socket_folder: str, user: str) -> psycopg.Connection:
    """Return the connection of this process that makes databases, or drops them."""
    return psycopg.connect(host=socket_folder, user=user, dbname="identity", autocommit=True)


_DROPS = ThreadPoolExecutor(1)


def _start() -> tuple[Cluster, Path]:
    # Binaries may be named, to run the tests on another version: /usr/lib/postgresql/15/bin
    binaries = os.environ.get("IDENTITY_TESTS_POSTGRES_BINARIES")
    folder = Path(tempfile.mkdtemp(prefix="identity-tests-", dir=_fast_folder()))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass
    cluster = start_cluster(folder, durable=False, binaries=Path(binaries) if binaries else None)
    server = Server(str(cluster.socket_folder))
    server.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(server.url(TEMPLATE))
    cluster.ensure_login()
    return cluster, folder


def _fast_folder() -> Path | None:
    """Memory where there is enough: copying the template's 300 files takes 15 ms there, 270 ms on a disk."""
    memory = Path("/dev/shm")
    enough = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES
    return memory if enough else None


def _stop(cluster: Cluster, folder: Path) -> None:
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: some tests wait for programs that they started."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        config.stash[_CLUSTER] = _start()  # a parallel run: its controller holds the server for all


def pytest_unconfigure(config: pytest.Config) -> None:
    if started := config.stash.get(_CLUSTER, None):
        _stop(*started)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    cluster, _ = node.config.stash[_CLUSTER]  # type: ignore[attr-defined]
    node.workerinput["socket_folder"] = str(cluster.socket_folder)  # type: ignore[attr-defined]


_CLUSTER: pytest.StashKey[tuple[Cluster, Path]] = pytest.StashKey()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The run's PostgreSQL, with the migrated template."""
    shared = getattr(request.config, "workerinput", {}).get("socket_folder")
    if shared is not None:
        yield Server(shared)
        return
    cluster, folder = _start()
    yield Server(str(cluster.socket_folder))
    _DROPS.shutdown()
    _stop(cluster, folder)


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of a fresh, migrated database that ends with the test."""
    name = server.copy()
    yield name
    server.drop(name)


@pytest.fixture
def owner_url(server: Server, database: str) -> str:
    """The test's database as the owner of its tables."""
    return server.url(database)


@pytest.fixture
def database_url(server: Server, database: str) -> str:
    """The test's database as the application sees it, with the rights of identity_app."""
    return server.url(database, role="identity_app")


@pytest.fixture(scope="session", autouse=True)
def _statements() -> Iterator[list[str]]:
    with watched() as faults:
        yield faults


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    with url_rules_compiled_once(), statements_compiled_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def _loggers_are_not_kept() -> Iterator[None]:
    """A logger that is kept would go on with the configuration of the test that used it first."""
    configure = structlog.configure
    with patch.object(
        structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False})
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def _tracebacks_are_plain() -> None:
    """With Rich a logged traceback shows every local variable, which takes five seconds for a fault of a request."""
    structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


@pytest.fixture(autouse=True)
def logs_begin_as_they_were() -> Iterator[None]:
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def every_statement_names_its_tenant(_statements: list[str]) -> Iterator[None]:
    """Hold the application to it in every test; what a test says by itself may forget it."""
    _statements.clear()
    yield
    assert not _statements


@pytest.fixture(scope="session", autouse=True)
def _undocumented() -> Iterator[set[str]]:
    with undocumented() as codes:
        yield codes


@pytest.fixture(autouse=True)
def every_code_is_documented(_undocumented: set[str]) -> Iterator[None]:
    """Hold each refusal of this process, in every test, to docs/troubleshooting.md."""
    _undocumented.clear()
    yield
    assert not _undocumented


@pytest.fixture
def empty_owner_url(server: Server) -> Iterator[str]:
    """A database that was never migrated."""
    name = f"test_{uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.drop(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a skip is forbidden (continuous integration) it is a failure: what was not run was not shown."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that skips itself."""
    report = yield
    if report.skipped:
        _forbid_skip(report)
    return report


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("IDENTITY_TESTS_FORBID_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and IDENTITY_TESTS_FORBID_SKIPS is set: {report.longrepr}"
