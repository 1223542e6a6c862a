"""SCIM over HTTP: /t/{tenant}/scim/v2/... Thin: read, act, answer."""

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from identity.edge.call import Call, tenant_of
from identity.edge.request import bearer_token
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import NotAllowed, NotFound, RateLimited, Refusal
from identity.model.tenant import Tenant
from scim import operations
from scim.bulk import accept
from scim.bulk.execute import BulkContext, BulkWork, bulk_response
from scim.bulk.request import BulkOperation, parse_bulk
from scim.call import authenticate, bulk_call
from scim.challenge import metadata_url
from scim.conditions import Conditions
from scim.discovery import list_response, render_resource_types, render_schemas, service_provider_config
from scim.errors import error_body
from scim.provisioning_log import note_status, note_type, scim_call
from scim.resource.locations import Endpoints, base_url, endpoints_of
from scim.resource.projection import Projection, parse_projection
from scim.responses import (
    RETRY_AFTER,
    answer,
    asks_for_scim,
    dialect_of,
    on_fault,
    on_http_exception,
    on_refusal,
    resource_answer,
    resource_headers,
    sent_body,
    sent_json,
)
from scim.schema.resource_types import ResourceType
from scim.search.page import find_page, render_page
from scim.search.query import query_of_body, query_of_url

__all__ = ["blueprint", "on_http_exception"]

blueprint = Blueprint("scim", __name__, url_prefix="/t/<slug>/scim/v2")

Json = dict[str, Any]

# --- resources -------------------------------------------------------------------------------------------------


@blueprint.post("/<endpoint>")
def create(slug: str, endpoint: str) -> Response:
    """Create a resource (RFC 7644 §3.3)."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        sent, shown = sent_json(body), _projection(type_)
        resource = operations.create(call, type_, sent, shown)
    return resource_answer(resource, type_, endpoints, shown, status=201)


@blueprint.get("/<endpoint>/<resource_id>")
def read(slug: str, endpoint: str, resource_id: str) -> Response:
    """Return one resource (RFC 7644 §3.4.1)."""
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        shown = _projection(type_)
        resource = operations.get(call, type_, resource_id, with_members=shown.shows("members"))
        is_known = _conditions().is_known(resource.principal.version)
    if is_known:
        return Response(status=304, headers={"ETag": resource.principal.entity_tag})
    return resource_answer(resource, type_, endpoints, shown)


@blueprint.put("/<endpoint>/<resource_id>")
def replace(slug: str, endpoint: str, resource_id: str) -> Response:
    """Replace a resource (RFC 7644 §3.5.1)."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        sent, shown = sent_json(body), _projection(type_)
        resource = operations.replace(call, type_, resource_id, sent, _conditions(), shown)
    return resource_answer(resource, type_, endpoints, shown)


@blueprint.patch("/<endpoint>/<resource_id>")
def patch(slug: str, endpoint: str, resource_id: str) -> Response:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2)."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        sent, shown = sent_json(body), _projection(type_)
        conditions, txn = _conditions(), None
        # What If-None-Match says is of this moment, so it is answered in this moment.
        if accept.preferred().respond_async and accept.is_large(sent) and not conditions.if_none_match:
            txn = accept.accept_patch(call, slug, type_, resource_id, sent, conditions.if_match)
        else:
            resource, silent = operations.patch(call, type_, resource_id, sent, conditions, shown)
            note_status(204 if silent else 200)
    if txn is not None:
        return accept.accepted(txn, slug)
    if silent:
        return Response(status=204, headers=resource_headers(resource, type_, endpoints))
    return resource_answer(resource, type_, endpoints, shown)


@blueprint.delete("/<endpoint>/<resource_id>")
def delete(slug: str, endpoint: str, resource_id: str) -> Response:
    """Delete a resource (RFC 7644 §3.6)."""
    with scim_call(slug) as call:
        _, type_ = _asked(call, slug, endpoint)
        operations.delete(call, type_, resource_id, _conditions())
    return Response(status=204)


# --- lists -----------------------------------------------------------------------------------------------------


@blueprint.get("/<endpoint>")
def find(slug: str, endpoint: str) -> Response:
    """Return one page of the resources that satisfy a filter (RFC 7644 §3.4.2)."""
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        page = find_page(call, query_of_url(request.args), [type_])
    return answer(render_page(page, endpoints))


@blueprint.get("/", strict_slashes=False)
def find_everything(slug: str) -> Response:
    """The same of all resource types together (RFC 7644 §3.4.2.1)."""
    with scim_call(slug) as call:
        endpoints = endpoints_of(call, slug)
        page = find_page(call, query_of_url(request.args), list(endpoints.catalogue.types.values()))
    return answer(render_page(page, endpoints))


@blueprint.post("/<endpoint>/.search")
def search(slug: str, endpoint: str) -> Response:
    """The same with the query in the body, where no log of URLs sees it (RFC 7644 §3.4.3)."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints, type_ = _asked(call, slug, endpoint)
        page = find_page(call, query_of_body(sent_json(body)), [type_])
    return answer(render_page(page, endpoints))


@blueprint.post("/.search")
def search_everything(slug: str) -> Response:
    """The same for all resource types together."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints = endpoints_of(call, slug)
        page = find_page(call, query_of_body(sent_json(body)), list(endpoints.catalogue.types.values()))
    return answer(render_page(page, endpoints))


@blueprint.route("/Me", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def me(slug: str) -> Response:
    """RFC 7644 §3.11: who calls is a connection, which is no principal that there could be an alias for."""
    with scim_call(slug):
        pass
    return answer(
        error_body(501, "/Me is not supported: the caller is a connection and not a user; use the id of the user"),
        status=501,
    )


@blueprint.post("/Bulk")
def bulk(slug: str) -> Response:
    """Do several operations, each by itself (RFC 7644 §3.7). The request's own transaction ends before the first."""
    body = sent_body()
    with scim_call(slug) as call:
        endpoints, sent, caller = endpoints_of(call, slug), sent_json(body), call.caller
        wanted, preferred = parse_bulk(sent, endpoints.catalogue), accept.preferred()
        txn = accept.accept_bulk(call, slug, sent, preferred.wait_s) if preferred.respond_async else None
    tenant = tenant_of(slug)
    if txn is not None:
        result = None
        with suppress(RateLimited), bulk_call(tenant.id, caller.connection_id):  # it is kept: the workers will do it
            result = accept.try_for(tenant.id, txn, preferred.wait_s, caller=caller)
        return accept.accepted(txn, slug) if result is None else accept.result_answer(result)
    with bulk_call(tenant.id, caller.connection_id):
        work = BulkWork(_ground(tenant, bearer_token()), endpoints, wanted, caller)
        work.do()
    found = answer(bulk_response(work.reports))
    if any(report["status"] == "503" for report in work.reports.values()):
        found.headers["Retry-After"] = RETRY_AFTER
    return found


def _ground(tenant: Tenant, token: str) -> BulkContext:
    def who(tx: Tx, _operation: BulkOperation, now: datetime) -> Caller:
        return authenticate(tx, tenant, token, now=now)

    return BulkContext(partial(open_transaction, tenant.id, holds_events=True), runtime().clock, who)


@blueprint.get(f"/{accept.ENDPOINT}/<txn>")
def async_result(slug: str, txn: str) -> Response:
    """Return what became of an asynchronous request, to the connection that made it (RFC 9967 §2.5.1.1)."""
    with scim_call(slug) as call:
        return accept.read_result(call, slug, txn)


# --- discovery -------------------------------------------------------------------------------------------------


@blueprint.get("/ServiceProviderConfig")
def provider(slug: str) -> Response:
    """Return what this server supports."""
    with scim_call(slug) as call:
        _refuse_a_filter()
        dialect = dialect_of(call)
    limit, additions = runtime().body_bytes_max, asks_for_scim()
    return answer(service_provider_config(base_url(slug), metadata_url(slug), limit, dialect, with_additions=additions))


@blueprint.get("/ResourceTypes", defaults={"kind": "ResourceTypes"})
@blueprint.get("/Schemas", defaults={"kind": "Schemas"})
def discover(slug: str, kind: str) -> Response:
    """Return all resource types or schemas."""
    with scim_call(slug) as call:
        _refuse_a_filter()
        found = list(RENDERED[kind](endpoints_of(call, slug)).values())
    return answer(list_response(found))


@blueprint.get("/ResourceTypes/<name>", defaults={"kind": "ResourceTypes"})
@blueprint.get("/Schemas/<name>", defaults={"kind": "Schemas"})
def discover_one(slug: str, kind: str, name: str) -> Response:
    """Return one resource type or schema."""
    with scim_call(slug) as call:
        found = RENDERED[kind](endpoints_of(call, slug)).get(name)
        if found is None:
            raise NotFound("no resource with this id")
    return answer(found)


RENDERED = {"ResourceTypes": render_resource_types, "Schemas": render_schemas}


def _refuse_a_filter() -> None:
    """RFC 7644 §4: a filter here is answered as forbidden, lest a client take the answer for a filtered one."""
    if request.args.get("filter") is not None:
        raise NotAllowed("filter is not supported on discovery endpoints", reason="discovery_filter")


# --- everything that is not there ------------------------------------------------------------------------------

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@blueprint.route("/ServiceProviderConfig", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/ResourceTypes", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/Schemas", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/ResourceTypes/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/Schemas/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
@blueprint.route("/", methods=["POST", "PUT", "PATCH", "DELETE"], strict_slashes=False)
@blueprint.route(f"/{accept.ENDPOINT}/<name>", methods=["POST", "PUT", "PATCH", "DELETE"])
def only_read(slug: str, name: str = "") -> Response:
    """Answer a method that discovery, a result and the base URI do not have."""
    del name
    with scim_call(slug):
        pass
    return _not_done_here("GET")


@blueprint.route("/<endpoint>", methods=["PUT", "PATCH", "DELETE"])
@blueprint.route("/<endpoint>/<name>", methods=["POST"])
def not_done_here(slug: str, endpoint: str, name: str = "") -> Response:
    """Answer a method that this endpoint does not have."""
    with scim_call(slug) as call:
        _asked(call, slug, endpoint)
    return _not_done_here("GET, PUT, PATCH, DELETE" if name else "GET, POST")


def _not_done_here(allowed: str) -> Response:
    refused = answer(error_body(405, f"{request.method} is not supported on this resource"), status=405)
    refused.headers["Allow"] = allowed  # RFC 9110 §15.5.6
    return refused


@blueprint.route("/<path:rest>", methods=METHODS)
def not_there(slug: str, rest: str) -> Response:
    """Answer what no other route does, after the same authentication as everything else."""
    del rest
    with scim_call(slug):
        raise NotFound("no endpoint at this path")


# --- parts of requests -----------------------------------------------------------------------------------------


def _asked(call: Call, slug: str, endpoint: str) -> tuple[Endpoints, ResourceType]:
    """Return where the tenant's resources are, and the type of those at an endpoint. Raises ``NotFound``."""
    endpoints = endpoints_of(call, slug)
    type_ = endpoints.catalogue.at(endpoint)
    note_type(type_)
    return endpoints, type_


def _projection(type_: ResourceType) -> Projection:
    query = query_of_url(request.args)
    return parse_projection(query.attributes, query.excluded_attributes, type_)


def _conditions() -> Conditions:
    return Conditions(request.headers.get("If-Match"), request.headers.get("If-None-Match"))


blueprint.register_error_handler(Refusal, on_refusal)
blueprint.register_error_handler(HTTPException, on_http_exception)
blueprint.register_error_handler(Exception, on_fault)
