"""The headers of every response: its request id, and those that keep it out of caches and frames."""

import structlog
from flask import Flask, Response, request

from identity.edge.request import request_id

HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def guard_every_answer(app: Flask) -> None:
    """Set the request id and the hardening headers of every response."""

    @app.before_request
    def bind() -> None:
        structlog.contextvars.clear_contextvars()
        route = None if request.url_rule is None else request.url_rule.rule
        structlog.contextvars.bind_contextvars(request_id=request_id(), route=route)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id()
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in HARDENING.items():
            response.headers.setdefault(name, value)
        return response
