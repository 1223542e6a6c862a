"""One HTTP request at a tenant's SCIM endpoint, read once."""

from dataclasses import dataclass, replace
from typing import Any

from flask import request as http_request
from werkzeug.datastructures import Headers, MultiDict

from identity.edge.call import tenant_of
from identity.edge.request import read_body
from identity.edge.runtime import runtime
from identity.model.ids import parse_id
from identity.model.tenant import Tenant, issuer_of, scim_url_of
from scim.bulk.preferences import Preferences, parse_preferences
from scim.conditions import Conditions
from scim.errors import ScimType, refuse
from scim.json_body import parse_body
from scim.limits import ASYNC_WAIT_S_MAX, BYTES_PER_VALUE, VALUES_MAX
from scim.log_redaction import kept_path
from scim.provisioning_log import DraftEntry
from scim.resource.projection import Projection, parse_projection
from scim.schema.resource_types import ResourceType
from scim.search.query import PROJECTION_NAMES, Query, query_of_url, single_parameters

MEDIA_TYPES = ("application/scim+json", "application/json")  # accepted and answered: the first by default

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it was read before its transaction opened, so that no slow client holds a database connection.

    Its parts are parsed by the methods, after authentication: an unknown client learns nothing and costs nothing.
    """

    tenant: Tenant
    issuer: str
    body: bytes
    media_type: str
    parameters: MultiDict[str, str]
    headers: Headers
    entry: DraftEntry

    @property
    def base_url(self) -> str:
        """Return the URL of the tenant's SCIM endpoint, without a slash at its end."""
        return scim_url_of(self.issuer)

    @property
    def conditions(self) -> Conditions:
        """Return the preconditions (RFC 7644 §3.14)."""
        return Conditions(self.headers.get("If-Match"), self.headers.get("If-None-Match"))

    @property
    def preferences(self) -> Preferences:
        """Return the preferences (RFC 7240). No client waits longer than is offered."""
        found = parse_preferences(self.headers.getlist("Prefer"))
        return replace(found, wait_s=min(found.wait_s, ASYNC_WAIT_S_MAX))

    def document(self) -> Json:
        """Return the JSON object in the body, and enter it in the log. Raises ``InvalidRequest``, ``LimitExceeded``."""
        if self.media_type and self.media_type not in MEDIA_TYPES:
            refuse(ScimType.INVALID_SYNTAX, "the media type of the body must be application/scim+json")
        document = parse_body(self.body, max(VALUES_MAX, runtime().body_bytes_max // BYTES_PER_VALUE))
        self.entry.receives(document)
        return document

    def query(self) -> Query:
        """Return the query of a list. Raises ``InvalidRequest``."""
        return query_of_url(self.parameters)

    def projection(self, type_: ResourceType) -> Projection:
        """Return the attributes that the answer shows (RFC 7644 §3.9). Raises ``InvalidRequest``."""
        named = single_parameters(self.parameters, PROJECTION_NAMES)
        return parse_projection(named.get("attributes"), named.get("excludedAttributes"), type_)


def read_request(slug: str, *, has_body: bool = False) -> Request:
    """Return the present request. Raises ``NotFound`` without such a tenant; ``LimitExceeded``, ``InvalidRequest``."""
    body = read_body() if has_body else b""
    tenant = tenant_of(slug)
    return Request(
        tenant=tenant,
        issuer=issuer_of(runtime().external_url, tenant.slug),
        body=body,
        media_type=http_request.mimetype,
        parameters=http_request.args,
        headers=http_request.headers,
        entry=_draft_entry(),
    )


def _draft_entry() -> DraftEntry:
    id_ = (http_request.view_args or {}).get("resource_id")
    shape = ["{id}" if part == id_ else part for part in http_request.path.split("/")[5:]]  # after /t/{slug}/scim/v2
    is_query = bool(http_request.args) and http_request.method == "GET"
    return DraftEntry(
        method=http_request.method,
        path=kept_path("/" + "/".join(shape)),
        principal_id=None if id_ is None else parse_id(id_),
        sent=http_request.args.to_dict() if is_query else None,
        is_query=True,
    )
