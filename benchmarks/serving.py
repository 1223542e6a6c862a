"""The two servers of a run, each a process of its own, and the CPU time that they and PostgreSQL have used."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from server.process import end_with_parent, stop_process

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_S_MAX = 30.0
STOP_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU time that the server's processes have used. Seconds, to 10 ms."""
        return tree_cpu_s(self.pid)


@contextmanager
def serving(module: str, *arguments: str, ready: str, environment: Mapping[str, str]) -> Iterator[Served]:
    """Run ``python -m module arguments`` with a free port as its last argument, until the block ends."""
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments, str(port)],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - started by the main thread, before any other
    )
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}{ready}")
        yield Served(port, process.pid)
    finally:
        stop_process(process, gentle="SIGTERM", wait_s=STOP_S_MAX)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            with urlopen(url, timeout=3):
                return
        except (URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server for {url} did not start") from None
            time.sleep(0.05)


def tree_cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of all below it, those that have ended included. Linux only."""
    found = 0.0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found += sum(int(ticks) for ticks in fields[11:15])  # user, system, and both of ended children
    return found / TICKS_PER_S


def tree_memory_bytes(pid: int) -> int:
    """Return how much memory a process and all below it hold (resident; what is shared counts for each). Linux only."""
    found = 0
    for one in tree(pid):
        try:
            found += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return found


def tree(pid: int) -> Iterator[int]:
    """Yield the ids of a process and of all below it."""
    queue = [pid]
    while queue:
        one = queue.pop()
        yield one
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            queue += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
