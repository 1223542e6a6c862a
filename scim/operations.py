"""What a source does to a resource: create, replace, patch, delete. One meaning, whether alone or within a Bulk."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from identity.actions.provisioning import amend_principal, create_principal, delete_principal, get_principal
from identity.edge.call import Call
from identity.model.errors import NotFound
from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.principal import Amendment, Kind, Resource
from identity.model.work import Work
from scim.conditions import Conditions
from scim.patch.request import apply_patch, parse_patch
from scim.provisioning_log import note_created, note_status, noted
from scim.resource.document import amended_profile, new_profile, patchable_document, read_resource, replaced_profile
from scim.resource.projection import Projection
from scim.responses import dialect_of
from scim.schema.resource_types import ResourceType

Json = dict[str, Any]


def create(call: Call, type_: ResourceType, body: Json, shown: Projection) -> Resource:
    """Create a resource (RFC 7644 §3.3)."""
    sent = read_resource(body, type_, dialect_of(call))
    members = sent.members or frozenset()
    resource = create_principal(
        call.tx, type_.kind, new_profile(sent, type_), members=members, caller=call.caller, now=call.now
    )
    note_created(resource, members)
    if members and shown.shows("members"):
        return get_principal(call.tx, type_.kind, resource.principal.id, caller=call.caller)
    return resource


def get(call: Call, type_: ResourceType, resource_id: str, *, with_members: bool) -> Resource:
    """Return one resource (RFC 7644 §3.4.1). Raises ``NotFound``."""
    return get_principal(call.tx, type_.kind, parsed_id(resource_id), caller=call.caller, with_members=with_members)


def replace(
    call: Call, type_: ResourceType, resource_id: str, body: Json, conditions: Conditions, shown: Projection
) -> Resource:
    """Replace a resource (RFC 7644 §3.5.1). The id is the URL's, whatever the body says."""
    sent = read_resource(body, type_, dialect_of(call))
    change = None if sent.members is None else MemberChange(replace=True, add=sent.members)

    def amend(current: Resource) -> Amendment:
        return Amendment(replaced_profile(sent, type_, current), change, is_whole=True)

    return _amend(call, type_, resource_id, amend, conditions, shown)


def patch(
    call: Call,
    type_: ResourceType,
    resource_id: str,
    body: Json,
    conditions: Conditions,
    shown: Projection,
    *,
    within: Work | None = None,
) -> tuple[Resource, bool]:
    """Change a resource, by all operations or none (RFC 7644 §3.5.2); return also whether to answer without a body.

    ``within`` is what the request may cost of which this is a part. Raises ``InvalidRequest``, ``NotFound``,
    ``LimitExceeded``.
    """
    dialect = dialect_of(call)
    wanted = parse_patch(body, type_, dialect, within)

    def amend(current: Resource) -> Amendment:
        document, change = apply_patch(wanted, patchable_document(current))
        return Amendment(amended_profile(document, type_, current), change)

    resource = _amend(call, type_, resource_id, amend, conditions, shown)
    # A group answers without its members, so an answer to a change of members would tell only what did not change.
    silent = type_.kind is Kind.GROUP and (dialect.wants_no_body_of_a_group or wanted.touches_members)
    return resource, silent and shown.requested is None


def delete(call: Call, type_: ResourceType, resource_id: str, conditions: Conditions) -> None:
    """Delete a resource (RFC 7644 §3.6)."""
    principal_id = parsed_id(resource_id)
    expected = _expected_version(call, type_, resource_id, conditions)
    delete_principal(call.tx, type_.kind, principal_id, expected_version=expected, caller=call.caller, now=call.now)
    note_status(204)


def parsed_id(resource_id: str) -> UUID:
    """Return an id as ours; what cannot be one is not there. Raises ``NotFound``."""
    principal_id = parse_id(resource_id)
    if principal_id is None:
        raise NotFound("no resource with this id")
    return principal_id


def _amend(
    call: Call,
    type_: ResourceType,
    resource_id: str,
    amend: Callable[[Resource], Amendment],
    conditions: Conditions,
    shown: Projection,
) -> Resource:
    principal_id = parsed_id(resource_id)
    expected = _expected_version(call, type_, resource_id, conditions)
    resource = amend_principal(
        call.tx, type_.kind, principal_id, noted(amend), expected_version=expected, caller=call.caller, now=call.now
    )
    if shown.requested is not None and shown.shows("members") and type_.kind is Kind.GROUP:
        return get(call, type_, resource_id, with_members=True)
    return resource


def _expected_version(call: Call, type_: ResourceType, resource_id: str, conditions: Conditions) -> int | None:
    """Return the version that must be there, or None where any will do. Raises ``NotFound``, ``PreconditionFailed``."""
    if conditions.is_absent:
        return None
    if (only := conditions.only_version) is not None:
        return only
    current = get(call, type_, resource_id, with_members=False).principal.version
    conditions.check(current)
    return current
