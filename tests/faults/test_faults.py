"""Whatever is killed, and whosever clock is wrong: nothing is lost, nothing is done twice, all consequences come.

IDENTITY_PROVE_FAULTS says that the long form is wanted, and how much of its time it has: 1 is under half an hour, 0.5
is half of that, in which less is killed. It writes docs/faults.md.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from tests.faults.clocks import ALL_WRONG, EACH, RIGHT, Shifted, run_clocks
from tests.faults.document import PAGE, document, machine
from tests.faults.killing import FAULTS, SETTLED_BESIDE_TESTS_S_MAX, SETTLED_S_MAX, Fault, Row, at, run_faults

SHARE = float(os.environ.get("IDENTITY_PROVE_FAULTS") or 0)
IS_PROOF = SHARE > 0
IN_POSTGRES = [fault for fault in FAULTS if fault.broker == "pgmq"]
ONE_OF_EACH = Fault("each", "pgmq", 6, 60, tuple(way for fault in IN_POSTGRES for way in fault.ways))
RUNS = [replace(fault, seconds=fault.seconds * SHARE) for fault in FAULTS] if IS_PROOF else [ONE_OF_EACH]
CLOCKS_S = 300 * SHARE if IS_PROOF else 60.0
CUTS = 20 if IS_PROOF else 5

SLOWER_MAX, SLOWER_S = 5.0, 4.0
"""How much slower half of the cascades may be than under right clocks, and what is quick enough however quick that was:
a busy machine. A clock that matters makes each of them five seconds, or an hour.
"""


@dataclass
class Found:
    """What the tests of this file found."""

    rows: list[Row] = field(default_factory=list)
    clocks: list[Shifted] = field(default_factory=list)


@pytest.fixture(scope="module")
def found() -> Iterator[Found]:
    """Gather it, and write the page of the long form."""
    gathered = Found()
    yield gathered
    if IS_PROOF:
        today = datetime.now(UTC).date()
        PAGE.write_text(document(gathered.rows, gathered.clocks, share=SHARE, day=today, on=machine()))


def hold(row: Row) -> None:
    """The promises that every run is held to."""
    assert row.faults == []
    assert (row.lost, row.twice, row.live) == ([], [], [])
    assert row.doctor == ""
    assert row.accepted[2] > 0, "somebody left"
    assert row.settled_s < (SETTLED_S_MAX if IS_PROOF else SETTLED_BESIDE_TESTS_S_MAX)


@pytest.mark.promise(6)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", RUNS, ids=lambda fault: fault.name)
def test_whatever_is_killed_under_load_nothing_is_lost_or_done_twice_and_all_consequences_come(
    fault: Fault, found: Found
) -> None:
    row = run_faults(fault)
    found.rows.append(row)
    hold(row)
    assert row.kills > 0


@pytest.mark.promise(6)
@pytest.mark.timeout(900)
def test_consequences_come_as_quickly_when_the_clocks_of_programs_are_wrong(found: Found) -> None:
    cases = [RIGHT, *EACH, ALL_WRONG] if IS_PROOF else [RIGHT, ALL_WRONG]
    shifted, row = run_clocks(cases, cuts=CUTS, seconds=CLOCKS_S)
    found.clocks += shifted
    hold(row)
    assert len(shifted) >= 2
    slowest = max(SLOWER_S, SLOWER_MAX * at(shifted[0].cascade_s, 0.5))
    assert [one for one in shifted if at(one.cascade_s, 0.5) > slowest] == []
