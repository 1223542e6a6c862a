"""Metrics of the web processes, for Prometheus: counted here, served by the management listener."""

import time

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

# Endpoints are names of our own routes: no label holds a caller's text, or a tenant.
REQUESTS = Counter("identity_http_requests", "Answers", ["endpoint", "method", "status"])
SECONDS = Histogram(
    "identity_http_request_seconds",
    "Time from the request's head to its answer",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
TURNED_AWAY = Counter("identity_http_turned_away", "Answers 429 before anything was looked at", ["surface"])
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_refused(surface: str, method: str, status: int) -> None:
    """Count a request that was answered before the application saw it."""
    REQUESTS.labels("none", _known(method), status).inc()
    if status == 429:
        TURNED_AWAY.labels(surface).inc()


def _known(method: str) -> str:
    return method if method in METHODS else "other"


def add_metrics(app: Flask) -> None:
    """Measure every request of ``app``."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        REQUESTS.labels(endpoint, _known(request.method), response.status_code).inc()
        SECONDS.labels(endpoint).observe(time.perf_counter() - g.began)
        return response
