"""The three programs of an installation, each in its own process."""

import signal
import sys
import threading
from collections.abc import Callable

import click

from cli.output import json_option
from config.settings import Settings, load_settings
from server.process import name_sessions
from server.telemetry import configure_logging


def _on_stop_signal(stop: Callable[[], object]) -> None:
    """Call ``stop`` at SIGTERM and SIGINT from the first step on; the program's own handlers come later."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())


def _settings(program: str, **overrides: object) -> Settings:
    settings = load_settings(**overrides)
    configure_logging(settings.log_format, settings.log_level)
    name_sessions(program)
    return settings


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@json_option
def serve(host: str | None, port: int | None) -> None:
    """Run the web server. (--json has no answer to shape: it runs until it is stopped.)"""
    _on_stop_signal(sys.exit)
    from config.web import run_web  # noqa: PLC0415

    run_web(_settings("serve", host=host, port=port))


@click.command()
@click.option("--pool", type=click.Choice(["threads", "prefork"]), help="Default: what suits the broker.")
@json_option
def worker(pool: str | None) -> None:
    """Run a worker: it does what follows from a change. Any number may run."""
    _on_stop_signal(sys.exit)
    from config.celery import run_worker  # noqa: PLC0415

    chosen = None if pool is None else ("prefork" if pool == "prefork" else "threads")
    run_worker(_settings("worker"), pool=chosen)  # type: ignore[arg-type]


@click.command()
@json_option
def relay() -> None:
    """Run a relay: it passes each change on to the workers. Any number may run."""
    stopped = threading.Event()
    _on_stop_signal(stopped.set)
    from config.celery import run_relay_until  # noqa: PLC0415

    run_relay_until(_settings("relay"), stopped.is_set)
