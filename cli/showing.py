"""The text and JSON of lists, of one document, and of a secret that is shown once."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from cli.output import answer, is_json
from cli.problems import printable
from cli.table import Layout

Item = Mapping[str, Any]
Pages = Iterable[Mapping[str, Any]]
NONE: Mapping[str, str] = {}


def show_list(pages: Pages, *columns: str) -> None:
    """Print the items of a list, page by page as they come, or one JSON document of them."""
    if is_json():
        _write_json(pages)
    else:
        _write_table(pages, columns)


def show_stream(pages: Pages, *columns: str) -> None:
    """Print items as long as they come, with ``--json`` each as one line."""
    if not is_json():
        _write_table(pages, columns)
        return
    for page in pages:
        for item in page["items"]:
            click.echo(json.dumps(item))


def _write_json(pages: Pages) -> None:
    before, rest = '{"items": [', {"next_cursor": None}
    for page in pages:
        for item in page["items"]:
            click.echo(before + json.dumps(item), nl=False)
            before = ", "
        rest = {name: value for name, value in page.items() if name != "items"}
    opening = before if before != ", " else ""
    click.echo(f"{opening}], {json.dumps(rest)[1:]}")


def _write_table(pages: Pages, columns: tuple[str, ...]) -> None:
    layout, cursor = None, None
    for page in pages:
        rows = [{name: cell(item.get(name)) for name in columns} for item in page["items"]]
        if rows and layout is None:
            layout = Layout.for_rows(columns, rows)
            click.echo(layout.header())
        for line in layout.lines(rows) if layout is not None else ():
            click.echo(line)
        cursor = page["next_cursor"]
    click.echo("No results." if layout is None else layout.footer(cursor), nl=layout is None)


def show_one(document: Item, *, shown_once: str | None = None, in_words: Mapping[str, str] = NONE) -> None:
    """Print one document; ``shown_once`` names the member that will never be shown again, ``in_words`` has the text of
    members that are objects.
    """
    width = max(map(len, document), default=0)
    members = {name: in_words.get(name, value) for name, value in document.items()}
    lines = [f"{name:<{width}}  {cell(value)}" for name, value in members.items() if value not in (None, [], "")]
    if shown_once is not None and document.get(shown_once):
        lines += ["", f"Save this {shown_once.replace('_', ' ')} now. It will not be shown again."]
    answer(dict(document), "\n".join(lines))


def show_done(words: str, **document: object) -> None:
    """Say that something happened that has no document."""
    answer(document, words)


def cell(value: object) -> str:
    """Return a value as one line of text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return printable(" ".join(value)) or "-"
    return printable(json.dumps(value) if isinstance(value, (dict, list)) else value)
