"""What was measured, as a table to read and a page to keep."""

import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.measure import Measured, Plan

HEADS = (
    "", "requests/s", "of bare", "server CPU ms", "database CPU ms", "round trips", "p50 ms", "p95 ms", "p50 alone ms",
)  # fmt: skip


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
    """Return the page to keep, in Markdown."""
    table = ["| " + " | ".join(HEADS) + " |", "|---|" + "---:|" * (len(HEADS) - 1)]
    table += ["| " + " | ".join(row) + " |" for row in rows]
    command = "python -m benchmarks " + " ".join(sys.argv[1:])
    return "\n".join(
        [
            "# What things cost",
            "",
            f"`{command.strip()}` on {started.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {plan.rounds} turns of "
            f"{plan.seconds:g} s per case, each after a turn of the bare route, {plan.connections} connections.",
            "",
            f"Machine: {os.cpu_count()} × {cpu_model()}, {platform.system()} {platform.release()}, "
            f"Python {platform.python_version()}, {database}, Flask {version('flask')}, "
            f"granian {version('granian')} (one process, four threads). Load, server and PostgreSQL share the machine, "
            f"which had a load of {load:.1f} from elsewhere when this began.",
            f"Directory: {users:,} users in the tenant, everybody in two groups; {others}.",
            "",
            *table,
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
