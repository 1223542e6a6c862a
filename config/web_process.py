"""One web process, composed. Nothing else imports this module: an import of it counts for the metrics."""

import sys
from collections.abc import Callable
from typing import TextIO

from flask import Flask

from config.app import assemble_app, make_runtime, readiness_of
from config.settings import Settings
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import MAX_QUEUED
from identity.edge.refusal_counts import keep_writing_refusals
from server.access_log import AccessLog
from server.readiness import ask_until_isolated
from server.request_bodies import RequestBodies
from server.rsgi import RsgiApplication
from server.telemetry import configure_logging

REFUSALS_WRITTEN_EVERY_S = 5.0  # how long the count of a minute that is over may stay unwritten
REFUSING_THREADS = 8  # beside those of running and queued requests, so a refusal is immediate


def serve(settings: Settings) -> RsgiApplication:
    """Return the application of one web process; it answers the probes before there is a database."""
    configure_logging(settings.log_format, settings.log_level)
    shared = make_runtime(settings)
    readiness = readiness_of(shared)
    app = assemble_app(shared, readiness)
    ask_until_isolated(readiness)
    keep_writing_refusals(shared.refusals, shared.engine, shared.clock, every_s=REFUSALS_WRITTEN_EVERY_S)
    return rsgi_application(app, settings, is_ready=lambda: readiness.is_isolated, access=access_log(settings))


def access_log(settings: Settings, stream: TextIO = sys.stderr) -> AccessLog | None:
    """Return the access log of a process, or None where it is turned off or the log level is above info."""
    is_on = settings.access_log and settings.log_level in ("debug", "info")
    return AccessLog(stream) if is_on else None


def rsgi_application(
    app: Flask, settings: Settings, *, is_ready: Callable[[], bool] = lambda: True, access: AccessLog | None = None
) -> RsgiApplication:
    """Return the application as granian calls it, behind its ``AdmissionMiddleware``."""
    admission = app.wsgi_app
    if not isinstance(admission, AdmissionMiddleware):
        raise TypeError("an application is served behind its limiter only")
    threads = settings.web_places + MAX_QUEUED + REFUSING_THREADS
    bodies = RequestBodies(settings.body_bytes_max)
    return RsgiApplication(admission, bodies=bodies, threads=threads, is_ready=is_ready, access=access)
