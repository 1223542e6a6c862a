"""The servers of the demo, each on a port of its own: the upstream issuer, and the resource servers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, jsonify
from joserfc import jwt
from joserfc.jwk import ECKey
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

ID_TOKEN_LIFETIME_S = 3600


class Quiet(WSGIRequestHandler):
    """A request handler without a log."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name that werkzeug gave it
        """Write nothing."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve ``app`` on a free port of this machine; yield its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield url_of(server)
    finally:
        server.shutdown()
        thread.join()


def url_of(server: BaseWSGIServer) -> str:
    """Return where a server listens."""
    return f"http://127.0.0.1:{server.server_port}"


class UpstreamIssuer:
    """The OpenID Provider of a company: it publishes its keys and issues ID tokens."""

    def __init__(self) -> None:
        self.url = ""
        self._key = ECKey.generate_key("P-256", parameters={"kid": "upstream-1", "use": "sig", "alg": "ES256"})
        self.app = Flask("upstream", static_folder=None)
        self.app.add_url_rule("/keys", view_func=lambda: jsonify(keys=[self._key.as_dict(private=False)]))

    def id_token(self, subject: str, audience: str) -> str:
        """Return an ID token (OpenID Connect Core §2) in the form of Entra; ``oid`` is the stable id of the person."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "sub": f"pairwise-{subject}", "oid": subject, "iat": now}
        claims["exp"] = now + ID_TOKEN_LIFETIME_S
        return jwt.encode({"alg": "ES256", "kid": "upstream-1", "typ": "JWT"}, claims, self._key)
