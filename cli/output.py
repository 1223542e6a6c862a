"""The output of commands: text, or one JSON document with ``--json``; errors too."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar

import click

from cli.problems import Refused

Command = TypeVar("Command", bound=Callable[..., Any])

KEY = "cli.as_json"
WORDS_KEY = "cli.json_among_the_words"
USAGE, FAILED = "usage", "failed"


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[KEY] = value or context.meta.get(KEY, False)  # before or after a subcommand


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``."""
    return click.option(
        "--json", "as_json", is_flag=True, expose_value=False, help="Answer with one JSON document.",
        callback=_remember,
    )(command)  # fmt: skip


def is_json() -> bool:
    """Return whether the caller wants JSON."""
    return bool(click.get_current_context().meta.get(KEY))


def answer(document: object, words: str) -> None:
    """Print ``document`` where ``--json`` is given, else ``words``."""
    click.echo(json.dumps(document, default=str) if is_json() else words)


class JsonError(click.ClickException):
    """An error as one JSON object on standard error, with the exit status of its text form."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance
        self.document = document_of(error)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the object."""
        click.echo(json.dumps(self.document, default=str), file=file, err=file is None)


def document_of(error: click.ClickException) -> dict[str, Any]:
    """Return an error as ``--json`` prints it; ``code`` is stable."""
    document: dict[str, Any] = {"code": FAILED, "message": error.format_message(), "exit_status": error.exit_code}
    if isinstance(error, Refused):
        return document | {"code": error.code} | error.more
    return document | {"code": USAGE} if isinstance(error, click.UsageError) else document


def errors_are_json(context: click.Context) -> bool:
    """Return whether errors are printed as JSON. A usage error may precede the option among the words."""
    return bool(context.meta.get(KEY) or context.meta.get(WORDS_KEY))


@contextmanager
def errors_in_json(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Raise the errors of the block as ``JsonError`` where ``is_wanted`` returns true."""
    try:
        yield
    except JsonError:
        raise
    except click.ClickException as error:
        if is_wanted() and not isinstance(error, click.exceptions.NoArgsIsHelpError):
            raise JsonError(error) from error
        raise


class JsonGroup(click.Group):
    """The command ``identity``: ``--json`` holds for its own usage errors, too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options before the first command."""
        among_words = "--json" in args[: args.index("--") if "--" in args else None]
        with errors_in_json(lambda: among_words):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[WORDS_KEY] = among_words
        return context
