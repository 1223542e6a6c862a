"""Public documents: no secret, no credential, and open to scripts of every origin (CORS, Fetch §3.2).

No other route answers CORS: a route that needs a credential is for programs that can keep one.
"""

from collections.abc import Callable
from functools import wraps

from flask import Blueprint, Response, after_this_request, request

View = Callable[..., Response]

METHODS = ("GET", "OPTIONS")
PREFLIGHT_LIFETIME_S = 3600
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "*",  # MCP clients send MCP-Protocol-Version; `*` never covers Authorization
    "Access-Control-Max-Age": str(PREFLIGHT_LIFETIME_S),
}


def public_document(blueprint: Blueprint, *paths: str) -> Callable[[View], View]:
    """Serve the decorated view at each path as a public document."""

    def register(view: View) -> View:
        serve = open_to_scripts(view)
        for path in paths:
            blueprint.add_url_rule(path, endpoint=view.__name__, view_func=serve, methods=METHODS)
        return view

    return register


def open_to_scripts(view: View) -> View:
    """Return the view of a public document, with its preflight. Scripts may read its errors, too (Fetch §3.3).

    A preflight is about the route alone, and does not look the tenant up.
    """

    @wraps(view)
    def serve(**names: str) -> Response:
        after_this_request(_allow_every_origin)
        if request.method == "OPTIONS":
            return Response(status=204, headers=PREFLIGHT)
        return view(**names)

    return serve


def _allow_every_origin(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"  # never with Access-Control-Allow-Credentials
    return response
