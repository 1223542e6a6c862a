"""The admin API: every route, and what is not one."""

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing.exceptions import RoutingException

from identity.admin import (
    clients,
    connections,
    cutoffs,
    definitions,
    delegations,
    documents,
    events,
    federated_subjects,
    outbox,
    principals,
    provisioning_events,
    provisioning_log,
    resource_pairs,
    resources,
    signing_keys,
    tasks,
    tenants,
)
from identity.admin.endpoints import blueprint
from identity.admin.errors import answer_http_exception, answer_refusal, answer_unexpected, problem
from identity.edge.authentication import administrator_required
from identity.model.errors import Refusal

__all__ = ["NOUNS", "blueprint"]

NOUNS = (clients, connections, cutoffs, definitions, delegations, documents, events, federated_subjects, outbox,
         principals, provisioning_events, provisioning_log, resource_pairs, resources, signing_keys, tasks,
         tenants)  # fmt: skip
"""The modules that declare operations: importing a module declares its own."""

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
NOTHING_HERE = "nothing_here"


@blueprint.route("/", defaults={"rest": ""}, methods=METHODS, endpoint=NOTHING_HERE, strict_slashes=False)
@blueprint.route("/<path:rest>", methods=METHODS, endpoint=NOTHING_HERE)
def nothing_here(rest: str) -> Response:
    """Answer for every path and method that is not an operation, in the API's own words."""
    del rest
    with administrator_required():
        allowed = _allowed_methods()
    if not allowed:
        return problem("not_found", "there is no such resource; see /admin/v1/openapi.json")
    response = problem("method_not_allowed", f"this resource allows {', '.join(allowed)}")
    response.headers["Allow"] = ", ".join(allowed)
    return response


def _allowed_methods() -> list[str]:
    adapter = current_app.url_map.bind_to_environ(request.environ)
    allowed = []
    for method in METHODS:
        try:
            endpoint, _ = adapter.match(method=method)
        except (HTTPException, RoutingException):
            continue
        if endpoint != f"{blueprint.name}.{NOTHING_HERE}":
            allowed.append(method)
    return allowed


blueprint.register_error_handler(Refusal, answer_refusal)
blueprint.register_error_handler(HTTPException, answer_http_exception)
blueprint.register_error_handler(Exception, answer_unexpected)
