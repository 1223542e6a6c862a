"""An installation of its own, each program of which can be killed and is then started anew, as a supervisor does it."""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import httpx2
import psycopg

from dev.postgres import Cluster, PostgresUnavailableError, start_cluster
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.store.transaction import make_engine
from server.process import end_with_parent
from server.schema import migrate
from tests.faults.brokers import Broker, broker_of
from tests.fixtures import ADMIN_TOKEN, EXTERNAL_URL, Seeded, plant
from tests.workers.plant import ROOT, children, kill

COMMANDS = {"web": "serve", "worker": "worker", "relay": "relay"}
CLOCK = Path(__file__).parent / "clock"
WAIT_S_MAX = 60.0
LOOK_S = 0.03


@dataclass
class Stage:
    """The running parts. Everything is started by the thread that made it, with which the kernel ends it."""

    folder: Path
    cluster: Cluster
    broker: Broker
    port: int
    key: bytes
    tenants: list[Seeded] = field(default_factory=list)
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    shifts: dict[str, float] = field(default_factory=dict)
    """By how many seconds the clock of a program is wrong."""
    started: int = 0

    @property
    def base_url(self) -> str:
        """Where the web server listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the programs say."""
        return self.folder / "programs.log"

    def environment(self, program: str | None = None) -> dict[str, str]:
        """The settings of the installation, and the clock of one program."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")} | {
            "IDENTITY_DATABASE_URL": self.cluster.url(role="identity_app"),
            "IDENTITY_EXTERNAL_URL": EXTERNAL_URL,
            "IDENTITY_KEY_ENCRYPTION_KEY": base64.b64encode(self.key).decode(),
            "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN,
            "IDENTITY_PORT": str(self.port),
            "IDENTITY_MANAGEMENT_PORT": "0",
            "IDENTITY_LOG_LEVEL": "warning",
            "PYTHONPATH": os.pathsep.join([str(CLOCK), str(ROOT)]),
            "CLOCK_SHIFT_S": str(self.shifts.get(program or "", 0.0)),
        }
        return ours | ({} if self.broker.url is None else {"IDENTITY_BROKER_URL": self.broker.url})

    def start(self, program: str) -> None:
        """Start a program; the one before must have ended."""
        with self.log.open("ab") as log:
            self.programs[program] = subprocess.Popen(
                [sys.executable, "-m", "cli", COMMANDS[program]],
                cwd=ROOT,
                env=self.environment(program),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - it does two system calls
            )
        self.started += 1

    def tend(self) -> None:
        """Start what has ended."""
        for program, process in self.programs.items():
            if process.poll() is not None:
                self.start(program)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = WAIT_S_MAX) -> float:
        """Tend the programs until a condition holds, and return how long it took; the test fails when it never does."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}\n{self.last_words()}"
            self.tend()
            time.sleep(LOOK_S)
        return time.monotonic() - began

    def last_words(self) -> str:
        """The end of what the programs said."""
        return self.log.read_text(errors="replace")[-3_000:] if self.log.exists() else ""

    def kill(self, program: str) -> None:
        """kill -9 a program and all that it started."""
        kill(self.programs[program])

    def kill_children(self, program: str) -> None:
        """kill -9 what a program started, and let it start that anew."""
        for pid in children(self.programs[program]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_postgres(self) -> None:
        """kill -9 every process of PostgreSQL, and start it again on the same data."""
        for pid in [self.cluster.process.pid, *children(self.cluster.process)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.cluster.process.wait()
        self.wait_until(self._start_postgres, "PostgreSQL starts again")

    def kill_backend(self) -> None:
        """kill -9 one connection's process: PostgreSQL ends all the others and recovers by itself."""
        with self.sql(self.tenants[0]) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'identity_web'").fetchall()
        for (pid,) in found[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _start_postgres(self) -> bool:
        try:
            self.cluster = start_cluster(self.folder)
        except PostgresUnavailableError:  # what was killed a moment ago still holds the memory
            return False
        return True

    @contextmanager
    def sql(self, tenant: Seeded) -> Iterator[psycopg.Connection]:
        """A connection of the owner, who sees one tenant."""
        with psycopg.connect(self.cluster.url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"SET app.tenant = '{tenant.id}'")
            yield connection

    def doctor(self) -> tuple[int, str]:
        """Return the exit status of ``identity doctor`` and what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", "doctor"],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self) -> None:
        """End everything."""
        for process in self.programs.values():
            kill(process)
        self.cluster.stop()


@contextmanager
def standing(broker: str = "pgmq") -> Iterator[Stage]:
    """Give an installation with two tenants and all of its programs running."""
    folder = Path(mkdtemp(prefix="identity-faults-"))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass
    try:
        with broker_of(broker, folder) as running:
            stage = Stage(folder, start_cluster(folder), running, _free_port(), secrets.token_bytes(32))
            try:
                _furnish(stage)
                yield stage
            finally:
                stage.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _furnish(stage: Stage) -> None:
    migrate(stage.cluster.url())
    stage.cluster.ensure_login()
    engine = make_engine(stage.cluster.url(role="identity_app"), pool_size=1)
    stage.tenants = [plant(engine, slug, EnvelopeEncryption(stage.key)) for slug in ("acme", "rival")]
    engine.dispose()
    for program in COMMANDS:
        stage.start(program)
    stage.wait_until(partial(_is_ready, stage.base_url), "the web server is ready")


def _is_ready(base_url: str) -> bool:
    try:
        return httpx2.get(f"{base_url}/readyz", trust_env=False).is_success
    except httpx2.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
