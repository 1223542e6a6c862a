"""What ends by itself: a worker or a relay takes nothing with it, however often; the web server does, for good."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.restarts import ENDS_MAX, PAUSE_MAX_S, WINDOW_S, Restarts
from config.supervisor import StartError, Supervisor

SECONDS = 60
WAITS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Programs end at once, for there is no database in their environment; what stands for the others waits."""
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


def test_a_web_server_that_keeps_ending_has_ended_for_good(supervisor: Supervisor) -> None:
    supervisor.start_program("web")
    with pytest.raises(StartError, match="web keeps ending by itself"):
        watched(supervisor, 100)


def test_a_program_that_cannot_be_started_counts_as_one_that_has_ended(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start_program("worker")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    ended = watched(supervisor, 3)
    assert [line["status"] for line in ended] == [1, "No such file or directory", "No such file or directory"]


def test_no_program_is_told_the_owner_s_login(supervisor: Supervisor) -> None:
    supervisor.environment["IDENTITY_OWNER_DATABASE_URL"] = "postgresql://owner@/identity"
    supervisor.start_program("worker")
    told = Path(f"/proc/{supervisor.programs['worker'].pid}/environ").read_text()
    assert "IDENTITY_OWNER_DATABASE_URL" not in told


def test_ends_are_counted_within_ten_minutes() -> None:
    restarts = Restarts()
    assert [restarts.note_end("worker", at) for at in (0.0, 1.0, 2.0)] == [1, 2, 3]
    assert restarts.note_end("worker", WINDOW_S + 1.5) == 2
    assert restarts.note_end("relay", WINDOW_S + 1.5) == 1


def test_pauses_grow_to_a_minute() -> None:
    pauses = [Restarts().pause_s(ends) for ends in range(1, 12)]
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, PAUSE_MAX_S, PAUSE_MAX_S, PAUSE_MAX_S]
