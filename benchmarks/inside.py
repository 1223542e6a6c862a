"""The application in this process: how often a request goes to the database, and where its time goes."""

import cProfile
import io
import pstats
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event
from werkzeug.test import EnvironBuilder, run_wsgi_app

from benchmarks.cases import Case
from benchmarks.request import Request

COUNTED = 5
LINES = 45
OF_OURS = "/identity/|/scim/|/identity_verifier/|/config/"


def answering(app: Flask, requests: Iterable[Request], status: int) -> list[Callable[[], None]]:
    """Return one call per request, ready to be made; a call raises when its answer is wrong."""

    def ready(request: Request) -> Callable[[], None]:
        environ = EnvironBuilder(
            path=request.path, method=request.method, data=request.body or None, headers=list(request.headers.items())
        ).get_environ()

        def call() -> None:
            body, line, _ = run_wsgi_app(app.wsgi_app, environ)
            answer = b"".join(body)
            if not line.startswith(f"{status} "):
                raise SystemExit(f"expected {status}, got {line}: {answer[:600]!r}")

        return call

    return [ready(request) for request in requests]


def count_round_trips(app: Flask, engine: Engine, case: Case) -> float:
    """Return the round trips of one request, BEGIN and COMMIT included, when everything is parsed and prepared.

    Counted where SQLAlchemy hands a statement to the driver: what travels together is handed over together.
    """
    first, *others = answering(app, case.requests(1 + COUNTED), case.status)
    first()
    trips = 0

    def after(*_: Any) -> None:
        nonlocal trips
        trips += 1

    event.listen(engine, "after_cursor_execute", after)
    try:
        for call in others:
            call()
    finally:
        event.remove(engine, "after_cursor_execute", after)
    return trips / len(others)


def profile(app: Flask, case: Case, requests: int) -> str:
    """Return where ``requests`` requests spend their time; the profiler itself makes everything twice as slow."""
    for call in answering(app, case.requests(50), case.status):
        call()
    calls = answering(app, case.requests(requests), case.status)
    profiler = cProfile.Profile()
    profiler.enable()
    for call in calls:
        call()
    profiler.disable()
    text = io.StringIO()
    statistics = pstats.Stats(profiler, stream=text)
    text.write(f"{case.name}: {requests} requests; by time within the function itself\n")
    statistics.sort_stats("tottime").print_stats(LINES)
    text.write("by time with all that it calls, our own functions only\n")
    statistics.sort_stats("cumulative").print_stats(OF_OURS, LINES)
    return text.getvalue()
