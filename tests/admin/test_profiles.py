"""Profiles: where an installation is and the token for it, kept for one's own eyes and sent to nobody else."""

import json
import os
import pty
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.profiles import profile_file
from tests.admin.conftest import ADMIN_TOKEN, Admin, Run

Ask = Callable[..., Any]


@pytest.fixture
def bare(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command without the environment's URL and token."""
    monkeypatch.delenv("IDENTITY_URL")
    monkeypatch.delenv("IDENTITY_ADMIN_TOKEN")
    return run


def told(run: Run, *words: str, **more: Any) -> Any:
    return json.loads(run(*words, "--json", **more).stdout)


def test_a_profile_is_kept_used_shown_and_deleted(bare: Run, acme: Admin, base_url: str) -> None:
    kept = told(bare, "login", f"{base_url}/", input=f"{ADMIN_TOKEN}\n")
    file = Path(kept["file"])
    assert kept == {"profile": "default", "url": base_url, "file": str(profile_file("default"))}
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert list(file.parent.iterdir()) == [file]
    assert [one["slug"] for one in told(bare, "tenant", "list")["items"]] == ["acme"]
    who = told(bare, "whoami")
    assert (who["url"], who["role"], str(file) in who["token_from"]) == (base_url, "administrator", True)
    assert told(bare, "logout")["deleted"] is True
    assert not file.exists()
    assert "there is no profile 'default'" in bare("logout", exit_code=1).stderr
    assert "run `identity login http://127.0.0.1:8080`" in bare("tenant", "list", exit_code=4).stderr


def test_the_token_is_never_printed(bare: Run, base_url: str) -> None:
    for words in (("login", base_url), ("whoami",), ("status",), ("logout",)):
        result = bare(*words, input=ADMIN_TOKEN)
        assert ADMIN_TOKEN not in result.output + result.stderr


def test_the_token_is_asked_for_on_the_terminal_and_not_shown(bare: Run, base_url: str) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "cli", "login", base_url]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as program:
        os.close(theirs)
        shown = b""
        while b"Administrator's token for" not in shown or not shown.endswith(b": "):
            shown += os.read(ours, 1_024)
        os.write(ours, f"{ADMIN_TOKEN}\n".encode())
        with suppress(OSError):  # which is how a terminal ends
            while more := os.read(ours, 1_024):
                shown += more
    os.close(ours)
    assert (program.returncode, ADMIN_TOKEN.encode() in shown) == (0, False)
    assert told(bare, "whoami")["url"] == base_url


@pytest.mark.parametrize(
    ("words", "given", "exit_code", "said"),
    [
        ((), "wrong\n", 4, "The token came from the input of this command."),
        ((), "", 2, "standard input holds no token"),
        ((), "two words\n", 4, "contains invalid characters"),
        (("--profile", "../x"), f"{ADMIN_TOKEN}\n", 2, "cannot be the name of a profile"),
    ],
)
def test_what_is_not_accepted_is_not_kept(
    bare: Run, base_url: str, words: tuple[str, ...], given: str, exit_code: int, said: str
) -> None:
    assert said in bare("login", base_url, *words, input=given, exit_code=exit_code).stderr
    assert not profile_file("default").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("127.0.0.1:8080", "URL has no scheme: write https://127.0.0.1:8080, or http://127.0.0.1:8080"),
        ("http://id.example", "must be https:// unless it is this machine"),
        ("https://me:pw@id.example", "must not hold a user name or password"),
    ],
)
def test_a_url_that_a_token_must_not_be_sent_to_is_refused_before_the_token_is_asked_for(
    bare: Run, url: str, said: str
) -> None:
    assert said in bare("login", url, input=f"{ADMIN_TOKEN}\n", exit_code=1).stderr


def test_options_come_before_the_environment_and_that_before_the_profile(
    run: Run, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("login", base_url, "--profile", "work", input=ADMIN_TOKEN)
    assert told(run, "whoami")["token_from"] == "IDENTITY_ADMIN_TOKEN"
    assert "'work'" in told(run, "--profile", "work", "whoami")["token_from"]
    monkeypatch.setenv("IDENTITY_ADMIN_TOKEN", "wrong")
    assert "The token came from IDENTITY_ADMIN_TOKEN" in run("tenant", "list", exit_code=4).stderr
    run("--profile", "work", "tenant", "list")
    monkeypatch.delenv("IDENTITY_ADMIN_TOKEN")
    run("tenant", "list")  # the profile whose URL is IDENTITY_URL
    monkeypatch.delenv("IDENTITY_URL")
    assert "there is no token" in run("tenant", "list", exit_code=4).stderr
    monkeypatch.setenv("IDENTITY_PROFILE", "work")
    run("tenant", "list")
    run("--url", base_url, "tenant", "list")
    assert "there is no profile 'other'" in run("--profile", "other", "tenant", "list", exit_code=4).stderr


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """Another server, and what it was sent."""
    sent: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent.append(str(self.headers))
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_token_is_sent_to_its_own_url_alone(
    bare: Run, base_url: str, stranger: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    url, sent = stranger
    bare("login", base_url, input=ADMIN_TOKEN)
    if by == "environment":
        monkeypatch.setenv("IDENTITY_URL", url)
    words = ("--url", url) if by == "option" else ()
    assert f"there is no token for {url}" in bare(*words, "tenant", "list", exit_code=4).stderr
    bare(*words, "status", exit_code=3)
    assert "is for http" in bare("--profile", "default", "--url", url, "tenant", "list", exit_code=2).stderr
    monkeypatch.setenv("IDENTITY_ADMIN_TOKEN", ADMIN_TOKEN)
    monkeypatch.setenv("IDENTITY_URL", base_url)
    bare("--url", url, "tenant", "list", exit_code=4)
    assert not any("Authorization" in headers for headers in sent)


def _open_to_others(file: Path) -> None:
    file.chmod(0o640)


def _link(file: Path) -> None:
    file.rename(file.with_suffix(".kept"))
    file.symlink_to(file.with_suffix(".kept"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_open_to_others, "others can read it: chmod 600"),
        (_link, "cannot be read"),
        (lambda file: file.write_text("{"), "is not a profile"),
        (lambda file: file.write_text("[]"), "is not a profile"),
        (lambda file: file.write_text('{"url": "https://id.example"}'), "is not a profile"),
        (lambda file: file.write_bytes(b"\xff"), "is not a profile"),
        (lambda file: file.write_text('{"url": "http://id.example", "token": "x"}'), "must be https://"),
    ],
)
def test_a_profile_that_is_not_ones_own_is_not_used(
    bare: Run, base_url: str, spoil: Callable[[Path], Any], said: str
) -> None:
    bare("login", base_url, input=ADMIN_TOKEN)
    spoil(profile_file("default"))
    assert said in bare("tenant", "list", exit_code=1).stderr


def test_status_says_whether_the_installation_is_reached_ready_and_accepts_the_token(
    bare: Run, run: Run, base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = told(bare, "--url", base_url, "status")
    assert (found["reachable"], found["ready"], found["token_from"]) == (True, True, None)
    monkeypatch.setenv("IDENTITY_URL", base_url)
    for token, is_accepted in ((ADMIN_TOKEN, True), ("wrong", False)):
        monkeypatch.setenv("IDENTITY_ADMIN_TOKEN", token)
        assert told(run, "status")["token_accepted"] is is_accepted
    monkeypatch.setattr("cli.remote.PAUSE_S", 0.0)
    gone = told(run, "--url", "http://127.0.0.1:9", "status", exit_code=3)
    assert (gone["reachable"], gone["ready"]) == (False, False)
