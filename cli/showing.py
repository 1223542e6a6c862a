"""What a person sees: a table for many, lines for one, a secret with a word of care."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.output import answer
from cli.remote import printable

WIDTH_MIN = 160  # ids are not cut off where nobody looks at a terminal


def show_list(page: Mapping[str, Any], *columns: str) -> None:
    """Print the items of a list, or the whole page as JSON."""
    answer(dict(page), _table(page["items"], columns, page["next_cursor"]))


def show_one(document: Mapping[str, Any], *, shown_once: str | None = None) -> None:
    """Print one document; ``shown_once`` names the member that will never be shown again."""
    width = max(map(len, document), default=0)
    lines = [f"{name:<{width}}  {cell(value)}" for name, value in document.items() if value not in (None, [], "")]
    if shown_once is not None and shown_once in document:
        lines += ["", f"Keep {shown_once} now: it is shown this once."]
    answer(dict(document), "\n".join(lines))


def show_done(words: str, **document: object) -> None:
    """Say that something happened that has no document."""
    answer(document, words)


def cell(value: object) -> str:
    """Return a value as one line of text."""
    if value is None:
        return "-"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return printable(" ".join(value)) or "-"
    return printable(json.dumps(value) if isinstance(value, (dict, list)) else value)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], cursor: str | None) -> str:
    if not rows:
        return "There is none."
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    out = io.StringIO()
    width = max(shutil.get_terminal_size().columns, WIDTH_MIN)
    Console(file=out, width=width, color_system=None).print(table)
    more = f"\n\nThere is more: --after {cursor}" if cursor else ""
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()) + more
