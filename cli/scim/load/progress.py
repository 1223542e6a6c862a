"""One line that says how far a load has come: rewritten on a terminal, else a new one now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.console import Console

from cli.scim.load.load import Tally

EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Course:
    """When a load began (monotonic seconds), and how long its file is, if that is known."""

    began_s: float
    bytes: int | None

    def line(self, tally: Tally, now_s: float) -> str:
        """Return the line."""
        share = f" ({tally.bytes / self.bytes:.0%})" if self.bytes else ""
        per_s = tally.lines / max(now_s - self.began_s, 0.001)
        return (
            f"{tally.lines:,} lines{share}: {tally.created:,} created, {tally.there_already:,} there already, "
            f"{tally.refused:,} refused, {per_s:,.0f}/s"
        )


@contextmanager
def progress(course: Course) -> Iterator[Callable[[Tally], None]]:
    """Yield what tells of the load, on standard error."""
    if sys.stderr.isatty():
        with Console(stderr=True, highlight=False).status("reading") as status:
            yield lambda tally: status.update(course.line(tally, time.monotonic()))
        return
    told_s = course.began_s

    def tell(tally: Tally) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= EVERY_S:
            told_s = now_s
            click.echo(course.line(tally, now_s), err=True)

    yield tell
