"""Documents that anybody may read: they carry no secret, need no credential, and scripts of every origin may read them.

The routes of these documents answer CORS, and no other route of the product does: whatever needs a credential is asked
by programs that can keep one, and a page of another origin cannot.
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
    """Return the view of a public document, with its preflight; its errors may be read as well (Fetch §3.3).

    A preflight asks about the route, so that it costs no look at the tenant.
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
