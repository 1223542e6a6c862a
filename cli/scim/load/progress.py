"""One line that says how far a load has come: rewritten on a terminal, else a new one now and then."""

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
    """When a load began (monotonic seconds), and how long its file is, if that is known."""

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
    """Yield what tells of the load, on standard error."""
    if not sys.stderr.isatty():
        yield teller(course, lambda line: click.echo(line, err=True), FIRST_S, EVERY_S, time.monotonic)
        return
    begun = course.line(Tally(), course.began_s)
    with Console(stderr=True, highlight=False).status(begun) as status:
        yield teller(course, status.update, 0.0, REWRITTEN_S, time.monotonic)


def teller(
    course: Course, show: Callable[[str], None], first_s: float, every_s: float, clock: Callable[[], float]
) -> Callable[[Tally], None]:
    """Return what shows the numbers ``first_s`` after the beginning, and no sooner than ``every_s`` after that."""
    due_s = course.began_s + first_s

    def tell(tally: Tally) -> None:
        nonlocal due_s
        now_s = clock()
        if now_s >= due_s:
            due_s = now_s + every_s
            show(course.line(tally, now_s))

    return tell
