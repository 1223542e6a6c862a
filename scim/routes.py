"""SCIM over HTTP: /t/{tenant}/scim/v2/... Thin: read, act, answer."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from identity.http import bearer_token, house
from identity.model.errors import NotAllowed, NotThere, Refusal
from identity.model.principal import Resource
from scim import operations
from scim.answers import (
    ENTITY_TAG,
    answer,
    base_url,
    on_fault,
    on_http_exception,
    on_refusal,
    resource_answer,
    resource_headers,
    sent_body,
    sent_json,
)
from scim.bulk import parse_bulk
from scim.bulk_work import BulkWork
from scim.discovery import list_response, render_resource_types, render_schemas, service_provider_config
from scim.errors import error_body
from scim.journal import note_status, scim_call
from scim.projection import Projection, parse_projection
from scim.query import query_of_body, query_of_url
from scim.resources import etag
from scim.schemas import ResourceType, resource_types
from scim.searching import find_page, render_page

__all__ = ["blueprint", "on_http_exception"]

blueprint = Blueprint("scim", __name__, url_prefix="/t/<slug>/scim/v2")

Json = dict[str, Any]
ENDPOINTS = "any(" + ", ".join(resource_types()) + ")"
DISCOVERY = "any(ServiceProviderConfig, ResourceTypes, Schemas)"


# --- resources -------------------------------------------------------------------------------------------------


@blueprint.post(f"/<{ENDPOINTS}:endpoint>")
def create(slug: str, endpoint: str) -> Response:
    """Create a resource (RFC 7644 §3.3)."""
    body, type_ = sent_body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        sent, shown = sent_json(body), _projection(type_)
        resource = operations.create(call, type_, sent, shown)
    return resource_answer(resource, slug, shown, status=201)


@blueprint.get(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def read(slug: str, endpoint: str, resource_id: str) -> Response:
    """Return one resource (RFC 7644 §3.4.1)."""
    type_ = resource_types()[endpoint]
    with scim_call(slug) as call:
        shown = _projection(type_)
        resource = operations.get(call, type_, resource_id, with_members=shown.shows("members"))
    if _is_known(request.headers.get("If-None-Match"), resource):
        return Response(status=304, headers={"ETag": etag(resource.principal)})
    return resource_answer(resource, slug, shown)


@blueprint.put(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def replace(slug: str, endpoint: str, resource_id: str) -> Response:
    """Replace a resource (RFC 7644 §3.5.1)."""
    body, type_ = sent_body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        sent, shown = sent_json(body), _projection(type_)
        resource = operations.replace(call, type_, resource_id, sent, request.headers.get("If-Match"), shown)
    return resource_answer(resource, slug, shown)


@blueprint.patch(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def patch(slug: str, endpoint: str, resource_id: str) -> Response:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2)."""
    body, type_ = sent_body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        sent, shown = sent_json(body), _projection(type_)
        if_match = request.headers.get("If-Match")
        resource, silent = operations.patch(call, type_, resource_id, sent, if_match, shown)
        note_status(204 if silent else 200)
    if silent:
        return Response(status=204, headers=resource_headers(resource, slug))
    return resource_answer(resource, slug, shown)


@blueprint.delete(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def delete(slug: str, endpoint: str, resource_id: str) -> Response:
    """Delete a resource (RFC 7644 §3.6)."""
    type_ = resource_types()[endpoint]
    with scim_call(slug) as call:
        operations.delete(call, type_, resource_id, request.headers.get("If-Match"))
    return Response(status=204)


# --- lists -----------------------------------------------------------------------------------------------------


@blueprint.get(f"/<{ENDPOINTS}:endpoint>")
def find(slug: str, endpoint: str) -> Response:
    """Return one page of the resources that satisfy a filter (RFC 7644 §3.4.2)."""
    with scim_call(slug) as call:
        page = find_page(call, query_of_url(request.args), [resource_types()[endpoint]])
    return answer(render_page(page, base_url(slug)))


@blueprint.post(f"/<{ENDPOINTS}:endpoint>/.search")
def search(slug: str, endpoint: str) -> Response:
    """The same with the query in the body, where no log of URLs sees it (RFC 7644 §3.4.3)."""
    return _searched(slug, [resource_types()[endpoint]])


@blueprint.post("/.search")
def search_everything(slug: str) -> Response:
    """The same for all resource types together."""
    return _searched(slug, list(resource_types().values()))


def _searched(slug: str, types: Sequence[ResourceType]) -> Response:
    body = sent_body()
    with scim_call(slug) as call:
        page = find_page(call, query_of_body(sent_json(body)), types)
    return answer(render_page(page, base_url(slug)))


@blueprint.route("/Me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def me(slug: str) -> Response:
    """RFC 7644 §3.11: who calls is a connection, which is no principal that there could be an alias for."""
    with scim_call(slug):
        pass
    return answer(error_body(501, "a connection calls, and no user: name the user by its id"), status=501)


@blueprint.post("/Bulk")
def bulk(slug: str) -> Response:
    """Do several operations, each by itself (RFC 7644 §3.7). The request's own transaction ends before the first."""
    body = sent_body()
    with scim_call(slug) as call:
        wanted = parse_bulk(sent_json(body))
        tenant_id, caller = call.tx.tenant_id, call.caller
    return answer(BulkWork(tenant_id, bearer_token(), base_url(slug), wanted, caller).do())


# --- discovery -------------------------------------------------------------------------------------------------


@blueprint.get("/ServiceProviderConfig")
def provider(slug: str) -> Response:
    """Return what this server supports."""
    with scim_call(slug):
        _refuse_a_filter()
    return answer(service_provider_config(base_url(slug), house().body_bytes_max))


@blueprint.get("/<any(ResourceTypes, Schemas):endpoint>")
def discover(slug: str, endpoint: str) -> Response:
    """Return all resource types or schemas."""
    with scim_call(slug):
        _refuse_a_filter()
    found = list(_discovered(slug, endpoint).values())
    return answer(list_response(found, total=len(found), start_index=1))


@blueprint.get("/<any(ResourceTypes, Schemas):endpoint>/<name>")
def discover_one(slug: str, endpoint: str, name: str) -> Response:
    """Return one resource type or schema."""
    with scim_call(slug):
        found = _discovered(slug, endpoint).get(name)
        if found is None:
            raise NotThere("there is no such resource")
    return answer(found)


def _discovered(slug: str, endpoint: str) -> dict[str, Json]:
    render = render_schemas if endpoint == "Schemas" else render_resource_types
    return render(base_url(slug))


def _refuse_a_filter() -> None:
    """RFC 7644 §4: a filter here is answered as forbidden, lest a client take the answer for a filtered one."""
    if request.args.get("filter") is not None:
        raise NotAllowed("discovery cannot be filtered", reason="discovery_filter")


# --- everything that is not there ------------------------------------------------------------------------------

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@blueprint.route(f"/<{ENDPOINTS}:endpoint>", methods=["PUT", "PATCH", "DELETE"])
@blueprint.route(f"/<{ENDPOINTS}:endpoint>/<name>", methods=["POST"])
@blueprint.route(f"/<{DISCOVERY}:endpoint>", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/<any(ResourceTypes, Schemas):endpoint>/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
def not_done_here(slug: str, endpoint: str, name: str = "") -> Response:
    """Answer a method that this endpoint does not have."""
    with scim_call(slug):
        pass
    refused = answer(error_body(405, f"{request.method} is not done here"), status=405)
    of_resources = "GET, PUT, PATCH, DELETE" if name else "GET, POST"
    refused.headers["Allow"] = of_resources if endpoint in resource_types() else "GET"  # RFC 9110 §15.5.6
    return refused


@blueprint.route("/", defaults={"rest": ""}, methods=METHODS, strict_slashes=False)
@blueprint.route("/<path:rest>", methods=METHODS)
def not_there(slug: str, rest: str) -> Response:
    """Answer what no other route does, after the same authentication as everything else."""
    del rest
    with scim_call(slug):
        raise NotThere("there is no such endpoint")


# --- parts of requests -----------------------------------------------------------------------------------------


def _projection(type_: ResourceType) -> Projection:
    query = query_of_url(request.args)
    return parse_projection(query.attributes, query.excluded_attributes, type_)


def _is_known(header: str | None, resource: Resource) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or str(resource.principal.version) in ENTITY_TAG.findall(header)


blueprint.register_error_handler(Refusal, on_refusal)
blueprint.register_error_handler(HTTPException, on_http_exception)
blueprint.register_error_handler(Exception, on_fault)
