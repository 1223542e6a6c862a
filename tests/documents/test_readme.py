"""The commands of the documents, pasted one after the other into a shell, in a fresh clone.

The clone is what git knows of the working tree, installed by ``make``. A command that goes on
running is started and waited for. Its port is a free one, which replaces 8080 in the documents.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents.blocks import ROOT, STAYS, Block, blocks_of, documents

USUAL_PORT = "8080"
READY_S, COMMANDS_S = 400, 240
IS_READY = "Ctrl-C stops everything"
PREPARED = """
set -euo pipefail
PATH="$PWD/.venv/bin:$PATH"
"""
TOLD = """
eval "$(identity dev env)"
"""


@dataclass(frozen=True, slots=True)
class Clone:
    """A fresh clone, in which ``make run`` runs."""

    folder: Path
    port: int
    environment: dict[str, str]

    def paste(self, document: str) -> subprocess.CompletedProcess[str]:
        """Run the commands of a document in one shell, and stop at the first that fails."""
        script = self.folder / f".{document.replace('/', '-')}.sh"
        told = "" if document == "README.md" else TOLD
        script.write_text(PREPARED + told + "\n".join(self._command(block) for block in blocks_of(document)))
        return subprocess.run(
            ["bash", script.name], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=COMMANDS_S, check=False,
        )  # fmt: skip

    def _command(self, block: Block) -> str:
        text = block.text.replace(USUAL_PORT, str(self.port))
        if block.file:
            return f"cat > {block.file} <<'END_OF_FILE'\n{text}END_OF_FILE"
        if not block.is_run or block.what == STAYS:
            return ""
        return f'echo "== {block.document}:{block.line}" >&2\n{text}'


def copy_of_the_tree(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder, port = tmp_path_factory.mktemp("clone"), free_port()
    copy_of_the_tree(folder)
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    environment = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
    [start] = [block for block in blocks_of("README.md") if block.what == STAYS]
    told = folder / ".told"
    with told.open("w") as out:
        running = subprocess.Popen(
            ["sh", "-c", f"exec {start.text.strip()} PORT={port}"],
            cwd=folder, env=environment | {"IDENTITY_MANAGEMENT_PORT": "0"}, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_ready(running, told)
        yield Clone(folder, port, environment)
    finally:
        os.killpg(running.pid, signal.SIGINT)  # Ctrl-C, which a terminal sends to all
        running.wait(60)


def wait_until_ready(running: subprocess.Popen[bytes], told: Path) -> None:
    for _ in range(READY_S * 5):
        if IS_READY in told.read_text():
            return
        try:
            running.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(told.read_text()[-2000:])


COMMANDING = [document for document in documents() if any(block.is_run for block in blocks_of(document))]


@pytest.mark.timeout(READY_S + len(COMMANDING) * COMMANDS_S)
def test_the_commands_of_every_document_work_as_they_stand(clone: Clone) -> None:
    failed = {}
    for document in COMMANDING:
        pasted = clone.paste(document)
        if pasted.returncode != 0:
            failed[document] = pasted.stderr[-1500:] + pasted.stdout[-500:]
        if document == "README.md":
            assert pasted.stdout.count('"access_token"') >= 1, "curl got a task token"
            assert "True" in pasted.stdout, "the resource server learns that it is valid"
            assert '{"active": false}' in pasted.stdout, "and, after Sam has gone, that it is not"
    assert failed == {}
