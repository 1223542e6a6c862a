"""The yardstick: a Flask route that answers a small JSON document, on the same server with the same settings."""

import sys

from flask import Flask, Response, jsonify

from config.settings import load_settings
from config.web_process import rsgi_application
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from server.rsgi import RsgiApplication
from server.web_server import begin_web_process, web_server

PATH = "/bare"


def create_app() -> Flask:
    """Return an application that does nothing."""
    app = Flask("bare", static_folder=None)

    @app.get(PATH)
    def bare() -> Response:
        return jsonify(status="bare", number=17, active=True)

    app.wsgi_app = AdmissionMiddleware(app.wsgi_app, ConcurrencyLimiter(), frozenset())  # type: ignore[method-assign]
    return app


def main(port: int) -> None:
    """Serve it until it is stopped."""

    settings = load_settings(port=port)

    def load(_target: str) -> RsgiApplication:
        begin_web_process()
        return rsgi_application(create_app(), settings)

    web_server(settings.host, settings.port, settings.web_processes).serve(target_loader=load)


if __name__ == "__main__":
    main(int(sys.argv[1]))
