"""docs/rfc-coverage.md says what the marks say, and every statement of a standard has a test or a reason."""

import subprocess
import sys

from tests.house.sources import ROOT
from tests.rfc.coverage import cover, faults
from tests.rfc.document import document
from tests.rfc.marks import Mark, Test
from tests.rfc.standards import Section, Standard, Statement, standards


def test_the_page_is_what_the_statements_and_the_marks_say() -> None:
    """In a process of its own: pytest collects, and it cannot do that within itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rfc", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-3_000:]


def test_the_standards_that_the_page_is_about_are_there() -> None:
    assert [standard.number for standard in standards()] == ["7644", "9865", "9967"]
    assert all(statement.text.endswith(".") for standard in standards() for statement in standard.statements())


HELD = Statement("1-1", "MUST", "It is held.")
EXCUSED = Statement("1-2", "SHOULD", "It is not for us.", reason="binds the client")
BY = Test("tests/x/test_x.py", "test_it_is_held")


def wrong(statements: tuple[Statement, ...], *marks: Mark) -> list[str]:
    standard = Standard("1", "One", (Section("1", "First", statements),))
    return list(faults(cover([standard], marks), marks))


def test_what_keeps_the_page_from_being_true_is_said() -> None:
    held = Mark(BY, "1", "1", ("1-1",))
    assert wrong((HELD, EXCUSED), held) == []
    assert wrong((HELD, EXCUSED), held, Mark(BY, "1", "1", ()), Mark(BY, "2", "7", ())) == []
    for fault, found in {
        "neither a test nor a reason": wrong((HELD, EXCUSED)),
        "a test, test_it_is_held, and a reason": wrong((HELD, EXCUSED), held, Mark(BY, "1", "1", ("1-2",))),
        "there is no such statement": wrong((HELD, EXCUSED), held, Mark(BY, "1", "1", ("1-3",))),
        "in a mark of section 2": wrong((HELD, EXCUSED), Mark(BY, "1", "2", ("1-1",))),
        "1-1 is wanted": wrong((EXCUSED,)),
        "a reason of no known kind": wrong((Statement("1-1", "MUST", "It is.", reason="no time"),)),
        "has no level": wrong((Statement("1-1", "MAY", "It may.", reason="not offered"),)),
    }.items():
        assert len(found) == 1, (fault, found)
        assert fault in found[0]


def test_the_page_counts_links_and_explains() -> None:
    standard = Standard("1", "One", (Section("1", "First", (HELD, EXCUSED)),))
    page = document(cover([standard], [Mark(BY, "1", "1", ("1-1",))]))
    assert "| RFC 1: One | 2 | 1 | 1 |" in page
    assert '[it is held](../tests/x/test_x.py "tests/x/test_x.py::test_it_is_held")' in page
    assert "| 1-2 | SHOULD | It is not for us. | *binds the client* |" in page
