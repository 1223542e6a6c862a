"""The example of a chain, whole: every part as a program, against a real `identity dev`."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.config.test_dev import ROOT, dev

pytestmark = pytest.mark.timeout(300)
RUN_S = 250


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the example said, and left at the `identity dev` of ``folder``, which still runs."""

    folder: Path
    code: int
    said: str
    complained: str
    is_anything_left: bool
    """Whether a program still ran when the example had ended."""

    @property
    def tenants(self) -> tuple[str, str]:
        """The two tenants of the run."""
        [pair] = re.findall(r"^The tenants (\S+) and (\S+) ", self.said, re.MULTILINE)
        return pair[0], pair[1]

    @property
    def task(self) -> tuple[str, str]:
        """The tenant and the task whose audit log is printed."""
        [(tenant, txn)] = re.findall(r"^identity audit list (\S+) --txn (\S+)$", self.said, re.MULTILINE)
        return tenant, txn


def run(folder: Path, *words: str) -> Ran:
    """Run a module, which finds the `identity dev` of ``folder``, and end what it leaves behind."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("IDENTITY_", "CHAIN_"))}
    environment = clean | {"IDENTITY_DATA": str(folder / "data"), "TMPDIR": str(folder / "temporary")}
    process = subprocess.Popen(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        said, complained = process.communicate(timeout=RUN_S)
    finally:
        is_anything_left = end_all(process.pid)
    return Ran(folder, process.returncode, said, complained, is_anything_left)


def end_all(group: int) -> bool:
    """End every process of a group, and return whether there was one."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the account which root lends to PostgreSQL can reach."""
    made = Path(mkdtemp(prefix="identity-chain-"))
    made.chmod(0o711)
    (made / "temporary").mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def ran(folder: Path) -> Iterator[Ran]:
    with dev(folder / "data"):
        yield run(folder, "examples.chain")


def outcomes(ran: Ran) -> list[str]:
    """Return what went on, and what was refused with the reason."""
    lines = [line for line in ran.said.splitlines() if line.startswith(("✓", "✗"))]
    return [re.sub(r": .*\((\w+)\)$", r": \1", line) for line in lines]


def test_what_should_go_on_goes_on_and_everything_else_is_refused_for_its_reason(ran: Ran) -> None:
    acme, globex = ran.tenants
    assert (ran.code, ran.complained) == (0, ""), ran.said
    assert outcomes(ran) == [
        f"✓ work goes on: {acme}: We open in Oslo",
        f"✓ work goes on: {acme}: The budget is approved",
        f"✓ work of the other tenant goes on: {globex}: We open in Oslo",
        f"✓ work of the other tenant goes on: {globex}: The budget is approved",
        *["✓ work of a cancelled task is refused: subject_token_task_ended"] * 2,
        *["✓ work for a suspended person is refused: subject_token_party_inactive"] * 2,
        "✓ a message with a token of another tenant is refused: subject_token_issuer",
        "✓ a token of acme in a path of globex is refused: issuer",
        "✓ a token for the summarizer at the document service is refused: audience",
        "✓ a token from the queue, after its time is refused: inactive",
        "✓ a token from the queue, renewed by another is refused: actor_already_in_chain",
    ]


def tree(said: str) -> list[str]:
    """Return the audit log below the task's line, without instants; of lifetimes, only the worker's 8 s."""
    _, _, below = said.partition("\nTask ")
    lines = [line[len("2026-11-30T00:00:00.000") :] for line in below.splitlines()[1:]]
    return [re.sub(r", \d\d+ s$", "", line) for line in lines]


def test_the_audit_log_of_the_task_has_every_exchange_and_every_actor_as_one_tree(ran: Ran) -> None:
    sam, worker = "for sam@example.com", "worker via summarizer via orchestrator"
    asked = [
        f"      token.issued: summarizer via orchestrator {sam}: work at https://worker.example",
        f"         token.issued: {worker} {sam}: documents.read at https://documents.example, 8 s",
    ]
    assert tree(ran.said) == [
        f"   token.issued: orchestrator {sam}: documents.list at https://documents.example",
        f"   token.issued: orchestrator {sam}: summarize at https://summarizer.example",
        *asked * 2,
        *[f"            token.issued: {worker} {sam}: documents.read at https://documents.example, 8 s"] * 2,
    ]


def test_the_other_tenants_log_knows_nothing_of_the_task(ran: Ran) -> None:
    _, globex = ran.tenants
    shown = run(ran.folder, "cli", "audit", "list", globex, "--txn", ran.task[1])
    assert (shown.code, shown.said) == (0, "No results.\n")


def test_no_program_no_message_and_no_token_stays_behind(ran: Ran) -> None:
    assert not ran.is_anything_left
    assert list((ran.folder / "temporary").iterdir()) == []


def test_without_a_running_identity_dev_it_says_what_to_start(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    ended = run(tmp_path, "examples.chain")
    assert (ended.code, ended.said) == (4, "")
    assert "start `identity dev` in this folder" in ended.complained
    assert "Traceback" not in ended.complained
