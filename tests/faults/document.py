"""``docs/faults.md``, written from what the long form found."""

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from tests.faults.clocks import Shifted
from tests.faults.killing import Row, at

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
COMMAND = "IDENTITY_PROVE_FAULTS={share:g} .venv/bin/python -m pytest -n 0 tests/faults"

HEAD = """# Faults

This page shows what happens when a part of an installation is killed, or its clock is wrong, while it is in use.
`make prove` writes this page, with
"""

METHOD = """A separate installation (PostgreSQL with fsync, `identity serve`, `worker` and `relay` as
processes, each restarted when it ends, as a supervisor does) receives HTTP requests all the time, in two
tenants: identity providers create users; people get an agent, a delegation and a token, and leave
(`active=false`); agents exchange tokens; a resource server introspects. Then one part is killed with `kill -9`,
everything must serve again, some more requests are sent, and the part is killed again. Kills of the web server
alternate between all its processes and the one that answers; kills of PostgreSQL between all its processes and
the one of a connection. Redis loses all its data; RabbitMQ restarts with its data on disk.

Every 2xx answer is recorded, and compared with the database afterwards.
"""

GUARANTEES = """## What is guaranteed

* Every change that was answered 2xx is stored: no user, agent or deprovisioning is **lost**, and no effect happens
  **twice** (one event of each type for each principal, equal versions, no name twice, correct counts).
* From the answer to a deprovisioning on, introspection of the person's tokens says inactive, whichever part is
  killed.
* Without a worker, a relay or a broker, tokens are issued, exchanged and introspected.
* An answer is 2xx, or 503 or 429 with `Retry-After`, or the connection breaks; it is never another 5xx.
* When the load has ended and everything runs, every agent of the deprovisioned people is suspended after the seconds
  in the last column, which include the backlog; no row of the outbox is left, and `identity doctor` finds no problem.
* The delay of consequences depends on the database's clock only, and on no program's clock.
"""

MEANINGS = """
*Serves again*: from the kill, with the restart of the killed part, until a later request of each kind was answered.
*Consequences again*: until a worker has completed the consequences of a later request. *Cascade*: from a
deprovisioning until its consequences were completed. *Settled*: from the end of the load until no work waits. *Of*:
the time limit was reached before all kills were done. A worker is killed again as soon as it has completed anything,
so a backlog is included.
"""


def machine() -> str:
    """Say what this machine is, and how many processes wanted to run on it in the last quarter of an hour."""
    known = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {known}, load average {os.getloadavg()[-1]:.0f}"


def document(rows: Sequence[Row], clocks: Sequence[Shifted], *, share: float, day: date, on: str) -> str:
    """Return the whole page. Of the time that the long form has, a ``share`` was used."""
    parts = [
        HEAD,
        f"    {COMMAND.format(share=share)}",
        "",
        METHOD,
        f"Measured on {day.isoformat()}: {on}. Times are in seconds.",
        "",
    ]
    return "\n".join([*parts, *_kills(rows), *_answers(rows), *_clocks(clocks), GUARANTEES])


def _kills(rows: Sequence[Row]) -> Iterator[str]:
    yield "## Kills under load"
    yield ""
    yield (
        "| killed | kills | accepted users / agents / cuts / tokens | lost | twice | serves again p50 / max"
        " | consequences again p50 / max | cascade p50 / p99 / max | settled after |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    yield from map(_kill, rows)
    yield MEANINGS


def _kill(row: Row) -> str:
    kills = f"{row.kills}" if row.kills == row.wanted else f"{row.kills} of {row.wanted}"
    accepted = " / ".join(map(str, row.accepted))
    return (
        f"| {row.name} | {kills} | {accepted} | {len(row.lost)} | {len(row.twice)} | {_spread(row.serves_s, 0.5, 1)}"
        f" | {_spread(row.follows_s, 0.5, 1)} | {_spread(row.cascade_s, 0.5, 0.99, 1)} | {row.settled_s:.1f} |"
    )


def _spread(values: Sequence[float], *shares: float) -> str:
    return " / ".join(f"{at(values, share):.2f}" for share in shares)


def _answers(rows: Sequence[Row]) -> Iterator[str]:
    statuses = sorted({status for row in rows for status in row.statuses})
    yield "## Answers"
    yield ""
    yield f"| killed | {' | '.join('broken' if status == 'none' else status for status in statuses)} | not allowed |"
    yield f"|---|{'--:|' * (len(statuses) + 1)}"
    for row in rows:
        counts = " | ".join(str(row.statuses.get(status, 0)) for status in statuses)
        yield f"| {row.name} | {counts} | {len(row.faults)} |"
    yield ""
    yield "*Broken*: the connection was refused or lost, most of them while the web server starts."
    yield ""


def _clocks(clocks: Sequence[Shifted]) -> Iterator[str]:
    yield "## Clocks"
    yield ""
    yield "| clocks | cuts | cascade p50 / p99 / max |"
    yield "|---|--:|--:|"
    yield from (f"| {one.name} | {len(one.cascade_s)} | {_spread(one.cascade_s, 0.5, 0.99, 1)} |" for one in clocks)
    yield ""
