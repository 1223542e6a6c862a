"""What was measured, as a table to read and a page to keep."""

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.measure import Measured, Plan

RESULTS = Path(__file__).parent / "results.md"
TITLE = "# What things cost"

HEADS = (
    "", "requests/s", "of bare", "server CPU ms", "database CPU ms", "round trips", "p50 ms", "p95 ms", "p50 alone ms",
)  # fmt: skip


class Section(StrEnum):
    """The sections of the page, in their order; each is written by a command of its own."""

    COSTS = "Against a bare Flask route"
    GROWTH = "As a directory grows"


def keep(page: Path, section: Section, text: str) -> None:
    """Write one section of a page; the others stay as they are."""
    found = sections_of(page.read_text() if page.exists() else "")
    found[section] = text.strip()
    shown = [f"## {name}\n\n{found[name]}" for name in Section if name in found]
    page.write_text("\n\n".join([TITLE, *shown]) + "\n")


def sections_of(page: str) -> dict[str, str]:
    """Return the text of each section by its title."""
    _, *parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))


def table_of(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown; but for the first column all is numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def machine(database: str) -> str:
    """Return what was measured on."""
    return (
        f"Machine: {os.cpu_count()} × {cpu_model()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {database}, Flask {version('flask')}, "
        f"granian {version('granian')} (one process, four threads)."
    )


def command_of(module: str) -> str:
    """Return the command as it was given."""
    return " ".join(["python -m", module, *sys.argv[1:]])


def rows_of(bare: Measured, cases: Mapping[str, Measured]) -> list[tuple[str, ...]]:
    """Return the table without its head: the yardstick first."""
    return [_row("bare Flask route", bare, None), *(_row(name, seen, seen.ratio) for name, seen in cases.items())]


def _row(name: str, seen: Measured, ratio: float | None) -> tuple[str, ...]:
    is_bare = ratio is None
    return (
        name,
        f"{seen.rate:,.0f}",
        "1" if ratio is None else f"1/{1 / ratio:.1f}",
        f"{seen.server_cpu_s / seen.answers * 1_000:.2f}",
        "" if is_bare or not seen.database_cpu_s else f"{seen.database_cpu_s / seen.answers * 1_000:.2f}",
        "" if is_bare else f"{seen.round_trips:g}",
        f"{seen.latency_ms(50):.1f}",
        f"{seen.latency_ms(95):.1f}",
        "" if is_bare else f"{median(seen.alone_s) * 1_000:.1f}",
    )


def page_of(
    rows: list[tuple[str, ...]], plan: Plan, users: int, others: str, database: str, started: datetime, load: float
) -> str:
    """Return the section to keep, in Markdown."""
    return "\n".join(
        [
            f"`{command_of('benchmarks')}` on {started.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {plan.rounds} turns of "
            f"{plan.seconds:g} s per case, each after a turn of the bare route, {plan.connections} connections.",
            "",
            f"{machine(database)} Load, server and PostgreSQL share the machine, "
            f"which had a load of {load:.1f} from elsewhere when this began.",
            f"Directory: {users:,} users in the tenant, everybody in two groups; {others}.",
            "",
            *table_of(HEADS, rows),
            "",
            "*requests/s*: the median of the turns, with all connections busy; *of bare*: against the bare route",
            "just before, the median of the turns. *server CPU*: of the web process, per answer; *database CPU*: of",
            "all of PostgreSQL, per answer. *round trips*: statements handed to the driver, BEGIN and COMMIT",
            "included, counted in a process of its own. *p50 alone*: with one connection, so without waiting.",
            "",
        ]
    )


def cpu_model() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
