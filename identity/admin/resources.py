"""Resource servers."""

from uuid import UUID

from identity.actions.resources import change_resource, delete_resource, get_resource, list_resources, register_resource
from identity.admin import requests, requests_resources, responses_resources
from identity.admin.endpoints import operation
from identity.admin.parsing import changes_in, cut_page, expected_version, read_cursor, write_cursor
from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.resource import DetailsType, ResourceServer


def _details_type(asked: str | requests.RestrictingType) -> DetailsType:
    return DetailsType(asked) if isinstance(asked, str) else DetailsType(asked.type, asked.scopes)


def _resource(server: ResourceServer) -> responses_resources.Resource:
    return responses_resources.Resource(
        id=server.id,
        audience=server.audience,
        principal_id=server.principal_id,
        scopes=list(server.scopes),
        authorization_details_types=[
            responses_resources.RestrictingType.model_validate(known) if known.scopes else known.type
            for known in server.authorization_details_types
        ],
        version=server.version,
        created_at=server.created_at,
    )


@operation(
    "POST", "/tenants/{tenant}/resources", body=requests.NewResource, answer=responses_resources.Resource, status=201
)
def register_resource_(call: Call, asked: requests.NewResource) -> responses_resources.Resource:
    """Register a resource server; saying the same again changes nothing."""
    registered = register_resource(
        call.tx,
        audience=asked.audience,
        principal_id=asked.principal_id,
        scopes=asked.scopes,
        authorization_details_types=tuple(map(_details_type, asked.authorization_details_types)),
        external_url=runtime().external_url,
        caller=call.caller,
        now=call.now,
    )
    return _resource(registered)


@operation(
    "GET", "/tenants/{tenant}/resources", query=requests_resources.ResourcePage, answer=responses_resources.ResourceList
)
def list_resources_(call: Call, page: requests_resources.ResourcePage) -> responses_resources.ResourceList:
    """List resource servers."""
    after = read_cursor(page.after)
    rows = list_resources(call.tx, audience=page.audience, after=after[0] if after else None, limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda resource: write_cursor(resource.audience))
    return responses_resources.ResourceList(items=[_resource(resource) for resource in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/resources/{resource_id}", answer=responses_resources.Resource)
def get_resource_(call: Call, resource_id: UUID) -> responses_resources.Resource:
    """Read one resource server."""
    return _resource(get_resource(call.tx, resource_id))


@operation(
    "PATCH",
    "/tenants/{tenant}/resources/{resource_id}",
    body=requests_resources.ResourceChange,
    answer=responses_resources.Resource,
)
def change_resource_(
    call: Call, asked: requests_resources.ResourceChange, resource_id: UUID
) -> responses_resources.Resource:
    """Change what a resource server offers, or who runs it; less than before ends the tokens that rest on it."""
    changes = changes_in(asked, "principal_id")
    if "authorization_details_types" in changes:
        changes["authorization_details_types"] = tuple(map(_details_type, changes["authorization_details_types"]))
    changed = change_resource(
        call.tx, resource_id, changes, expected_version=expected_version(), caller=call.caller, now=call.now
    )
    return _resource(changed)


@operation("DELETE", "/tenants/{tenant}/resources/{resource_id}")
def delete_resource_(call: Call, resource_id: UUID) -> None:
    """Delete a resource server, with its pairs, its clients, the delegations at it and the tokens for it."""
    delete_resource(call.tx, resource_id, caller=call.caller, now=call.now)
