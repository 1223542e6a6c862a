"""Everything on one machine with one command: PostgreSQL, web, worker and relay, started and stopped in
order.

Children live in sessions of their own, so that Ctrl-C reaches the supervisor alone, and it stops them in
order; the kernel ends them when the supervisor is killed, so that nothing is ever left behind.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from config.database import migrate, schema_state
from config.installation import Installation, admin_token_is_given, lock_folder, open_installation
from config.postgres import Cluster, start_cluster
from config.process import end_with_parent, stop_process
from config.settings import load_settings

STOP_ORDER = ("worker", "relay", "web")
STOP_S = 10.0
READY_S_MAX = 30.0
LOOK_S = 0.25
RESTARTS_MAX = 5
"""A program that ends this often by itself takes everything down with it, for somebody should look."""


class StartError(Exception):
    """Something did not start; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A running installation, for whoever wants to use it at once."""

    base_url: str
    folder: Path
    took_s: float
    admin_token: str | None
    """In clear when it is new or was given in the environment; else nobody here knows it."""
    admin_token_is_new: bool


@dataclass
class Supervisor:
    """The running parts of one installation."""

    folder: Path
    environment: dict[str, str]
    cluster: Cluster | None = None
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start_program(self, name: str) -> None:
        """Start ``identity web``, ``worker`` or ``relay`` as a child."""
        command = {"web": "serve"}.get(name, name)
        self.programs[name] = subprocess.Popen(
            [sys.executable, "-m", "config.cli", command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - started by the main thread, before any other
        )

    def watch(self) -> None:
        """Return when told to stop. Raises ``StartError`` when a part keeps ending by itself."""
        while not self.stopping.wait(LOOK_S):
            if self.cluster is not None and self.cluster.process.poll() is not None:
                raise StartError(f"PostgreSQL ended by itself; see {self.cluster.data.parent / 'postgres.log'}")
            for name, process in list(self.programs.items()):
                if process.poll() is not None:
                    self._restart(name, process.returncode)

    def _restart(self, name: str, status: int) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        if self.restarts[name] > RESTARTS_MAX:
            raise StartError(f"{name} keeps ending by itself (status {status})")
        self.start_program(name)

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
    """Start everything in ``folder``, call ``on_ready`` in a thread of its own, and run until told to stop, or
    until ``on_ready`` has answered that nobody needs it any more.

    Raises ``StartError``, ``FolderInUseError``, ``PostgresUnavailableError``, ``SettingsError``.
    """
    began = time.monotonic()
    lock = lock_folder(folder)
    installation = open_installation(folder, needs_admin_token=not admin_token_is_given(environment))
    supervisor = Supervisor(folder, dict(environment) | installation.environment(environment))
    _stop_on_signals(supervisor.stopping)
    try:
        base_url = _start(supervisor, port)
        if not supervisor.stopping.is_set():
            ready = _ready(supervisor, installation, base_url, time.monotonic() - began)
            threading.Thread(target=_tell, args=(on_ready, ready, supervisor.stopping), daemon=True).start()
        supervisor.watch()
    finally:
        supervisor.stop()
        os.close(lock)


def _tell(on_ready: Callable[[Ready], bool], ready: Ready, stopping: threading.Event) -> None:
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
    _refuse_taken_port(environment.get("IDENTITY_HOST", "127.0.0.1"), port)
    if not environment.get("IDENTITY_DATABASE_URL"):
        supervisor.cluster = start_cluster(supervisor.folder)
        environment["IDENTITY_DATABASE_URL"] = supervisor.cluster.url(role="identity_app")
        environment["IDENTITY_OWNER_DATABASE_URL"] = supervisor.cluster.url()
    environment.setdefault("IDENTITY_LOG_LEVEL", "warning")
    environment.setdefault("IDENTITY_OUTGOING_ALLOW_LOOPBACK", "true")
    os.environ.update({name: value for name, value in environment.items() if name.startswith("IDENTITY_")})
    settings = load_settings()
    current, head = schema_state(settings.owner_url)
    if current != head:
        migrate(settings.owner_url)
    if supervisor.cluster is not None:
        supervisor.cluster.ensure_login()
    supervisor.start_program("web")
    _wait_until_ready(supervisor, settings.port)
    for name in ("worker", "relay"):  # after the web server: it is what somebody waits for
        supervisor.start_program(name)
    return settings.external_url


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartError(f"port {port} cannot be used ({error.strerror}); choose another: --port") from error


def _wait_until_ready(supervisor: Supervisor, port: int) -> None:
    deadline = time.monotonic() + READY_S_MAX
    web = supervisor.programs["web"]
    while not supervisor.stopping.is_set() and not _is_ready(port):
        if web.poll() is not None:
            raise StartError(f"the web server ended with status {web.returncode}; its last words are above")
        if time.monotonic() > deadline:
            raise StartError(f"the web server was not ready within {READY_S_MAX:.0f} s")
        supervisor.stopping.wait(0.03)


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=3) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _ready(supervisor: Supervisor, installation: Installation, base_url: str, took_s: float) -> Ready:
    given = supervisor.environment.get("IDENTITY_ADMIN_TOKEN")
    return Ready(
        base_url=base_url,
        folder=supervisor.folder,
        took_s=took_s,
        admin_token=installation.new_admin_token or given,
        admin_token_is_new=installation.new_admin_token is not None,
    )
