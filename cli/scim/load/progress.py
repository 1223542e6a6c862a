"""The progress of a load in one line: rewritten on a terminal, else printed again every ten seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console

from cli.scim.load.load import Tally

FIRST_S, EVERY_S = 1.0, 10.0  # where each is a line of its own
REWRITTEN_S = 0.1


@dataclass(frozen=True, slots=True)
class Course:
    """The start of a load (monotonic seconds) and the length of its file, where that is known."""

    began_s: float
    bytes: int | None
    dry_run: bool = False

    def line(self, tally: Tally, now_s: float) -> str:
        """Return the line."""
        share = f" ({tally.bytes / self.bytes:.0%})" if self.bytes else ""
        per_s = tally.lines / max(now_s - self.began_s, 0.001)
        if self.dry_run:
            return f"{tally.lines:,} lines{share}: {tally.valid:,} can be sent, {tally.refused:,} refused; nothing sent"
        return (
            f"{tally.lines:,} lines{share}: {tally.created:,} created, {tally.there_already:,} there already, "
            f"{tally.refused:,} refused, {per_s:,.0f}/s"
        )


@contextmanager
def progress(course: Course) -> Iterator[Callable[[Tally], None]]:
    """Yield a function that shows the numbers of the load on standard error."""
    if not sys.stderr.isatty():
        yield reporter(course, lambda line: click.echo(line, err=True), FIRST_S, EVERY_S, time.monotonic)
        return
    begun = course.line(Tally(), course.began_s)
    with Console(stderr=True, highlight=False).status(begun) as status:
        yield reporter(course, status.update, 0.0, REWRITTEN_S, time.monotonic)


def reporter(
    course: Course, show: Callable[[str], None], first_s: float, every_s: float, clock: Callable[[], float]
) -> Callable[[Tally], None]:
    """Return a function that shows the numbers first after ``first_s``, then not more often than every ``every_s``."""
    due_s = course.began_s + first_s

    def report(tally: Tally) -> None:
        nonlocal due_s
        now_s = clock()
        if now_s >= due_s:
            due_s = now_s + every_s
            show(course.line(tally, now_s))

    return report
