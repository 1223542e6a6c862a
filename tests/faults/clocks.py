"""Programs whose wall clocks are wrong: consequences must come as quickly as they do when every clock is right."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from tests.faults.comparing import cascades_s, database_now
from tests.faults.killing import Row, recover, row_of
from tests.faults.load import Load, loaded
from tests.faults.stage import COMMANDS, Stage, standing

Shifts = dict[str, float]
"""Seconds, by program."""

HOUR_S, LITTLE_S = 3_600.0, 0.3
RIGHT: Shifts = {}
ALL_WRONG: Shifts = {"web": HOUR_S, "worker": -HOUR_S, "relay": -LITTLE_S}
EACH: tuple[Shifts, ...] = tuple(
    {program: sign * shift} for program in COMMANDS for shift in (HOUR_S, LITTLE_S) for sign in (1, -1)
)


def told(shifts: Shifts) -> str:
    """Say whose clocks are wrong."""
    return ", ".join(f"{program} {shift:+g} s" for program, shift in shifts.items()) or "every clock right"


@dataclass
class Shifted:
    """What came of clocks: how long the consequences of each cut took, in seconds."""

    name: str
    cascade_s: list[float]


def run_clocks(cases: Sequence[Shifts], *, cuts: int, seconds: float) -> tuple[list[Shifted], Row]:
    """Let so many people leave under each set of clocks; return what each took, and what was wrong at the end."""
    ends_at = time.monotonic() + seconds
    with standing() as stage:
        found: list[Shifted] = []
        with loaded(stage) as load:
            recover(stage, load)
            began = database_now(stage, load)
            in_time = takewhile(lambda _: time.monotonic() < ends_at, cases)
            found.extend(_under(shifts, stage, load, cuts) for shifts in in_time)
        return found, row_of("clocks", stage, load, [], wanted=len(cases), since=began)


def _under(shifts: Shifts, stage: Stage, load: Load, cuts: int) -> Shifted:
    changed = [program for program in COMMANDS if shifts.get(program, 0.0) != stage.shifts.get(program, 0.0)]
    stage.shifts = dict(shifts)
    for program in changed:
        stage.kill(program)
    recover(stage, load)
    since = database_now(stage, load)
    stage.wait_until(lambda: len(cascades_s(stage, load, since)) >= cuts, f"{cuts} cuts with {told(shifts)}")
    return Shifted(told(shifts), cascades_s(stage, load, since))
