"""Every failure of a command is one sentence, not a traceback, and ends it with status 1."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from server.failures import reference_of, sentence_of, unforeseen

SAID_BY_CLICK = (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError)


@contextmanager
def explained() -> Iterator[None]:
    """Say what is wrong in the block in one sentence. Raises ``click.ClickException``."""
    try:
        yield
    except SAID_BY_CLICK:
        raise
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            _show(error)
        raise click.ClickException(sentence or unforeseen(error)) from error


def _show(error: Exception) -> None:
    """Log where an unforeseen error came from, if the log level is debug."""
    if os.environ.get("IDENTITY_LOG_LEVEL", "").lower() == "debug":
        import structlog  # noqa: PLC0415 - a command that fails in a foreseen way needs no log

        from server.telemetry import configure_logging  # noqa: PLC0415

        configure_logging("console" if sys.stderr.isatty() else "json", "debug", stream=sys.stderr)
        structlog.get_logger(__name__).debug("unforeseen", reference=reference_of(error), exc_info=error)
