"""A web process that is killed between the commit of a request and its answer, when that request says so."""

import os
import signal
import sys

from flask import Flask, Response, request
from werkzeug.serving import make_server

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import KeyRing
from identity.actions.upstream import UpstreamKeys
from identity.edge.headers import guard_every_answer
from identity.edge.runtime import Runtime, utc_now
from identity.store.transaction import make_engine
from scim.routes import blueprint

DIES = "X-Dies-Before-It-Answers"


def application(database_url: str) -> Flask:
    """Return the SCIM edge. What is registered last is asked first: nothing has left when it dies."""
    encryption = EnvelopeEncryption(bytes(32))
    made = Flask("dying", static_folder=None)
    made.extensions["identity"] = Runtime(
        engine=make_engine(database_url),
        encryption=encryption,
        keys=KeyRing(encryption),
        upstream_keys=UpstreamKeys(lambda _: b""),
        external_url="https://identity.example",
        admin_token_hash=None,
        clock=utc_now,
    )
    guard_every_answer(made)
    made.register_blueprint(blueprint)

    @made.after_request
    def die(response: Response) -> Response:
        if DIES in request.headers:
            os.kill(os.getpid(), signal.SIGKILL)
        return response

    return made


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, application(sys.argv[1]))
    print(server.port, flush=True)
    server.serve_forever()
