"""How a command answers: words for a person, one JSON document with ``--json``."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

KEY = "cli.as_json"


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[KEY] = value or context.meta.get(KEY, False)  # said before or after a subcommand, it holds


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, expose_value=False, help="Answer with one JSON document.",
        callback=_remember,
    )(command)  # fmt: skip


def is_json() -> bool:
    """Say whether the caller asked for JSON."""
    return bool(click.get_current_context().meta.get(KEY))


def answer(document: object, words: str) -> None:
    """Print ``document`` as JSON if that was asked for, else ``words``."""
    click.echo(json.dumps(document, default=str) if is_json() else words)
