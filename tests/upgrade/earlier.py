"""Earlier versions of the program, out of the repository's history, as processes: one for each head of the schema."""

import io
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx2

from server.process import end_with_parent, stop_process
from tests.fixtures import ADMIN_TOKEN, EXTERNAL_URL

ROOT = Path(__file__).resolve().parents[2]
KEY = "A" * 43 + "="
START_S_MAX = 30.0
REVISION = re.compile(r'^(revision|down_revision) = "(\w+)"', re.MULTILINE)


def git(*arguments: str) -> bytes:
    """Ask the repository. Raises ``CalledProcessError`` where there is none."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


@cache
def commits() -> dict[str, str]:
    """Return the last commit of each head that a schema ever had, by revision."""
    found: dict[str, str] = {}
    for commit in git("rev-list", "HEAD").decode().split():
        tree = git("ls-tree", commit, "migrations/versions").decode().split()
        if tree:
            found.setdefault(_head_in(tree[2]), commit)
    return found


@cache
def _head_in(tree: str) -> str:
    texts = (git("show", f"{tree}:{name}").decode() for name in git("ls-tree", "--name-only", tree).decode().split())
    steps = [dict(REVISION.findall(text)) for text in texts]
    [head] = {step["revision"] for step in steps} - {step.get("down_revision") for step in steps}
    return head


def check_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit))) as archive:
        archive.extractall(folder, filter="data")
    return folder


@contextmanager
def process_of(tree: Path, database_url: str) -> Iterator[httpx2.Client]:
    """Run the web process of a version until the block ends."""
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tree),
        "IDENTITY_DATABASE_URL": database_url,
        "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN,
        "IDENTITY_KEY_ENCRYPTION_KEY": KEY,
        "IDENTITY_EXTERNAL_URL": EXTERNAL_URL,
        "IDENTITY_PORT": str(port),
        "IDENTITY_LOG_LEVEL": "warning",
    }
    if "management_port" in (tree / "config" / "settings.py").read_text():
        environment["IDENTITY_MANAGEMENT_PORT"] = "0"
    command = "cli" if (tree / "cli").is_dir() else "config.cli"
    process = subprocess.Popen(
        [sys.executable, "-m", command, "serve"],
        cwd=tree, env=environment, preexec_fn=end_with_parent("SIGKILL"),  # noqa: PLW1509 - of the main thread
    )  # fmt: skip
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as http:
            _wait_until_live(process, http)
            yield http
    finally:
        stop_process(process, gentle="SIGTERM", wait_s=30)


def _wait_until_live(process: subprocess.Popen[bytes], http: httpx2.Client) -> None:
    """An earlier version may say that it is not ready, and serve."""
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            if http.get("/livez").status_code == 200:
                return
        except httpx2.TransportError:
            assert process.poll() is None, f"the web process ended with status {process.returncode}"
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
