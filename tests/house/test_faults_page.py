"""docs/faults.md says how it was made, and has no figure of anything lost."""

import re
from datetime import date

from tests.faults.clocks import Shifted
from tests.faults.document import COMMAND, PAGE, document
from tests.faults.killing import FAULTS, Row
from tests.house.sources import ROOT


def row(**changed: object) -> Row:
    found = {"lost": [], "twice": [], "live": [], "faults": [], "serves_s": [1.0, 3.0], "follows_s": [2.0, 4.0]}
    more = {"cascade_s": [0.1, 0.2], "settled_s": 0.5, "doctor": "", "statuses": {"200": 7, "none": 2}}
    named = {"name": "web", "kills": 2, "wanted": 2, "accepted": (1, 2, 3, 4)}
    return Row(**{**named, **found, **more, **changed})  # type: ignore[arg-type]


def page(*rows: Row) -> str:
    return document(rows, [Shifted("every clock right", [0.1])], share=0.5, day=date(2026, 11, 30), on="2 cores")


def test_the_page_says_with_which_command_when_and_where_it_was_made() -> None:
    text = PAGE.read_text()
    named = re.escape(COMMAND).replace(re.escape("{share:g}"), r"[0-9.]+")
    assert re.search(rf"^    {named}$", text, re.MULTILINE)
    assert re.search(r"^Measured on \d{4}-\d\d-\d\d: \d+ cores, ", text, re.MULTILINE)
    variable = COMMAND.split("=")[0]
    assert variable in (ROOT / "Makefile").read_text()


def test_the_page_has_a_row_for_each_fault_and_nothing_was_lost_or_done_twice() -> None:
    rows = re.findall(
        r"^\| ([\w -]+) \| (\d+)(?: of \d+)? \| \d+(?: / \d+){3} \| (\d+) \| (\d+) \|", PAGE.read_text(), re.MULTILINE
    )
    assert [name for name, *_ in rows] == [fault.name for fault in FAULTS]
    assert [(name, lost, twice) for name, _, lost, twice in rows if (lost, twice) != ("0", "0")] == []
    assert all(int(kills) > 0 for _, kills, *_ in rows)


def test_the_layout_is_the_same_for_the_same_figures() -> None:
    assert "| web | 2 | 1 / 2 / 3 / 4 | 0 | 0 | 1.00 / 3.00 | 2.00 / 4.00 | 0.10 / 0.20 / 0.20 | 0.5 |" in page(row())
    assert "| web | 7 | 2 | 0 |" in page(row())
    assert "| every clock right | 1 | 0.10 / 0.10 / 0.10 |" in page(row())
    assert "IDENTITY_PROVE_FAULTS=0.5 " in page(row())


def test_what_was_not_done_and_what_was_lost_stands_on_the_page() -> None:
    text = page(row(kills=1), row(lost=["a user"], twice=["an event", "a name"]))
    assert "| web | 1 of 2 |" in text
    assert "| 1 / 2 / 3 / 4 | 1 | 2 |" in text
