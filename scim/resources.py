"""Between what a client sends, what is stored, and what is answered. Stored JSON is projected, never rebuilt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.errors import OverLimit
from identity.model.lifecycle import State
from identity.model.principal import Email, Kind, Principal, Profile, Reference, Resource
from scim.dialects import Dialect, body_with_window, check_schemas
from scim.errors import refuse
from scim.filter import parse_instant
from scim.limits import MEMBERS_MAX
from scim.members import link_id
from scim.projection import EVERYTHING, Projection
from scim.schemas import ResourceType, resource_type_of
from scim.values import canonical_object

BESIDE = frozenset({"members", "owners", "groups"})
"""Attributes that are rows beside a principal, and no part of its document."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a POST or PUT says. Members and owners are None where it does not speak of them."""

    document: Json
    members: frozenset[UUID] | None
    owners: frozenset[UUID] | None


def read_resource(body: Mapping[str, Any], type_: ResourceType, dialect: Dialect) -> Sent:
    """Return the canonical document in a body: read-only and unknown attributes are left out (RFC 7644 §3.3).

    Raises ``Malformed``.
    """
    sent = body_with_window(type_, dict(body))
    for rule in dialect.body_rules:
        sent = rule(type_, sent)
    check_schemas(type_, next((value for key, value in sent.items() if key.lower() == "schemas"), None))
    document = canonical_object(type_.schema.attributes, sent, dialect.value_rules, "")
    for urn, value in _extension_values(type_, sent).items():
        extension = type_.extensions[urn.lower()]
        if found := canonical_object(extension.attributes, value, dialect.value_rules, ""):
            document[extension.id] = found
    _name_agent(type_, document)
    return Sent(
        document={key: value for key, value in document.items() if key not in BESIDE},
        members=_links(type_, sent, document, "members"),
        owners=_links(type_, sent, document, "owners"),
    )


def _extension_values(type_: ResourceType, sent: Json) -> dict[str, Json]:
    """Return the objects under extensions' URNs, with what stands at the top that only one extension knows."""
    found: dict[str, Json] = {}
    for key, value in sent.items():
        if value is None:
            continue
        if extension := type_.extensions.get(key.lower()):
            if not isinstance(value, dict):
                refuse("invalidSyntax", "an object is wanted", extension.id)
            found[extension.id] = {**found.get(extension.id, {}), **value}
        elif extension := type_.extension_of(key):
            found.setdefault(extension.id, {}).setdefault(key, value)
    return found


def _links(type_: ResourceType, sent: Json, document: Json, name: str) -> frozenset[UUID] | None:
    """Return the ids under a name; null says nothing, [] says nobody."""
    attribute = type_.schema.attribute(name)
    spoken = next((value for key, value in sent.items() if key.lower() == name), None)
    if attribute is None or spoken is None:
        return None
    return frozenset(link_id(attribute, link) for link in document.get(name, ()))


def _name_agent(type_: ResourceType, document: Json) -> None:
    """One draft names agents by ``name``, another by ``agentUserName``: who sends one gets both."""
    if type_.kind is Kind.AGENT and "agentUserName" not in document and "name" in document:
        document["agentUserName"] = document["name"]


def new_profile(sent: Sent, type_: ResourceType) -> Profile:
    """Return the profile of a resource to be created. Raises ``Malformed``."""
    return _profile(type_, sent.document, sent.owners or frozenset(), State.ACTIVE)


def replaced_profile(sent: Sent, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile after a PUT: what it leaves out is gone, but ``active`` and owners are never guessed."""
    document = dict(sent.document)
    if "active" not in document and "active" in current.principal.document:
        document["active"] = current.principal.document["active"]
    owners = sent.owners if sent.owners is not None else frozenset(owner.id for owner in current.owners)
    return _profile(type_, document, owners, current.principal.state)


def working_document(current: Resource) -> Json:
    """Return the document on which PATCH works: the stored one, and the owners."""
    document = dict(current.principal.document)
    if current.owners:
        document["owners"] = [_stored_link(owner) for owner in current.owners]
    return document


def amended_profile(document: Json, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile that a working document describes. Raises ``Malformed``."""
    attribute = type_.schema.attribute("owners")
    links = document.get("owners", ())
    owners = frozenset(link_id(attribute, link) for link in links) if attribute else frozenset()
    stored = {key: value for key, value in document.items() if key not in BESIDE}
    return _profile(type_, stored, owners, current.principal.state)


def _profile(type_: ResourceType, document: Json, owners: frozenset[UUID], state: State) -> Profile:
    for attribute in type_.schema.attributes.values():
        if attribute.required and document.get(attribute.name) in (None, ""):
            refuse("invalidValue", "this attribute is required", attribute.name)
    active = document.get("active", True)
    return Profile(
        document=document,
        name=document[_NAMES[type_.kind]],
        external_id=document.get("externalId"),
        display_name=document.get("displayName"),
        active=state is not State.DEPROVISIONED if active is None else active,
        emails=_emails(document),
        owners=owners,
        valid_from=_instant(document.get("validity", {}).get("from")),
        valid_until=_instant(document.get("validity", {}).get("until")),
    )


_NAMES = {
    Kind.USER: "userName",
    Kind.GROUP: "displayName",
    Kind.AGENT: "agentUserName",
    Kind.SERVICE_ACCOUNT: "userName",
}


def _emails(document: Json) -> tuple[Email, ...]:
    found = document.get("emails", ())
    if len(found) > MEMBERS_MAX:
        raise OverLimit(f"emails: at most {MEMBERS_MAX} values")
    return tuple(Email(email["value"], email.get("type")) for email in found if "value" in email)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


# --- answering -------------------------------------------------------------------------------------------------


def etag(principal: Principal) -> str:
    """Return the weak entity tag of a principal (RFC 7644 §3.14)."""
    return f'W/"{principal.version}"'


def location(principal: Principal, base_url: str) -> str:
    """Return the URI of a principal."""
    return f"{base_url}{resource_type_of(principal.kind).endpoint}/{principal.id}"


def render(resource: Resource, base_url: str, projection: Projection = EVERYTHING) -> Json:
    """Return what is answered of a resource. ``base_url`` ends before the endpoint's slash."""
    principal = resource.principal
    type_ = resource_type_of(principal.kind)
    found: Json = {"schemas": _schemas(type_, principal), "id": str(principal.id)}
    found.update((key, _with_references(value, base_url)) for key, value in principal.document.items())
    _render_active(found, type_, principal)
    for name, references in (("members", resource.members), ("owners", resource.owners)):
        if references:
            shows_display = projection.asks_for(name, "display")
            found[name] = [_rendered_link(reference, base_url, shows_display) for reference in references]
    if resource.groups:
        found["groups"] = [_rendered_link(group, base_url, True) | {"type": "direct"} for group in resource.groups]
    found["meta"] = _meta(principal, type_, base_url)
    return projection.apply(found)


def _render_active(found: Json, type_: ResourceType, principal: Principal) -> None:
    if type_.schema.attribute("active") is None:
        return
    if found.get("active", True) is None and principal.state is not State.SUSPENDED:
        del found["active"]  # the source unassigned it
    else:
        found["active"] = principal.state is State.ACTIVE


def _schemas(type_: ResourceType, principal: Principal) -> list[str]:
    extensions = (extension.id for extension in type_.extensions.values())
    return [type_.schema.id, *(urn for urn in extensions if urn in principal.document)]


def _with_references(value: Any, base_url: str) -> Any:
    """The manager's URI is made of the id."""
    if isinstance(value, dict) and isinstance(manager := value.get("manager"), dict) and "value" in manager:
        return {**value, "manager": {**manager, "$ref": f"{base_url}/Users/{manager['value']}"}}
    return value


def _stored_link(reference: Reference) -> Json:
    return {"value": str(reference.id), "type": resource_type_of(reference.kind).name}


def _rendered_link(reference: Reference, base_url: str, shows_display: bool) -> Json:
    type_ = resource_type_of(reference.kind)
    link = {"value": str(reference.id), "$ref": f"{base_url}{type_.endpoint}/{reference.id}", "type": type_.name}
    if shows_display and reference.display_name is not None:
        link["display"] = reference.display_name
    return link


def _meta(principal: Principal, type_: ResourceType, base_url: str) -> Json:
    return {
        "resourceType": type_.name,
        "created": _shown(principal.created_at),
        "lastModified": _shown(principal.updated_at),
        "location": location(principal, base_url),
        "version": etag(principal),
    }


def _shown(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
