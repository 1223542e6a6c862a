"""Resources as a client sends them, as they are stored, and as they are answered (RFC 7643 §3, RFC 7644 §3).

An answer is a projection of the stored JSON.
"""

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
    Profile,
    Reference,
    Resource,
    entity_tag,
    kind_of,
)
from scim.dialects import Dialect, body_with_window, check_schemas
from scim.errors import ScimType, refuse
from scim.resource.locations import Endpoints
from scim.resource.profile import make_profile, merge_immutable
from scim.resource.projection import EVERYTHING, Projection
from scim.schema.resource_types import Link, ResourceType, resource_type_of
from scim.schema.values import canonical_object, link_id

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """The resource in the body of a POST or PUT. Members and owners are None if the body has none or null."""

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
    """Return the objects under extensions' URNs, with top-level attributes that only one extension has."""
    found: dict[str, Json] = {}
    for key, value in sent.items():
        if value is None:
            continue
        if extension := type_.extensions.get(key.lower()):
            if not isinstance(value, dict):
                refuse(ScimType.INVALID_SYNTAX, "must be an object", extension.id)
            found.setdefault(extension.id, {}).update(value)
        elif extension := type_.extension_of(key):
            found.setdefault(extension.id, {}).setdefault(key, value)
    return found


def _links(type_: ResourceType, sent: Json, document: Json, name: str) -> frozenset[UUID] | None:
    """Return the ids that an attribute references; None if it is absent or null."""
    attribute = type_.rows(name)
    value = next((value for key, value in sent.items() if key.lower() == name), None)
    if attribute is None or value is None:
        return None
    return frozenset(link_id(attribute, link) for link in document.get(name, ()))


def _name_agent(type_: ResourceType, document: Json) -> None:
    """One draft names agents by ``name``, another by ``agentUserName``: a client may send either."""
    if type_.kind is Kind.AGENT and "agentUserName" not in document and "name" in document:
        document["agentUserName"] = document["name"]


def new_profile(sent: Sent, type_: ResourceType) -> Profile:
    """Return the profile of a resource to be created. Raises ``InvalidRequest``."""
    return make_profile(type_, sent.document, sent.owners or frozenset(), State.ACTIVE)


def replaced_profile(sent: Sent, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile after a PUT. Absent attributes are removed, except ``active`` and owners, which stay.

    Raises ``InvalidRequest``.
    """
    document = dict(sent.document)
    if "active" not in document and "active" in current.principal.document:
        document["active"] = current.principal.document["active"]
    document = merge_immutable(type_, current.principal.document, document)
    owners = sent.owners if sent.owners is not None else frozenset(owner.id for owner in current.owners)
    return make_profile(type_, document, owners, current.principal.state)


def patchable_document(current: Resource) -> Json:
    """Return the document that a PATCH changes: the stored one with the owners."""
    document = dict(current.principal.document)
    if current.owners:
        document["owners"] = [_stored_link(owner) for owner in current.owners]
    return document


def amended_profile(document: Json, type_: ResourceType, current: Resource) -> Profile:
    """Return the profile of a document after a PATCH. Raises ``InvalidRequest``."""
    attribute = type_.rows("owners")
    owners = frozenset(link_id(attribute, link) for link in document.get("owners", ())) if attribute else frozenset()
    stored = {key: value for key, value in document.items() if key not in type_.beside}
    return make_profile(type_, stored, owners, current.principal.state)


# --- answering -------------------------------------------------------------------------------------------------


def render(item: ListItem, type_: ResourceType, endpoints: Endpoints, projection: Projection = EVERYTHING) -> Json:
    """Return the JSON of a resource in an answer (RFC 7644 §3.4.1)."""
    found: Json = {"schemas": _schemas(type_, item.document), "id": item.id}
    found.update(_document(item.document, type_, endpoints))
    _render_active(found, type_, item.state)
    for name, links in (("members", item.members), ("owners", item.owners)):
        if links:
            shows_display = projection.requests(name, "display")
            found[name] = [_rendered_link(link, endpoints, shows_display) for link in links]
    if item.groups:
        found["groups"] = [_rendered_link(group, endpoints, True) | {"type": "direct"} for group in item.groups]
    found["meta"] = _meta(item, type_, endpoints)
    return projection.apply(found)


def _render_active(found: Json, type_: ResourceType, state: str) -> None:
    if type_.schema.attribute("active") is None:
        return
    if found.get("active", True) is None and state != State.SUSPENDED:
        del found["active"]  # the source has unassigned it
    else:
        found["active"] = state == State.ACTIVE


def _schemas(type_: ResourceType, document: Document) -> list[str]:
    extensions = (extension.id for extension in type_.extensions.values())
    return [type_.schema.id, *(urn for urn in extensions if urn in document)]


def _document(document: Document, type_: ResourceType, endpoints: Endpoints) -> Json:
    """Return the stored document with ``$ref`` in links, and without extensions that the type no longer has."""
    found = {key: value for key, value in document.items() if ":" not in key or key.lower() in type_.extensions}
    for link in type_.links:
        _add_ref(found, link, endpoints)
    return found


def _add_ref(found: Json, link: Link, endpoints: Endpoints) -> None:
    holder = found if link.extension is None else found.get(link.extension)
    target = endpoints.catalogue.named(link.resource_type)
    if target is None or not holder or link.name not in holder:
        return
    value = holder[link.name]
    if isinstance(value, list):
        written: Any = [_referred(each, target, endpoints) for each in value]
    else:
        written = _referred(value, target, endpoints)
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


def _meta(item: ListItem, type_: ResourceType, endpoints: Endpoints) -> Json:
    return {
        "resourceType": type_.name,
        "created": _shown(item.created_at),
        "lastModified": _shown(item.updated_at),
        "location": endpoints.location_at(type_, item.id),
        "version": entity_tag(item.version),
    }


def _shown(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
