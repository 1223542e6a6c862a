"""Parts of the loader that need no server: lines, limits, waiting, and what is told."""

import io
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from cli.scim.expectations import Answer
from cli.scim.load.bulks import Limits, retry_after
from cli.scim.load.lines import Line, NotLoaded, read_lines
from cli.scim.load.load import Tally, next_batch
from cli.scim.load.progress import Course, reporter

ANN = b'{"userName": "ann"}'


@dataclass(slots=True)
class Endless(io.RawIOBase):
    """A file of one line that does not end before ``left`` bytes."""

    left: int

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self.left)
        buffer[:size] = b"x" * size
        self.left -= size
        return size


def test_a_line_longer_than_the_memory_is_passed_over() -> None:
    tracemalloc.start()
    try:
        [refused] = read_lines(io.BufferedReader(Endless(100_000_000)), 1_000)  # type: ignore[type-var]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(refused, NotLoaded)
    assert (refused.number, refused.status, refused.end) == (1, 413, 100_000_000)
    assert peak < 2_000_000


def test_lines_are_read_no_further_than_they_are_wanted() -> None:
    file = io.BytesIO(b"".join(ANN + b"\n" for _ in range(1_000)))
    lines = read_lines(file, 10_000)
    first = [next(lines) for _ in range(10)]
    assert all(isinstance(line, Line) for line in first)
    assert file.tell() == first[-1].end < 1_500


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    [line] = read_lines(io.BytesIO(b"\xef\xbb\xbf" + ANN), 10_000)
    assert isinstance(line, Line)


def test_the_longest_line_that_may_be_sent_fits_into_a_bulk() -> None:
    limits = Limits(10, 1_000)
    longest = limits.bytes_of_a_resource("Users")
    assert limits.have_room([], Line(10**12, 0, b"x" * longest).operation("Users"))
    assert not limits.have_room([], Line(10**12, 0, b"x" * (longest + 1)).operation("Users"))
    assert not limits.have_room([b"x"] * 10, b"x")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("99999999999", 300.0),
        (format_datetime(datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC), usegmt=True), 30.0),
        (format_datetime(datetime(2026, 11, 24, 11, tzinfo=UTC), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("\u0663", None),
    ],
)
def test_the_wait_is_read_as_seconds_or_as_an_instant(said: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert retry_after(Answer(429, {"retry-after": said}, None), now) == seconds


def test_the_progress_line_tells_how_far_and_how_fast() -> None:
    tally = Tally(created=1_000, there_already=150, refused=50, bytes=300)
    line = Course(began_s=10.0, bytes=1_200).line(tally, 14.0)
    assert tally.lines == 1_200
    assert line == "1,200 lines (25%): 1,000 created, 150 there already, 50 refused, 300/s"
    assert "%" not in Course(began_s=10.0, bytes=None).line(tally, 14.0)


def test_the_numbers_are_told_after_the_first_second_and_then_now_and_then() -> None:
    now, shown = [100.0], []
    course = Course(began_s=100.0, bytes=None)
    tell = reporter(course, lambda _line: shown.append(now[0]), 1.0, 10.0, lambda: now[0])
    for tick in range(60):
        now[0] = 100.0 + tick / 2
        tell(Tally())
    assert shown == [101.0, 111.0, 121.0]


def test_a_dry_run_says_that_nothing_was_sent() -> None:
    tally = Tally(valid=2, refused=1)
    assert Course(0.0, None, dry_run=True).line(tally, 1.0) == "3 lines: 2 can be sent, 1 refused; nothing sent"


@pytest.mark.parametrize(
    ("lines", "took_s", "following"),
    [(10, 1.0, 10), (10, 0.5, 20), (10, 2.0, 5), (10, 0.0, 40), (10, 1000.0, 2), (1, 1000.0, 1)],
)
def test_the_next_bulk_is_as_large_as_a_second_allows(lines: int, took_s: float, following: int) -> None:
    assert next_batch(lines, took_s) == following
