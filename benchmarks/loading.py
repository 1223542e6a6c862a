"""A directory that comes through /Bulk, sent by ``identity scim load``: how fast, and in how much memory."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.directory import USER, user_document
from benchmarks.planting import Planted
from benchmarks.serving import Served, tree_memory_bytes
from server.process import end_with_parent

SAMPLE_S = 0.5
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """``client`` and ``server`` are MiB of memory, sampled all along."""

    users: int
    took_s: float
    client: list[float]
    server: list[float]

    @staticmethod
    def part(samples: list[float], where: float) -> float:
        """Return the memory at a place of the load: 0 is its beginning, 1 its end."""
        return samples[round(where * (len(samples) - 1))]


def load_users(served: Served, of: Planted, users: int) -> Loaded:
    """Load so many users into a tenant. Raises ``SystemExit`` unless all are there afterwards."""
    with TemporaryDirectory(prefix="identity-benchmark-") as folder:
        file = Path(folder) / "people.ndjson"
        write_people(file, users)
        url = f"http://127.0.0.1:{served.port}{of.scim}"
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "scim", "load", url, of.token, str(file), "--json"],
            stdout=subprocess.PIPE,
            preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - started by the main thread, before any other
        )
        client, server = [], []
        while process.poll() is None:
            client.append(tree_memory_bytes(process.pid) / MIB)
            server.append(tree_memory_bytes(served.pid) / MIB)
            time.sleep(SAMPLE_S)
        took_s = time.monotonic() - began
        output, _ = process.communicate()
    if process.returncode or json.loads(output)["created"] != users:
        raise SystemExit(f"the load ended with {process.returncode}: {output!r}")
    return Loaded(users, took_s, client[:-1] or client, server[:-1] or server)  # the last one sees a client that ends


def write_people(file: Path, users: int) -> None:
    """Write one user a line."""
    with file.open("w") as out:
        for number in range(users):
            out.write(json.dumps({"schemas": [USER], **user_document(number)}) + "\n")
