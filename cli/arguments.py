"""Arguments and options that several commands share: segments of a path, JSON from a file, paging."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Callable[..., Any]], Callable[..., Any]]
"""An option or argument of a command, as a decorator."""

SEGMENT = re.compile(r"[A-Za-z0-9_~][A-Za-z0-9._~-]{0,254}", re.ASCII)


class Segment(click.ParamType[str]):
    """One segment of a path: never a slash, a query or a step upwards."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the segment."""
        if not SEGMENT.fullmatch(value):
            self.fail(f"{value!r} cannot be a name or an id", param, ctx)
        return value


class JsonText(click.ParamType[Any]):
    """JSON, as ``@FILE``, ``-`` for standard input, or the text itself."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of the text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(_text_of(value))
        except OSError as error:
            self.fail(f"{value[1:]} cannot be read: {error.strerror}", param, ctx)
        except (ValueError, RecursionError):
            self.fail("that is not JSON; give @FILE, - for standard input, or the text itself", param, ctx)


def _text_of(value: str) -> str:
    if value.startswith("@"):
        return Path(value[1:]).read_text(encoding="utf-8")
    return sys.stdin.read() if value == "-" else value


JSON = JsonText()
limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="How many items at most."
)
after_option = click.option("--after", metavar="CURSOR", help="Cursor: continue after this item.")


def id_argument(name: str) -> Callable[[Command], Command]:
    """Return an argument that becomes a segment of a path."""
    return click.argument(name, type=Segment())


tenant_argument = id_argument("tenant")
tenant_option = click.option("--tenant", type=Segment(), default="acme", show_default=True)
named_argument = click.argument("named", metavar="NAME_OR_ID")
reason_option = click.option("--reason", help="Why, for the audit log.")


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return each first text of the pairs with all second texts that it was given with."""
    found: dict[str, list[str]] = {}
    for first, second in pairs:
        found.setdefault(first, []).append(second)
    return found
