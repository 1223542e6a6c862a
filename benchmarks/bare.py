"""The yardstick: a Flask route that answers a small JSON document, on the same server with the same settings."""

import sys
from typing import Any

from flask import Flask, Response, jsonify

from config.process import follow_parent
from config.settings import load_settings
from config.web import web_server

PATH = "/bare"


def create_app() -> Flask:
    """Return an application that does nothing."""
    app = Flask("bare", static_folder=None)

    @app.get(PATH)
    def bare() -> Response:
        return jsonify(status="bare", number=17, active=True)

    return app


def main(port: int) -> None:
    """Serve it until told to stop."""

    def load(_target: str) -> Any:
        follow_parent()
        return create_app()

    web_server(load_settings(port=port)).serve(target_loader=load)


if __name__ == "__main__":
    main(int(sys.argv[1]))
