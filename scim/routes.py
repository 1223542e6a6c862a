"""SCIM over HTTP: /t/{tenant}/scim/v2/... Thin: read, act, answer."""

import json
import math
import re
from typing import Any

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from identity.actions.provisioning import (
    Found,
    amend_principal,
    create_principal,
    delete_principal,
    find_principals,
    get_principal,
)
from identity.http import Call, house, read_body, scim_call
from identity.model.errors import NotAllowed, NotThere, Refusal, Stale, TooOften
from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Resource
from scim.body import parse_body
from scim.dialects import Dialect, dialect_named
from scim.discovery import list_response, render_resource_types, render_schemas, service_provider_config
from scim.errors import error_body, refuse, render_refusal
from scim.filter import parse_filter
from scim.patch import apply_patch, parse_patch
from scim.projection import Projection, parse_projection
from scim.query import WHOLE_NUMBER, Query, query_of_body, query_of_url
from scim.resources import (
    amended_profile,
    etag,
    location,
    new_profile,
    read_resource,
    render,
    replaced_profile,
    working_document,
)
from scim.schemas import ResourceType, resource_types

MEDIA_TYPES = frozenset({"application/scim+json", "application/json"})
ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')

log = structlog.get_logger("scim")
blueprint = Blueprint("scim", __name__, url_prefix="/t/<slug>/scim/v2")

Json = dict[str, Any]
ENDPOINTS = "any(" + ", ".join(resource_types()) + ")"
DISCOVERY = "any(ServiceProviderConfig, ResourceTypes, Schemas)"


# --- resources -------------------------------------------------------------------------------------------------


@blueprint.post(f"/<{ENDPOINTS}:endpoint>")
def create(slug: str, endpoint: str) -> Response:
    """Create a resource (RFC 7644 §3.3)."""
    body, type_ = _body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        sent = read_resource(_json(body), type_, _dialect(call))
        shown = _projection(type_)
        members = sent.members or frozenset()
        resource = create_principal(
            call.tx, type_.kind, new_profile(sent, type_), members=members, caller=call.caller, now=call.now
        )
        if members and shown.shows("members"):
            resource = get_principal(call.tx, type_.kind, resource.principal.id, caller=call.caller)
    return _resource_answer(resource, slug, shown, status=201)


@blueprint.get(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def read(slug: str, endpoint: str, resource_id: str) -> Response:
    """Return one resource (RFC 7644 §3.4.1)."""
    type_ = resource_types()[endpoint]
    with scim_call(slug) as call:
        shown = _projection(type_)
        resource = _get(call, type_, resource_id, with_members=shown.shows("members"))
    if _is_known(request.headers.get("If-None-Match"), resource):
        return Response(status=304, headers={"ETag": etag(resource.principal)})
    return _resource_answer(resource, slug, shown)


@blueprint.get(f"/<{ENDPOINTS}:endpoint>")
def find(slug: str, endpoint: str) -> Response:
    """Return one page of the resources that satisfy a filter (RFC 7644 §3.4.2)."""
    with scim_call(slug) as call:
        query = query_of_url(request.args)
        found, shown = _found(call, resource_types()[endpoint], query)
    return _page(slug, found, shown, query)


@blueprint.post(f"/<{ENDPOINTS}:endpoint>/.search")
def search(slug: str, endpoint: str) -> Response:
    """The same with the query in the body, where no log of URLs sees it (RFC 7644 §3.4.3)."""
    body = _body()
    with scim_call(slug) as call:
        query = query_of_body(_json(body))
        found, shown = _found(call, resource_types()[endpoint], query)
    return _page(slug, found, shown, query)


@blueprint.post("/.search")
def search_everything(slug: str) -> Response:
    """Several resource types at once are not searched (RFC 7644 §3.4.3 leaves it to the server)."""
    with scim_call(slug):
        pass
    return _answer(error_body(501, "search one resource type: /Users/.search"), status=501)


def _found(call: Call, type_: ResourceType, query: Query) -> tuple[Found, Projection]:
    shown = parse_projection(query.attributes, query.excluded_attributes, type_)
    condition = None if query.filter is None else parse_filter(query.filter, type_)
    found = find_principals(
        call.tx,
        type_.kind,
        condition,
        offset=query.start_index - 1,
        limit=query.count,
        caller=call.caller,
        with_members=shown.shows("members"),
    )
    return found, shown


def _page(slug: str, found: Found, shown: Projection, query: Query) -> Response:
    base_url = _base_url(slug)
    page = [render(resource, base_url, shown) for resource in found.resources]
    return _answer(list_response(page, total=found.total, start_index=query.start_index))


@blueprint.put(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def replace(slug: str, endpoint: str, resource_id: str) -> Response:
    """Replace a resource (RFC 7644 §3.5.1). The id is the URL's, whatever the body says."""
    body, type_ = _body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        sent = read_resource(_json(body), type_, _dialect(call))
        shown = _projection(type_)
        change = None if sent.members is None else MemberChange(replace=True, add=sent.members)

        def amend(current: Resource) -> Amendment:
            return Amendment(replaced_profile(sent, type_, current), change)

        resource = _amend(call, type_, resource_id, amend, shown)
    return _resource_answer(resource, slug, shown)


@blueprint.patch(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def patch(slug: str, endpoint: str, resource_id: str) -> Response:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2)."""
    body, type_ = _body(), resource_types()[endpoint]
    with scim_call(slug) as call:
        dialect = _dialect(call)
        wanted = parse_patch(_json(body), type_, dialect)
        shown = _projection(type_)

        def amend(current: Resource) -> Amendment:
            document, change = apply_patch(wanted, working_document(current))
            return Amendment(amended_profile(document, type_, current), change)

        resource = _amend(call, type_, resource_id, amend, shown)
    asks = shown.asked is not None
    # A group answers without its members, so an answer to a change of members would tell only what did not change.
    silent = type_.kind is Kind.GROUP and (dialect.wants_no_body_of_a_group or wanted.touches_members)
    if silent and not asks:
        return Response(status=204, headers=_headers(resource, slug))
    return _resource_answer(resource, slug, shown)


@blueprint.delete(f"/<{ENDPOINTS}:endpoint>/<resource_id>")
def delete(slug: str, endpoint: str, resource_id: str) -> Response:
    """Delete a resource (RFC 7644 §3.6)."""
    type_ = resource_types()[endpoint]
    with scim_call(slug) as call:
        principal_id = parse_id(resource_id)
        if principal_id is None:
            raise NotThere("there is no such resource")
        expected = _expected_version(call, type_, resource_id)
        delete_principal(call.tx, type_.kind, principal_id, expected_version=expected, caller=call.caller, now=call.now)
    return Response(status=204)


# --- discovery -------------------------------------------------------------------------------------------------


@blueprint.get("/ServiceProviderConfig")
def provider(slug: str) -> Response:
    """Return what this server supports."""
    with scim_call(slug):
        _refuse_a_filter()
    return _answer(service_provider_config(_base_url(slug), house().body_bytes_max))


@blueprint.get("/<any(ResourceTypes, Schemas):endpoint>")
def discover(slug: str, endpoint: str) -> Response:
    """Return all resource types or schemas."""
    with scim_call(slug):
        _refuse_a_filter()
    found = list(_discovered(slug, endpoint).values())
    return _answer(list_response(found, total=len(found), start_index=1))


@blueprint.get("/<any(ResourceTypes, Schemas):endpoint>/<name>")
def discover_one(slug: str, endpoint: str, name: str) -> Response:
    """Return one resource type or schema."""
    with scim_call(slug):
        found = _discovered(slug, endpoint).get(name)
        if found is None:
            raise NotThere("there is no such resource")
    return _answer(found)


def _discovered(slug: str, endpoint: str) -> dict[str, Json]:
    base_url = _base_url(slug)
    return render_schemas(base_url) if endpoint == "Schemas" else render_resource_types(base_url)


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
    answer = _answer(error_body(405, f"{request.method} is not done here"), status=405)
    of_resources = "GET, PUT, PATCH, DELETE" if name else "GET, POST"
    answer.headers["Allow"] = of_resources if endpoint in resource_types() else "GET"  # RFC 9110 §15.5.6
    return answer


@blueprint.route("/", defaults={"rest": ""}, methods=METHODS, strict_slashes=False)
@blueprint.route("/<path:rest>", methods=METHODS)
def not_there(slug: str, rest: str) -> Response:
    """Answer what no other route does, after the same authentication as everything else."""
    del rest
    with scim_call(slug):
        raise NotThere("there is no such endpoint")


# --- parts of requests and answers -----------------------------------------------------------------------------


def _dialect(call: Call) -> Dialect:
    return dialect_named(call.caller.dialect)


def _body() -> bytes:
    """Read the body before the transaction opens: a slow client shall hold no connection of the database."""
    return read_body()


def _json(body: bytes) -> Json:
    if request.mimetype and request.mimetype not in MEDIA_TYPES:
        refuse("invalidSyntax", "the body's type is application/scim+json")
    return parse_body(body)


def _projection(type_: ResourceType) -> Projection:
    query = query_of_url(request.args)
    return parse_projection(query.attributes, query.excluded_attributes, type_)


def _get(call: Call, type_: ResourceType, resource_id: str, *, with_members: bool) -> Resource:
    principal_id = parse_id(resource_id)
    if principal_id is None:
        raise NotThere("there is no such resource")
    return get_principal(call.tx, type_.kind, principal_id, caller=call.caller, with_members=with_members)


def _amend(call: Call, type_: ResourceType, resource_id: str, amend: Any, shown: Projection) -> Resource:
    principal_id = parse_id(resource_id)
    if principal_id is None:
        raise NotThere("there is no such resource")
    expected = _expected_version(call, type_, resource_id)
    resource = amend_principal(
        call.tx, type_.kind, principal_id, amend, expected_version=expected, caller=call.caller, now=call.now
    )
    if shown.asked is not None and shown.shows("members") and type_.kind is Kind.GROUP:
        return _get(call, type_, resource_id, with_members=True)
    return resource


def _expected_version(call: Call, type_: ResourceType, resource_id: str) -> int | None:
    """Return the version that ``If-Match`` demands (RFC 7644 §3.14): weak tags compare like strong ones."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    tags = [tag for tag in ENTITY_TAG.findall(header) if WHOLE_NUMBER.fullmatch(tag)]
    if len(tags) == 1:
        return int(tags[0])
    current = _get(call, type_, resource_id, with_members=False).principal.version
    if str(current) not in tags:
        raise Stale("the resource has changed since the version in If-Match")
    return current


def _is_known(header: str | None, resource: Resource) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or str(resource.principal.version) in ENTITY_TAG.findall(header)


def _base_url(slug: str) -> str:
    return f"{house().external_url.rstrip('/')}/t/{slug}/scim/v2"


def _headers(resource: Resource, slug: str) -> dict[str, str]:
    where = location(resource.principal, _base_url(slug))
    return {"ETag": etag(resource.principal), "Content-Location": where}


def _resource_answer(resource: Resource, slug: str, shown: Projection, *, status: int = 200) -> Response:
    answer = _answer(render(resource, _base_url(slug), shown), status=status)
    answer.headers.update(_headers(resource, slug))
    if status == 201:
        answer.headers["Location"] = answer.headers["Content-Location"]
    return answer


def _answer(body: Json, *, status: int = 200) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status=status, content_type="application/scim+json")


# --- errors ----------------------------------------------------------------------------------------------------


@blueprint.errorhandler(Refusal)
def on_refusal(refusal: Refusal) -> Response:
    """Answer a refusal as a SCIM error."""
    body, status = render_refusal(refusal)
    answer = _answer(body, status=status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="scim"'
    if status == 503:
        answer.headers["Retry-After"] = "5"
    if isinstance(refusal, TooOften):
        answer.headers["Retry-After"] = str(math.ceil(refusal.wait_s))
    return answer


@blueprint.errorhandler(HTTPException)
def on_http_exception(error: HTTPException) -> Response:
    """Answer what Werkzeug refuses (a broken request stream, a media type) as a SCIM error."""
    status = error.code or 500
    return _answer(error_body(status, error.name), status=status)


@blueprint.errorhandler(Exception)
def on_fault(error: Exception) -> Response:
    """Answer a fault of ours with nothing but that it is one; what it was is in the log."""
    log.exception("scim_fault", exc_info=error)
    return _answer(error_body(500, "this is our fault; it has been logged"), status=500)
