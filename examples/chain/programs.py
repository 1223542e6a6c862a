"""Starts each part as a program of its own, which has its own clients and no other part's."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import httpx2

from examples.chain.client import HTTP, Client

READY_S = 30
SERVICES = ("documents", "worker", "summarizer")

Clients = dict[str, dict[str, Client]]
"""By tenant and part."""


class Programs(ExitStack):
    """The programs of the block, which ends them. Each program's output is in ``folder``."""

    def __init__(self, folder: Path, clients: Clients) -> None:
        super().__init__()
        self.folder, self.clients = folder, clients
        self.urls = {part: f"http://127.0.0.1:{free_port()}" for part in SERVICES}

    def start_services(self) -> None:
        for part, url in self.urls.items():
            self._start(part, "flask", "--app", f"examples.chain.{part}", "run", "--port", url.rpartition(":")[2])
        for part, url in self.urls.items():
            self._wait_until_ready(part, url)

    def start_queue(self) -> None:
        """Start the program that works on what is queued."""
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        self._start("worker", "celery", "--app", "examples.chain.worker:queue", "worker", "--loglevel", "INFO", *quiet)

    def _start(self, part: str, module: str, *words: str) -> None:
        own = {tenant: asdict(clients[part]) for tenant, clients in self.clients.items()}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
        environment |= {
            "CHAIN_CLIENTS": json.dumps(own),
            "CHAIN_WORKER": self.urls["worker"],
            "CHAIN_DOCUMENTS": self.urls["documents"],
            "TMPDIR": str(self.folder),  # where Celery moves a message that it reads
        }
        with (self.folder / f"{part}-{module}.log").open("w") as log:
            command = [sys.executable, "-m", module, *words]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.callback(end, process)

    def _wait_until_ready(self, part: str, url: str) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                HTTP.get(url)
            except httpx2.TransportError:
                time.sleep(0.05)
            else:
                return
        sys.exit(f"{part} did not start:\n" + (self.folder / f"{part}-flask.log").read_text())


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
