"""`identity dev --story` for real: it leaves a living tenant, and commands that can be pasted as they stand."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.config.test_dev import ROOT, free_port, wait_until

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh") if shutil.which(shell)]
STAYS = "Ctrl-C stops everything"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def parent() -> Iterator[Path]:
    """A folder with a space and a quote in its name, which the account that root lends to PostgreSQL can reach."""
    made = Path(mkdtemp(prefix="identity-living-"))
    made.chmod(0o711)
    (made / "o'brien s").mkdir(mode=0o711)
    yield made / "o'brien s"
    shutil.rmtree(made)


def clean(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")} | more


@contextmanager
def started(folder: Path, *words: str, **environment: str) -> Iterator[Path]:
    """Start `identity dev` with words, and yield the file of what it says once it has said everything."""
    said = folder.with_name("said")
    command = [sys.executable, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder), *words]
    with said.open("w") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=clean(**environment), stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: STAYS in said.read_text() or process.poll() is not None, seconds=120)
        assert process.poll() is None, said.read_text()
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def first(parent: Path) -> Iterator[str]:
    """What a first start says, while it runs; on a terminal that is too narrow for anything."""
    with started(parent / "data", "--story", COLUMNS="20") as said:
        yield said.read_text()


def commands(said: str) -> list[str]:
    """Return what is below the headings 1 to 6, as somebody would paste it."""
    found = re.findall(r"^\d\. .*\n\n((?:  .*\n)+)", said, re.MULTILINE)
    assert len(found) == 6
    return found


def paste(shell: str, *pasted: str) -> list[str]:
    """Run commands one after the other in one shell; return what each printed."""
    script = "\n echo ---\n".join(pasted)
    ran = subprocess.run([shell, "-c", script], cwd=ROOT, env=clean(), capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    return [part.strip() for part in ran.stdout.split("---\n")]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.promise(1)
def test_a_task_token_is_had_by_pasting_and_dies_with_sam(first: str, shell: str) -> None:
    exchange, introspect, deprovision, reactivate, *_ = commands(first)
    token, alive, left, dead, refused = paste(shell, exchange, introspect, deprovision, introspect, exchange)
    assert token.count(".") == 2
    assert json.loads(alive)["active"] is True
    assert json.loads(left)["active"] is False
    assert json.loads(dead) == {"active": False}
    assert json.loads(refused)["error"] == "invalid_grant"
    assert json.loads(paste(shell, reactivate)[0])["active"] is True
    wait_until(lambda: paste(shell, exchange)[0].count(".") == 2)  # an ID token of the cut's own second is refused


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.promise(1)
def test_a_service_goes_on_to_the_next_by_pasting_and_both_tokens_die_with_sam(first: str, shell: str) -> None:
    exchange, introspect, deprovision, reactivate, exchange_next, introspect_next = commands(first)
    wait_until(lambda: paste(shell, exchange)[0].count(".") == 2)  # an ID token of the cut's own second is refused
    pasted = (
        exchange,
        exchange_next,
        introspect,
        introspect_next,
        deprovision,
        introspect,
        introspect_next,
        exchange_next,
    )
    _, token, at_first, at_next, _, first_dead, next_dead, refused = paste(shell, *pasted)
    assert token.count(".") == 2
    before, after = json.loads(at_first), json.loads(at_next)
    assert (before["aud"], after["aud"], after["scope"]) == (
        "https://erp.example",
        "https://ledger.example",
        "entries.read",
    )
    assert [after[name] for name in ("sub", "txn")] == [before[name] for name in ("sub", "txn")]
    assert after["act"]["act"] == before["act"]
    assert json.loads(first_dead) == json.loads(next_dead) == {"active": False}
    assert json.loads(refused)["error"] == "invalid_request"
    assert json.loads(paste(shell, reactivate)[0])["active"] is True


def test_the_story_has_a_tenant_of_its_own_and_the_token_is_shown(first: str, parent: Path) -> None:
    assert "That was the tenant story." in first
    [token] = re.findall(r"^Administrator's token: (idf_admin_\S+)$", first, re.MULTILINE)
    listed = subprocess.run(
        [sys.executable, "-m", "cli", "tenant", "list", "--json"],
        cwd=ROOT, env=clean(IDENTITY_DATA=str(parent / "data")), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [one["slug"] for one in json.loads(listed.stdout)["items"]] == ["acme", "story"]
    assert token in (parent / "data" / "installation.toml").read_text()


def test_a_shell_takes_what_the_documents_commands_need(first: str, parent: Path) -> None:
    data = str(parent / "data")
    told = subprocess.run(
        ["sh", "-c", f'eval "$({sys.executable} -m cli dev env)" && curl -sS "$IDENTITY_URL/readyz" && '
         'curl -sS -u "$ERP_ID:$ERP_SECRET" -d token=none "$ISSUER/oauth/introspect" && '
         'curl -sS -u "$LEDGER_ID:$LEDGER_SECRET" -d token=none "$ISSUER/oauth/introspect" && '
         'curl -sS -H "Authorization: Bearer $SCIM_TOKEN" "$SCIM_URL/Users?count=0"'],
        cwd=ROOT, env=clean(IDENTITY_DATA=data), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert '"status":"ready"' in told.stdout
    assert told.stdout.count('{"active": false}') == 2
    assert '"totalResults":2' in told.stdout.replace(" ", "")


def test_without_a_running_installation_there_is_no_environment(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "cli", "dev", "env", "--data", str(tmp_path)],
        cwd=ROOT, env=clean(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (3, "")
    assert f"no `identity dev` is ready with {tmp_path}" in told.stderr


def test_the_next_starts_print_the_same_and_how_to_bring_sam_back() -> None:
    folder = Path(mkdtemp(prefix="identity-living-"))
    folder.chmod(0o711)
    try:
        with started(folder / "data", "--story") as said:
            first = said.read_text()
            paste("sh", commands(first)[2])
        with started(folder / "data") as said:  # without --story: what there is to try is there
            second = said.read_text()
        assert "Sam is deprovisioned now: begin with command 4." in second
        assert "That was the tenant" not in second
        unported = [re.sub(r"127\.0\.0\.1:\d+", "", "".join(commands(text))) for text in (first, second)]
        assert unported[0] == unported[1]
        with started(folder / "data", "--story") as said:
            exchange, _, _, reactivate, *_ = commands(said.read_text())
            paste("sh", reactivate)
            wait_until(lambda: paste("sh", exchange)[0].count(".") == 2)
    finally:
        shutil.rmtree(folder)


def test_make_passes_port_and_folder_on() -> None:
    def runs(*given: str) -> str:
        environment = {
            name: value for name, value in os.environ.items() if name not in ("PORT", "DATA", "MAKEFLAGS", "MAKELEVEL")
        }
        command = ["make", "-n", "run", *given]
        told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return told.stdout.strip().splitlines()[-1]

    assert runs() == "exec .venv/bin/identity dev --story"
    assert runs("PORT=8081", "DATA=/a b").endswith("identity dev --story --port '8081' --data '/a b'")
