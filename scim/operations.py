"""What a source does to a resource: create, replace, patch, delete. One meaning, whether alone or within a Bulk."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from identity.actions.provisioning import amend_principal, create_principal, delete_principal, get_principal
from identity.model.errors import NotFound
from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Resource
from identity.model.work import Work
from scim.call import ScimCall
from scim.conditions import Conditions
from scim.patch.request import apply_patch, parse_patch
from scim.resource.document import amended_profile, new_profile, patchable_document, read_resource, replaced_profile
from scim.resource.projection import Projection
from scim.schema.resource_types import ResourceType

Json = dict[str, Any]


def create(call: ScimCall, type_: ResourceType, body: Json, shown: Projection) -> Resource:
    """Create a resource (RFC 7644 §3.3)."""
    sent = read_resource(body, type_, call.dialect)
    members, profile = sent.members or frozenset(), new_profile(sent, type_)
    created = create_principal(call.tx, type_.kind, profile, members=members, caller=call.caller, now=call.now)
    call.entry.names(created.principal)
    call.entry.changed(created, 201)
    if members and shown.shows("members"):
        return get_principal(call.tx, type_.kind, created.principal.id, caller=call.caller)
    return created.after


def get(call: ScimCall, type_: ResourceType, resource_id: str, *, with_members: bool) -> Resource:
    """Return one resource (RFC 7644 §3.4.1). Raises ``NotFound``."""
    return get_principal(call.tx, type_.kind, parsed_id(resource_id), caller=call.caller, with_members=with_members)


def replace(
    call: ScimCall, type_: ResourceType, resource_id: str, body: Json, conditions: Conditions, shown: Projection
) -> Resource:
    """Replace a resource (RFC 7644 §3.5.1). The id is the URL's, whatever the body says."""
    sent = read_resource(body, type_, call.dialect)
    change = None if sent.members is None else MemberChange(replace=True, add=sent.members)

    def amend(current: Resource) -> Amendment:
        call.entry.names(current.principal)
        return Amendment(replaced_profile(sent, type_, current), change, is_whole=True)

    return _amend(call, type_, resource_id, amend, conditions, shown)


def patch(
    call: ScimCall,
    type_: ResourceType,
    resource_id: str,
    body: Json,
    conditions: Conditions,
    shown: Projection,
    *,
    within: Work | None = None,
) -> tuple[Resource, bool]:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2); return also whether to answer without a body.

    ``within`` is the budget of the request that this is a part of. Raises ``InvalidRequest``, ``NotFound``,
    ``LimitExceeded``.
    """
    wanted = parse_patch(body, type_, call.dialect, within)

    def amend(current: Resource) -> Amendment:
        call.entry.names(current.principal)
        document, change = apply_patch(wanted, patchable_document(current))
        return Amendment(amended_profile(document, type_, current), change)

    resource = _amend(call, type_, resource_id, amend, conditions, shown)
    # A group answers without its members, so an answer to a change of members would show only what did not change.
    silent = type_.kind is Kind.GROUP and (call.dialect.wants_no_body_of_a_group or wanted.touches_members)
    return resource, silent and shown.requested is None


def delete(call: ScimCall, type_: ResourceType, resource_id: str, conditions: Conditions) -> None:
    """Delete a resource (RFC 7644 §3.6)."""
    principal_id = parsed_id(resource_id)
    expected = _expected_version(call, type_, resource_id, conditions)
    delete_principal(call.tx, type_.kind, principal_id, expected_version=expected, caller=call.caller, now=call.now)
    call.entry.status = 204


def parsed_id(resource_id: str) -> UUID:
    """Return the id of a resource. Raises ``NotFound`` for a text that is no id of ours."""
    principal_id = parse_id(resource_id)
    if principal_id is None:
        raise NotFound("no resource with this id")
    return principal_id


def _amend(
    call: ScimCall,
    type_: ResourceType,
    resource_id: str,
    amend: Callable[[Resource], Amendment],
    conditions: Conditions,
    shown: Projection,
) -> Resource:
    principal_id = parsed_id(resource_id)
    expected = _expected_version(call, type_, resource_id, conditions)
    amended = amend_principal(
        call.tx, type_.kind, principal_id, amend, expected_version=expected, caller=call.caller, now=call.now
    )
    call.entry.changed(amended, 200)
    if shown.requested is not None and shown.shows("members") and type_.kind is Kind.GROUP:
        return get(call, type_, resource_id, with_members=True)
    return amended.after


def _expected_version(call: ScimCall, type_: ResourceType, resource_id: str, conditions: Conditions) -> int | None:
    """Return the version that must be there, or None where any will do. Raises ``NotFound``, ``PreconditionFailed``."""
    if conditions.is_absent:
        return None
    if (only := conditions.only_version) is not None:
        return only
    current = get(call, type_, resource_id, with_members=False).principal.version
    conditions.check(current)
    return current
