"""A RabbitMQ of the run: in a private folder, on ports of loopback, shared by all processes of a parallel run.

Each process has a virtual host of its own, so that tests at the same time share no queue.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.workers.plant import wait_until

DEBIAN = Path("/usr/lib/rabbitmq/lib")  # its rabbitmq-server on the PATH changes to another account first
USER, PASSWORD = "tests", "of-the-tests"
HASHING = "rabbit_password_hashing_sha256"
PROCESSES_MAX = 8
START_S_MAX = 60


@contextmanager
def shared_rabbitmq(folder: Path, process: str) -> Iterator[str]:
    """Yield the URL of this process's virtual host; the first that asks starts the broker, the last stops it."""
    if _program() is None:
        pytest.skip("no rabbitmq-server was found: install rabbitmq-server")
    folder.mkdir(mode=0o700, exist_ok=True)
    with _state(folder) as state:
        if not state.get("users"):
            state.update(_start(folder))
        state["users"] = state.get("users", 0) + 1
        url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{state['port']}/{process}"
    try:
        yield url
    finally:
        with _state(folder) as state:
            state["users"] -= 1
            if state["users"] == 0:
                _stop(state["pids"])


@contextmanager
def _state(folder: Path) -> Iterator[dict[str, Any]]:
    """Hold the file that says who uses the broker; what is changed in it is kept."""
    with (folder / "state.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state = json.loads(file.read() or "{}")
        try:
            yield state
        finally:
            file.truncate(0)
            file.write(json.dumps(state))
            file.flush()


def _program() -> str | None:
    found = sorted(DEBIAN.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return str(found[-1]) if found else shutil.which("rabbitmq-server")


@dataclass
class RabbitMQ:
    """A node with its folder and its ports, which stay the same when it is started again."""

    program: str
    folder: Path
    port: int
    distribution: int
    mapper: int
    pids: list[int] = field(default_factory=list)

    def url(self, host: str) -> str:
        """The URL of a virtual host."""
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{host}"

    def start(self) -> None:
        """Start the node and what maps its name, and wait until it answers."""
        environment = _environment(self.folder, self.distribution, self.mapper)
        with (self.folder / "output.log").open("ab") as output:
            options = {"env": environment, "stdout": output, "stderr": output, "start_new_session": True}
            # Started by us and by no Erlang: that one would stay behind as a daemon.
            names = subprocess.Popen(["epmd", "-port", str(self.mapper)], **options)  # type: ignore[call-overload]
            broker = subprocess.Popen([self.program], **options)  # type: ignore[call-overload]
        self.pids = [broker.pid, names.pid]
        try:
            wait_until(lambda: broker.poll() is not None or _answers(self.port), START_S_MAX)
            assert broker.poll() is None, (self.folder / "output.log").read_text()[-2000:]
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """kill -9; what it has on disk stays."""
        _stop(self.pids)
        self.pids = []


def configured_rabbitmq(folder: Path) -> RabbitMQ:
    """Return a node that has not been started yet; skips the test where there is no program for it."""
    program = _program()
    if program is None:
        pytest.skip("no rabbitmq-server was found: install rabbitmq-server")
    folder.mkdir(mode=0o700, exist_ok=True)
    node = RabbitMQ(program, folder, *_free_ports(3))
    _configure(folder, node.port)
    return node


def _start(folder: Path) -> dict[str, object]:
    node = configured_rabbitmq(folder)
    node.start()
    return {"port": node.port, "pids": node.pids}


def _configure(folder: Path, port: int) -> None:
    salt = b"salt"
    kept = b64encode(salt + sha256(salt + PASSWORD.encode()).digest()).decode()
    hosts = ["master", *(f"gw{number}" for number in range(PROCESSES_MAX))]
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    definitions = {
        "users": [{"name": USER, "password_hash": kept, "hashing_algorithm": HASHING, "tags": ""}],
        "vhosts": [{"name": host} for host in hosts],
        "permissions": [{"user": USER, "vhost": host, **everything} for host in hosts],
    }  # fmt: skip
    (folder / "definitions.json").write_text(json.dumps(definitions))
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {folder}/definitions.json\nlog.console = false\n"
    )


def _environment(folder: Path, distribution: int, mapper: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
        "RABBITMQ_NODENAME": f"tests-{mapper}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
        # One scheduler that does not spin while it waits: the tests need the processors themselves.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
    }


def _stop(pids: list[int]) -> None:
    """End what was started, each with its session; Erlang's own children end with it."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # another process of the run started it
            os.waitpid(pid, 0)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
