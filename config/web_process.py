"""One web process: its application, and what is around it. Nothing else imports this: it counts for the metrics."""

import sys
from collections.abc import Callable
from typing import TextIO

from flask import Flask

from config.app import assemble_app, make_runtime, readiness_of
from config.readiness import ask_until_isolated
from config.settings import Settings
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import MAX_QUEUED
from identity.edge.refusal_counts import keep_writing_refusals
from server.access_log import AccessLog
from server.request_bodies import Bodies
from server.rsgi import Front
from server.telemetry import configure_logging

REFUSALS_WRITTEN_EVERY_S = 5.0  # so long may the count of a minute that is over stay unwritten
REFUSING_THREADS = 8  # beside those of places and seats: who is refused is refused at once


def serve(settings: Settings) -> Front:
    """Return what granian calls in one web process; it answers the probes before there is a database."""
    configure_logging(settings.log_format, settings.log_level)
    shared = make_runtime(settings)
    readiness = readiness_of(shared)
    app = assemble_app(shared, readiness)
    ask_until_isolated(readiness)
    keep_writing_refusals(shared.refusals, shared.engine, shared.clock, every_s=REFUSALS_WRITTEN_EVERY_S)
    return front_of(app, settings, is_open=lambda: readiness.is_isolated, access=access_log(settings))


def access_log(settings: Settings, stream: TextIO = sys.stderr) -> AccessLog | None:
    """Return the access log of a process, or None where it is turned off or the log level is above info."""
    is_on = settings.access_log and settings.log_level in ("debug", "info")
    return AccessLog(stream) if is_on else None


def front_of(
    app: Flask, settings: Settings, *, is_open: Callable[[], bool] = lambda: True, access: AccessLog | None = None
) -> Front:
    """Return what granian calls, for an application behind a ``AdmissionMiddleware``."""
    door = app.wsgi_app
    if not isinstance(door, AdmissionMiddleware):
        raise TypeError("only behind turns may an application be served")
    threads = settings.web_places + MAX_QUEUED + REFUSING_THREADS
    bodies = Bodies(settings.body_bytes_max)
    return Front(app, whose=door.whose, bodies=bodies, threads=threads, is_open=is_open, access=access)
