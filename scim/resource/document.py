"""Between what a client sends, what is stored, and what is answered. Stored JSON is projected, never rebuilt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.lifecycle import State
from identity.model.principal import (
    Document,
    Kind,
    ListItem,
    Named,
    Principal,
    Profile,
    Reference,
    Resource,
    kind_of,
)
from scim.dialects import Dialect, body_with_window, check_schemas
from scim.errors import refuse
from scim.patch.members import link_id
from scim.resource.locations import Endpoints
from scim.resource.profile import keep_immutable, make_profile
from scim.resource.projection import EVERYTHING, Projection
from scim.schema.resource_types import Link, ResourceType, resource_type_of
from scim.schema.values import canonical_object

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a POST or PUT says. Members and owners are None where it does not speak of them."""

    document: Json
    members: frozenset[UUID] | None
    owners: frozenset[UUID] | None


def read_resource(body: Mapping[str, Any], type_: ResourceType, dialect: Dialect) -> Sent:
    """Return the canonical document in a body: read-only and unknown attributes are left out (RFC 7644 §3.3).

    Raises ``InvalidRequest``.
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
        document={key: value for key, value in document.items() if key not in type_.beside},
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
                refuse("invalidSyntax", "must be an object", extension.id)
            found.setdefault(extension.id, {}).update(value)
        elif extension := type_.extension_of(key):
            found.setdefault(extension.id, {}).setdefault(key, value)
    return found


def _links(type_: ResourceType, sent: Json, document: Json, name: str) -> frozenset[UUID] | None:
    """Return the ids under a name; null says nothing, [] says nobody."""
    attribute = type_.rows(name)
    spoken = next((value for key, value in sent.items() if key.lower() == name), None)
    if attribute is None or spoken is None:
        return None
    return frozenset(link_id(attribute, link) for link in document.get(name, ()))


def _name_agent(type_: ResourceType, document: Json) -> None:
    """One draft names agents by ``name``, another by ``agentUserName``: who sends one gets both."""
    if type_.kind is Kind.AGENT and "agentUserName" not in document and "name" in document:
        document["agentUserName"] = document["name"]


def new_profile(sent: Sent, type_: ResourceType) -> Profile:
    """Return the profile of a resource to be created. Raises ``InvalidRequest``."""
    return make_profile(type_, sent.document, sent.owners or frozenset(), State.ACTIVE)


def replaced_profile(sent: Sent, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile after a PUT: what it leaves out is gone, but ``active`` and owners are never guessed."""
    document = dict(sent.document)
    if "active" not in document and "active" in current.principal.document:
        document["active"] = current.principal.document["active"]
    document = keep_immutable(type_, current.principal.document, document)
    owners = sent.owners if sent.owners is not None else frozenset(owner.id for owner in current.owners)
    return make_profile(type_, document, owners, current.principal.state)


def working_document(current: Resource) -> Json:
    """Return the document on which PATCH works: the stored one, and the owners."""
    document = dict(current.principal.document)
    if current.owners:
        document["owners"] = [_stored_link(owner) for owner in current.owners]
    return document


def amended_profile(document: Json, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile that a working document describes. Raises ``InvalidRequest``."""
    attribute = type_.rows("owners")
    links = document.get("owners", ()) if attribute else ()
    owners = frozenset(link_id(attribute, link) for link in links) if attribute else frozenset()
    stored = {key: value for key, value in document.items() if key not in type_.beside}
    return make_profile(type_, stored, owners, current.principal.state)


# --- answering -------------------------------------------------------------------------------------------------


def etag(principal: Principal) -> str:
    """Return the weak entity tag of a principal (RFC 7644 §3.14)."""
    return principal.entity_tag


def render(stored: ListItem, type_: ResourceType, endpoints: Endpoints, projection: Projection = EVERYTHING) -> Json:
    """Return what is answered of a resource of a type."""
    found: Json = {"schemas": _schemas(type_, stored.document), "id": stored.id}
    found.update(_document(stored.document, type_, endpoints))
    _render_active(found, type_, stored.state)
    for name, links in (("members", stored.members), ("owners", stored.owners)):
        if links:
            shows_display = projection.asks_for(name, "display")
            found[name] = [_rendered_link(link, endpoints, shows_display) for link in links]
    if stored.groups:
        found["groups"] = [_rendered_link(group, endpoints, True) | {"type": "direct"} for group in stored.groups]
    found["meta"] = _meta(stored, type_, endpoints)
    return projection.apply(found)


def _render_active(found: Json, type_: ResourceType, state: str) -> None:
    if type_.schema.attribute("active") is None:
        return
    if found.get("active", True) is None and state != State.SUSPENDED:
        del found["active"]  # the source unassigned it
    else:
        found["active"] = state == State.ACTIVE


def _schemas(type_: ResourceType, document: Document) -> list[str]:
    extensions = (extension.id for extension in type_.extensions.values())
    return [type_.schema.id, *(urn for urn in extensions if urn in document)]


def _document(document: Document, type_: ResourceType, endpoints: Endpoints) -> Json:
    """The stored document, without what no schema describes any more, and with the URIs of what it refers to."""
    found = {key: value for key, value in document.items() if ":" not in key or key.lower() in type_.extensions}
    for path in type_.links:
        _refer(found, path, endpoints)
    return found


def _refer(found: Json, link: Link, endpoints: Endpoints) -> None:
    """Write a link's URI, which is made of the id, where one resource type only can be meant."""
    holder = found if link.extension is None else found.get(link.extension)
    target = endpoints.catalogue.named(link.resource_type)
    if target is None or not holder or link.name not in holder:
        return
    value = holder[link.name]
    written = (
        [_referred(each, target, endpoints) for each in value]
        if isinstance(value, list)
        else (_referred(value, target, endpoints))
    )
    if link.extension is None:
        found[link.name] = written
    else:
        found[link.extension] = {**holder, link.name: written}


def _referred(value: Any, target: ResourceType, endpoints: Endpoints) -> Any:
    if not isinstance(value, dict) or "value" not in value:
        return value
    return {**value, "$ref": endpoints.location_at(target, value["value"])}


def _stored_link(reference: Reference) -> Json:
    return {"value": str(reference.id), "type": resource_type_of(reference.kind).name}


def _rendered_link(named: Named, endpoints: Endpoints, shows_display: bool) -> Json:
    id_, kind, display = named
    type_ = endpoints.catalogue.of(kind_of(kind))
    link: Json = {"value": id_}
    if type_ is not None:
        link |= {"$ref": endpoints.location_at(type_, id_), "type": type_.name}
    if shows_display and display is not None:
        link["display"] = display
    return link


def _meta(stored: ListItem, type_: ResourceType, endpoints: Endpoints) -> Json:
    return {
        "resourceType": type_.name,
        "created": _shown(stored.created_at),
        "lastModified": _shown(stored.updated_at),
        "location": endpoints.location_at(type_, stored.id),
        "version": f'W/"{stored.version}"',
    }


def _shown(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
