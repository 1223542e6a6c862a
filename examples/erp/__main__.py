"""``python -m examples.erp``: the service on Werkzeug's server, to try things out with."""

import argparse
import os
import sys

from identity_verifier import ConfigurationError, Introspector

from examples.erp.erp import create_app

SECRET_VARIABLE = "ERP_CLIENT_SECRET"


def main() -> None:
    options = parse_arguments()
    try:
        app = create_app(options.issuer, options.audience, introspector=make_introspector(options))
    except ConfigurationError as error:
        sys.exit(f"examples.erp: {error.detail}")
    app.run(options.host, options.port, threaded=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m examples.erp", description=__doc__)
    parser.add_argument("--issuer", required=True, help="https://host/t/{tenant}")
    parser.add_argument("--audience", default="https://erp.example")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--client-id", help=f"ask the issuer at every call; secret in {SECRET_VARIABLE}")
    return parser.parse_args()


def make_introspector(options: argparse.Namespace) -> Introspector | None:
    if not options.client_id:
        return None
    return Introspector(f"{options.issuer}/oauth/introspect", options.client_id, os.environ.get(SECRET_VARIABLE, ""))


if __name__ == "__main__":
    main()
