"""SCIM over HTTP: /t/{tenant}/scim/v2/... Each route reads the request, calls an operation, and answers."""

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from identity.edge.request import bearer_token
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import NotAllowed, NotFound, RateLimited, Refusal
from identity.model.tenant import Tenant
from scim import operations
from scim.authentication import authenticate, bulk_call, scim_call
from scim.bulk import accept
from scim.bulk.context import BulkContext, bulk_response
from scim.bulk.execute import BulkWork
from scim.bulk.request import BulkOperation, parse_bulk
from scim.challenge import metadata_url
from scim.discovery import list_response, render_resource_types, render_schemas, service_provider_config
from scim.errors import error_body
from scim.responses import (
    RETRY_AFTER,
    accepts_scim_by_name,
    answer,
    on_fault,
    on_http_exception,
    on_refusal,
    resource_answer,
    resource_headers,
)
from scim.search.page import find_page, render_page
from scim.search.query import query_of_body

__all__ = ["blueprint", "on_http_exception"]

blueprint = Blueprint("scim", __name__, url_prefix="/t/<slug>/scim/v2")

Json = dict[str, Any]

# --- resources -------------------------------------------------------------------------------------------------


@blueprint.post("/<endpoint>")
def create(slug: str, endpoint: str) -> Response:
    """Create a resource (RFC 7644 §3.3)."""
    with scim_call(slug, has_body=True) as (sent, call):
        type_ = call.type_at(endpoint)
        body, shown = sent.document(), sent.projection(type_)
        resource = operations.create(call, type_, body, shown)
    return resource_answer(resource, type_, call.endpoints, shown, status=201)


@blueprint.get("/<endpoint>/<resource_id>")
def read(slug: str, endpoint: str, resource_id: str) -> Response:
    """Return one resource (RFC 7644 §3.4.1)."""
    with scim_call(slug) as (sent, call):
        type_ = call.type_at(endpoint)
        shown = sent.projection(type_)
        resource = operations.get(call, type_, resource_id, with_members=shown.shows("members"))
        is_known = sent.conditions.is_known(resource.principal.version)
    if is_known:
        return Response(status=304, headers={"ETag": resource.principal.entity_tag})
    return resource_answer(resource, type_, call.endpoints, shown)


@blueprint.put("/<endpoint>/<resource_id>")
def replace(slug: str, endpoint: str, resource_id: str) -> Response:
    """Replace a resource (RFC 7644 §3.5.1)."""
    with scim_call(slug, has_body=True) as (sent, call):
        type_ = call.type_at(endpoint)
        body, shown = sent.document(), sent.projection(type_)
        resource = operations.replace(call, type_, resource_id, body, sent.conditions, shown)
    return resource_answer(resource, type_, call.endpoints, shown)


@blueprint.patch("/<endpoint>/<resource_id>")
def patch(slug: str, endpoint: str, resource_id: str) -> Response:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2)."""
    with scim_call(slug, has_body=True) as (sent, call):
        type_ = call.type_at(endpoint)
        body, shown = sent.document(), sent.projection(type_)
        conditions, txn = sent.conditions, None
        # If-None-Match is about the present version, so it is checked now and by no worker.
        if sent.preferences.respond_async and accept.is_large(body) and not conditions.if_none_match:
            txn = accept.accept_patch(call, type_, resource_id, body, conditions.if_match)
        else:
            resource, silent = operations.patch(call, type_, resource_id, body, conditions, shown)
            call.entry.status = 204 if silent else 200
    if txn is not None:
        return accept.accepted(txn, call.endpoints.base_url)
    if silent:
        return Response(status=204, headers=resource_headers(resource, type_, call.endpoints))
    return resource_answer(resource, type_, call.endpoints, shown)


@blueprint.delete("/<endpoint>/<resource_id>")
def delete(slug: str, endpoint: str, resource_id: str) -> Response:
    """Delete a resource (RFC 7644 §3.6)."""
    with scim_call(slug) as (sent, call):
        operations.delete(call, call.type_at(endpoint), resource_id, sent.conditions)
    return Response(status=204)


# --- lists -----------------------------------------------------------------------------------------------------


@blueprint.get("/<endpoint>")
def find(slug: str, endpoint: str) -> Response:
    """Return one page of the resources that satisfy a filter (RFC 7644 §3.4.2)."""
    return _page(slug, endpoint)


@blueprint.get("/", strict_slashes=False)
def find_everything(slug: str) -> Response:
    """Return one page of the resources of all types together (RFC 7644 §3.4.2.1)."""
    return _page(slug)


@blueprint.post("/<endpoint>/.search")
def search(slug: str, endpoint: str) -> Response:
    """Return the page of a query in the body, which no log of URLs shows (RFC 7644 §3.4.3)."""
    return _page(slug, endpoint, has_body=True)


@blueprint.post("/.search")
def search_everything(slug: str) -> Response:
    """Return the page of a query in the body, of all types together."""
    return _page(slug, has_body=True)


def _page(slug: str, endpoint: str | None = None, *, has_body: bool = False) -> Response:
    with scim_call(slug, has_body=has_body) as (sent, call):
        types = list(call.endpoints.catalogue.types.values()) if endpoint is None else [call.type_at(endpoint)]
        page = find_page(call, query_of_body(sent.document()) if has_body else sent.query(), types)
    return answer(render_page(page, call.endpoints))


@blueprint.route("/Me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def me(slug: str) -> Response:
    """Refuse the alias of RFC 7644 §3.11: the caller is a connection, and no user."""
    with scim_call(slug):
        pass
    return answer(
        error_body(501, "/Me is not supported: the caller is a connection and not a user; use the id of the user"),
        status=501,
    )


@blueprint.post("/Bulk")
def bulk(slug: str) -> Response:
    """Do several operations, each by itself (RFC 7644 §3.7). The request's own transaction ends before the first."""
    with scim_call(slug, has_body=True) as (sent, call):
        body, caller, tenant = sent.document(), call.caller, sent.tenant
        wanted, preferred = parse_bulk(body, call.endpoints.catalogue), sent.preferences
        txn = accept.accept_bulk(call, body, preferred.wait_s) if preferred.respond_async else None
    if txn is not None:
        result = None
        with suppress(RateLimited), bulk_call(tenant.id, caller.connection_id):  # it was accepted: the workers do it
            result = accept.try_for(tenant.id, txn, preferred.wait_s, caller=caller)
        return accept.accepted(txn, call.endpoints.base_url) if result is None else accept.result_answer(result)
    with bulk_call(tenant.id, caller.connection_id):
        work = BulkWork(_context(tenant, bearer_token()), call.endpoints, wanted, caller)
        work.do()
    found = answer(bulk_response(work.reports))
    if any(report["status"] == "503" for report in work.reports.values()):
        found.headers["Retry-After"] = RETRY_AFTER
    return found


def _context(tenant: Tenant, token: str) -> BulkContext:
    def authenticate_again(tx: Tx, _operation: BulkOperation, now: datetime) -> Caller:
        return authenticate(tx, tenant, token, now=now)

    return BulkContext(partial(open_transaction, tenant.id, holds_events=True), runtime().clock, authenticate_again)


@blueprint.get(f"/{accept.ENDPOINT}/<txn>")
def async_result(slug: str, txn: str) -> Response:
    """Return the result of an asynchronous request, to the connection that made it (RFC 9967 §2.5.1.1)."""
    with scim_call(slug) as (sent, call):
        return accept.read_result(call, txn, issuer=sent.issuer)


# --- discovery -------------------------------------------------------------------------------------------------


@blueprint.get("/ServiceProviderConfig")
def provider(slug: str) -> Response:
    """Return what this server supports."""
    with scim_call(slug) as (_, call):
        _refuse_a_filter()
    limit, additions, url = runtime().body_bytes_max, accepts_scim_by_name(), call.endpoints.base_url
    return answer(service_provider_config(url, metadata_url(url), limit, call.dialect, with_additions=additions))


@blueprint.get("/ResourceTypes", defaults={"kind": "ResourceTypes"})
@blueprint.get("/Schemas", defaults={"kind": "Schemas"})
def discover(slug: str, kind: str) -> Response:
    """Return all resource types or schemas."""
    with scim_call(slug) as (_, call):
        _refuse_a_filter()
        found = list(RENDERED[kind](call.endpoints).values())
    return answer(list_response(found))


@blueprint.get("/ResourceTypes/<name>", defaults={"kind": "ResourceTypes"})
@blueprint.get("/Schemas/<name>", defaults={"kind": "Schemas"})
def discover_one(slug: str, kind: str, name: str) -> Response:
    """Return one resource type or schema."""
    with scim_call(slug) as (_, call):
        found = RENDERED[kind](call.endpoints).get(name)
        if found is None:
            raise NotFound("no resource with this id")
    return answer(found)


RENDERED = {"ResourceTypes": render_resource_types, "Schemas": render_schemas}


def _refuse_a_filter() -> None:
    """Refuse a filter (RFC 7644 §4), or a client would take the answer for a filtered one. Raises ``NotAllowed``."""
    if request.args.get("filter") is not None:
        raise NotAllowed("filter is not supported on discovery endpoints", reason="discovery_filter")


# --- everything else ------------------------------------------------------------------------------

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@blueprint.route("/ServiceProviderConfig", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/ResourceTypes", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/Schemas", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/ResourceTypes/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/Schemas/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/", methods=["POST", "PUT", "PATCH", "DELETE"], strict_slashes=False)
@blueprint.route(f"/{accept.ENDPOINT}/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
def only_read(slug: str, name: str = "") -> Response:
    """Refuse a method that discovery, a result and the base URI do not have."""
    del name
    with scim_call(slug):
        pass
    return _method_not_allowed("GET")


@blueprint.route("/<endpoint>", methods=["PUT", "PATCH", "DELETE"])
@blueprint.route("/<endpoint>/<name>", methods=["POST"])
def not_done_here(slug: str, endpoint: str, name: str = "") -> Response:
    """Refuse a method that this endpoint does not have."""
    with scim_call(slug) as (_, call):
        call.type_at(endpoint)
    return _method_not_allowed("GET, PUT, PATCH, DELETE" if name else "GET, POST")


def _method_not_allowed(allowed: str) -> Response:
    refused = answer(error_body(405, f"{request.method} is not supported on this resource"), status=405)
    refused.headers["Allow"] = allowed  # RFC 9110 §15.5.6
    return refused


@blueprint.route("/<path:rest>", methods=METHODS)
def not_there(slug: str, rest: str) -> Response:
    """Refuse a path that no other route has, after the same authentication as everywhere."""
    del rest
    with scim_call(slug):
        raise NotFound("no endpoint at this path")


blueprint.register_error_handler(Refusal, on_refusal)
blueprint.register_error_handler(HTTPException, on_http_exception)
blueprint.register_error_handler(Exception, on_fault)
