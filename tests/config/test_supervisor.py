"""What ends by itself is started again, however often; only what never lived, and is needed, ends everything."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dev.supervisor import StartError, Supervisor
from server.restarts import ENDS_MAX, FORGOTTEN_AFTER_S, LIVED_S, PAUSE_MAX_S, SHORT_PAUSE_MAX_S, Restarts

SECONDS = 60
INTERPRETER = sys.executable
WAITS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Programs end at once; what stands for the others waits."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    made = Supervisor(tmp_path, clean, restarts=Restarts(first_pause_s=0.01))
    yield made
    made.stop()


def watched(supervisor: Supervisor, ends: int) -> list[dict[str, object]]:
    """Watch until a program has ended that often, and return what was logged of it."""
    with capture_logs() as logs:
        waiter = threading.Thread(target=_stop_after, args=(supervisor, logs, ends))
        waiter.start()
        try:
            supervisor.watch()
        finally:
            supervisor.stopping.set()
            waiter.join()
    return [dict(line) for line in logs if line["event"] == "program_ended"]


def _stop_after(supervisor: Supervisor, logs: list[dict[str, object]], ends: int) -> None:
    deadline = threading.Event()
    timer = threading.Timer(SECONDS, deadline.set)
    timer.start()
    while len(logs) < ends and not deadline.is_set() and not supervisor.stopping.wait(0.02):
        pass
    timer.cancel()
    supervisor.stopping.set()


@pytest.mark.parametrize("name", ["worker", "relay"])
def test_a_program_that_keeps_ending_is_started_again_and_the_others_stay(supervisor: Supervisor, name: str) -> None:
    others = ["web", *({"worker", "relay"} - {name})]
    for other in others:
        supervisor.programs[other] = subprocess.Popen(WAITS)
    supervisor.start_program(name)
    ended = watched(supervisor, ENDS_MAX + 2)
    assert [line["program"] for line in ended] == [name] * (ENDS_MAX + 2)
    assert [line["starts_again_in_s"] for line in ended] == [0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
    assert all(line["log_level"] == "error" for line in ended)
    assert all(supervisor.programs[other].poll() is None for other in others)


def test_a_web_server_that_never_lived_has_ended_for_good(supervisor: Supervisor) -> None:
    supervisor.start_program("web")
    with pytest.raises(StartError, match=f"web cannot start: it has ended {ENDS_MAX} times"):
        watched(supervisor, 100)


def test_a_web_server_that_lived_is_started_again_however_often_it_ends(supervisor: Supervisor) -> None:
    supervisor.start_program("web")
    supervisor.restarts.note_life("web")
    ended = watched(supervisor, 2 * ENDS_MAX)
    assert [line["program"] for line in ended] == ["web"] * (2 * ENDS_MAX)


def test_a_program_that_cannot_be_started_counts_as_one_that_has_ended(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start_program("worker")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    ended = watched(supervisor, 3)
    assert [line["status"] for line in ended] == [1, "No such file or directory", "No such file or directory"]


def test_no_program_is_told_the_owner_s_login(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", INTERPRETER)
    supervisor.environment["IDENTITY_OWNER_DATABASE_URL"] = "postgresql://owner@/identity"
    supervisor.start_program("worker")
    told = Path(f"/proc/{supervisor.programs['worker'].pid}/environ").read_text()
    assert "IDENTITY_OWNER_DATABASE_URL" not in told


def test_ends_are_forgotten_after_a_minute_of_life() -> None:
    restarts = Restarts()
    restarts.note_start("worker", 0.0)
    assert [restarts.note_end("worker", at) for at in (1.0, 2.0, 3.0)] == [1, 2, 3]
    restarts.note_start("worker", 4.0)
    assert restarts.note_end("worker", 4.0 + FORGOTTEN_AFTER_S - 0.1) == 4
    restarts.note_start("worker", 100.0)
    assert restarts.note_end("relay", 101.0) == 1
    assert restarts.note_end("worker", 100.0 + FORGOTTEN_AFTER_S) == 1


@pytest.mark.parametrize(("lived_s", "cannot"), [(0.0, True), (LIVED_S - 0.1, True), (LIVED_S, False)])
def test_what_ends_soon_time_and_again_cannot_start(lived_s: float, cannot: bool) -> None:
    restarts = Restarts()
    for _ in range(ENDS_MAX - 1):
        restarts.note_start("web", 0.0)
        restarts.note_end("web", 1.0)
        assert not restarts.cannot_start("web")
    restarts.note_start("web", 0.0)
    restarts.note_end("web", lived_s)
    assert restarts.cannot_start("web") is cannot


def test_pauses_grow_and_what_is_needed_is_never_away_for_long() -> None:
    pauses = [Restarts().pause_s(ends) for ends in range(1, 9)]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, PAUSE_MAX_S, PAUSE_MAX_S]
    needed = [Restarts().pause_s(ends, is_needed=True) for ends in (1, 2, 3, 4, 5, 10_000)]
    assert needed == [0.0, 0.5, 1.0, 2.0, SHORT_PAUSE_MAX_S, SHORT_PAUSE_MAX_S]
