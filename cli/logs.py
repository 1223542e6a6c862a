"""Reading a log: newest first, in a span of time, or as it grows."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import click

from cli.arguments import after_option
from cli.naming import Columns, with_names
from cli.noun import Target
from cli.remote import Pages, Remote, items_of
from cli.showing import show_list, show_stream
from cli.times import Time

LIMIT, LIMIT_MAX = 200, 100_000
BEFORE_FOLLOWING = 10  # items that are shown first, as tail does
POLL_S = 2.0
EARLIEST = str(UUID(int=0))
OVERLAP_MS = 10_000  # a row may be committed this long after one with a higher id

LOG_OPTIONS = (
    click.option("--since", type=Time(), help="Only from this time on: 2026-11-30T10:00:00Z, or 15m, 2h, 3d ago."),
    click.option("--until", type=Time(), help="Only before this time."),
    click.option("--oldest-first", is_flag=True, help="Begin with the oldest. Default: the newest."),
    click.option("--follow", "-f", is_flag=True, help="Go on and show what comes; Ctrl-C ends it."),
    click.option("--limit", type=click.IntRange(1, LIMIT_MAX),
                 help=f"How many at most. Default: {LIMIT}; with --follow, {BEFORE_FOLLOWING} to begin with."),
    after_option,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """The order, span and length in which a log is read."""

    since: str | None
    until: str | None
    oldest_first: bool
    follow: bool
    limit: int | None
    after: str | None


def with_reading(values: dict[str, Any]) -> dict[str, Any]:
    """Return a command's values with those of ``LOG_OPTIONS`` as one ``reading``. Raises ``click.UsageError``."""
    reading = Reading(**{name: values.pop(name) for name in Reading.__slots__})
    if reading.follow and (reading.until or reading.after or reading.oldest_first):
        raise click.UsageError("--follow goes with none of --until, --after and --oldest-first")
    return values | {"reading": reading}


def show_log(
    target: Target, reading: Reading, query: Mapping[str, object], columns: tuple[str, ...], names: Columns
) -> None:
    """Print a log, or follow it. ``names`` are the columns that show principals by name."""
    remote, path = target.remote, target.path
    if not reading.follow:
        show_list(with_names(remote, target.tenant, pages_of(remote, path, reading, query), names), *columns)
        return
    with suppress(KeyboardInterrupt):
        pages = followed(remote, path, reading.limit or BEFORE_FOLLOWING, {**query, "since": reading.since})
        show_stream(with_names(remote, target.tenant, pages, names), *columns)


def pages_of(remote: Remote, path: str, reading: Reading, query: Mapping[str, object]) -> Pages:
    """Yield the pages of a log."""
    order = "asc" if reading.oldest_first else "desc"
    span = {"since": reading.since, "until": reading.until}
    return remote.pages(path, limit=reading.limit or LIMIT, after=reading.after, order=order, **span, **query)


def followed(remote: Remote, path: str, first: int, query: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Yield the newest ``first`` items, oldest of them first, and then each new item once."""
    items = items_of(remote.pages(path, limit=first, order="desc", **query))[::-1]
    seen = {item["id"] for item in items}
    if items:  # what is older is not new, though it is read again with what may be committed late
        seen |= {item["id"] for item in _behind(remote, path, seen, query) if item["id"] < items[0]["id"]}
    while True:
        yield {"items": items, "next_cursor": None}
        time.sleep(POLL_S)
        items = [item for item in _behind(remote, path, seen, query) if item["id"] not in seen]
        place = overlapping(max(seen, default=EARLIEST))
        seen = {id_ for id_ in seen if id_ > place} | {item["id"] for item in items}


def _behind(remote: Remote, path: str, seen: set[str], query: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the items after the newest one that was seen, and those just before it, which may be committed late."""
    place = overlapping(max(seen, default=EARLIEST))
    return items_of(remote.pages(path, limit=LIMIT_MAX, after=place, order="asc", **query))


def overlapping(id_: str) -> str:
    """Return an id of ten seconds before: ids begin with the time, and rows may be committed in another order."""
    return str(UUID(int=max(0, (UUID(id_).int >> 80) - OVERLAP_MS) << 80))
