"""Everything on one machine with one command: PostgreSQL, web, worker and relay, started and stopped in
order.

Children live in sessions of their own, so that Ctrl-C reaches the supervisor alone, and it stops them in
order; the kernel ends them when the supervisor is killed, so that nothing is ever left behind.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import structlog

from config.settings import load_settings
from config.started import log_start
from dev.access import Access, forget_access, write_access
from dev.installation import (
    FolderInUseError,
    Installation,
    admin_token_is_given,
    is_in_use,
    lock_folder,
    open_installation,
)
from dev.postgres import Cluster, PostgresUnavailableError, start_again, start_cluster
from dev.running import write_running
from server.failures import Failure
from server.ports import refuse_taken_port
from server.process import end_with_parent, stop_process
from server.restarts import Restarts
from server.schema import migrate, schema_found
from server.telemetry import configure_logging

STOP_ORDER = ("worker", "relay", "web")
STOP_S = 10.0
READY_S_MAX = 30.0
LOOK_S = 0.25
STANDARD_ERROR = 2
NEEDED = frozenset({"postgres", "web"})
"""Nothing is answered without these, so they are never away for long."""

log = structlog.get_logger(__name__)


class StartError(Failure):
    """Something did not start; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A running installation, ready for use."""

    base_url: str
    folder: Path
    took_s: float
    admin_token: str | None
    """In clear when the folder keeps it or the environment gives it; None where only its hash is known."""
    admin_token_is_given: bool


@dataclass
class Supervisor:
    """The running parts of one installation."""

    folder: Path
    environment: dict[str, str]
    cluster: Cluster | None = None
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: Restarts = field(default_factory=Restarts)
    start_at: dict[str, float] = field(default_factory=dict)
    """The times (monotonic clock) of the next start of programs that have ended."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def start_program(self, name: str) -> None:
        """Start ``identity serve``, ``worker`` or ``relay`` as a child, or PostgreSQL again."""
        self.restarts.note_start(name, time.monotonic())
        if name == "postgres" and self.cluster is not None:
            self.cluster = start_again(self.cluster)
            return
        command = {"web": "serve"}.get(name, name)
        self.programs[name] = subprocess.Popen(
            [sys.executable, "-m", "cli", command],
            env={name: value for name, value in self.environment.items() if name != "IDENTITY_OWNER_DATABASE_URL"},
            stdin=subprocess.DEVNULL,
            stdout=STANDARD_ERROR,  # standard output is for what `identity dev` answers
            start_new_session=True,
            preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - started by the main thread, before any other
        )

    def running(self) -> dict[str, subprocess.Popen[bytes]]:
        """Return the process of each part, ended or not, in the order in which they are looked at."""
        return ({} if self.cluster is None else {"postgres": self.cluster.process}) | self.programs

    def watch(self) -> None:
        """Watch the programs until ``stopping`` is set. Raises ``StartError`` where the web server cannot start."""
        while not self.stopping.wait(LOOK_S):
            for name, process in self.running().items():
                if name not in self.start_at and process.poll() is not None:
                    self._note_end(name, process.returncode)
                if name in self.start_at and time.monotonic() >= self.start_at[name]:
                    self._start_again(name)

    def _note_end(self, name: str, status: int | str) -> None:
        ends = self.restarts.note_end(name, time.monotonic())
        if name == "web" and self.restarts.cannot_start(name):
            raise StartError(f"{name} cannot start: it has ended {ends} times (status {status})")
        pause_s = self.restarts.pause_s(ends, is_needed=name in NEEDED)
        log.error("program_ended", program=name, status=status, ends=ends, starts_again_in_s=pause_s)
        self.start_at[name] = time.monotonic() + pause_s

    def _start_again(self, name: str) -> None:
        del self.start_at[name]
        try:
            self.start_program(name)
        except OSError as error:  # no process or no memory left: it counts as an end
            self._note_end(name, error.strerror or type(error).__name__)
        except PostgresUnavailableError as error:
            self._note_end(name, str(error))

    def stop(self) -> None:
        """Stop the programs, then PostgreSQL."""
        running = [self.programs[name] for name in STOP_ORDER if name in self.programs]
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            stop_process(process, gentle="SIGTERM", wait_s=STOP_S)
        if self.cluster is not None:
            self.cluster.stop()


def run_installation(
    folder: Path, *, port: int, environment: Mapping[str, str], on_ready: Callable[[Ready], bool]
) -> None:
    """Start everything in ``folder``, call ``on_ready`` in a thread of its own, and run until a signal, or until
    ``on_ready`` returns false.

    Raises ``StartError``, ``FolderInUseError``, ``PostgresUnavailableError``, ``SettingsError``.
    """
    began = time.monotonic()
    os.umask(0o077)  # for files that a library opens
    _refuse_before_writing(folder, port, environment)
    lock = lock_folder(folder)
    forget_access(folder)
    installation = open_installation(folder, needs_admin_token=not admin_token_is_given(environment))
    supervisor = Supervisor(folder, dict(environment) | installation.environment(environment))
    _stop_on_signals(supervisor.stopping)
    try:
        base_url = _start(supervisor, port)
        if not supervisor.stopping.is_set():
            ready = _ready(folder, base_url, time.monotonic() - began, installation, environment)
            threading.Thread(target=_call_when_ready, args=(on_ready, ready, supervisor.stopping), daemon=True).start()
        supervisor.watch()
    finally:
        forget_access(folder)
        supervisor.stop()
        os.close(lock)


def _refuse_before_writing(folder: Path, port: int, environment: Mapping[str, str]) -> None:
    """Refuse what cannot be started before anything of it is written. Raises as ``run_installation``."""
    if is_in_use(folder):
        raise FolderInUseError(f"another `identity dev` is using {folder}")
    refuse_taken_port(environment.get("IDENTITY_HOST") or "127.0.0.1", port, setting="--port")
    given = environment.get("IDENTITY_DATABASE_URL")
    load_settings(port=port, database_url=None if given else "postgresql://identity@/identity")


def _ready(
    folder: Path, base_url: str, took_s: float, installation: Installation, environment: Mapping[str, str]
) -> Ready:
    """Let commands find what is ready, and return it."""
    is_given = admin_token_is_given(environment)
    kept = None if is_given else installation.admin_token
    write_access(folder, Access(base_url, kept))
    return Ready(base_url, folder, took_s, environment.get("IDENTITY_ADMIN_TOKEN") or kept, is_given)


def _call_when_ready(on_ready: Callable[[Ready], bool], ready: Ready, stopping: threading.Event) -> None:
    stays = False
    try:
        stays = on_ready(ready)
    finally:
        if not stays:
            stopping.set()


def _stop_on_signals(stopping: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())


def _start(supervisor: Supervisor, port: int) -> str:
    environment = supervisor.environment
    environment["IDENTITY_PORT"] = str(port)
    if not environment.get("IDENTITY_DATABASE_URL"):
        supervisor.restarts.note_start("postgres", time.monotonic())
        supervisor.cluster = start_cluster(supervisor.folder)
        supervisor.restarts.note_life("postgres")
        environment["IDENTITY_DATABASE_URL"] = supervisor.cluster.url(role="identity_app")
        environment["IDENTITY_OWNER_DATABASE_URL"] = supervisor.cluster.url()
    environment.setdefault("IDENTITY_LOG_LEVEL", "warning")
    environment.setdefault("IDENTITY_OUTGOING_ALLOW_LOOPBACK", "true")
    environment.setdefault("IDENTITY_ALLOW_DEVELOPMENT_ISSUER", "true")
    os.environ.update({name: value for name, value in environment.items() if name.startswith("IDENTITY_")})
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    write_running(supervisor.folder, environment)
    schema = schema_found(settings.owner_url)
    if schema.is_ahead and schema.fault is not None:
        raise StartError(f"the schema does not fit: {schema.fault}")
    if not schema.is_at_head and not schema.is_ahead:
        migrate(settings.owner_url)
    if supervisor.cluster is not None:
        supervisor.cluster.ensure_login()
    supervisor.start_program("web")
    _wait_until_ready(supervisor, settings.port)
    supervisor.restarts.note_life("web")
    for name in ("worker", "relay"):  # after the web server, for which the user waits
        supervisor.start_program(name)
    log_start(settings, "dev", address=f"{settings.host}:{settings.port}")
    return settings.external_url


def _wait_until_ready(supervisor: Supervisor, port: int) -> None:
    deadline = time.monotonic() + READY_S_MAX
    web = supervisor.programs["web"]
    while not supervisor.stopping.is_set() and not _is_ready(port):
        if web.poll() is not None:
            raise StartError(f"the web server ended with status {web.returncode}; its log above says why")
        if time.monotonic() > deadline:
            raise StartError(f"the web server was not ready within {READY_S_MAX:.0f} s")
        supervisor.stopping.wait(0.03)


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
