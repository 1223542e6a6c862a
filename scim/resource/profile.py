"""From a document to the profile that the core stores: what must be there, what is unique, what never changes."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.errors import LimitExceeded
from identity.model.lifecycle import State
from identity.model.principal import Email, Kind, Profile, UniqueKey
from identity.model.query import fold
from scim.errors import refuse
from scim.filter.resolve import parse_instant
from scim.limits import DOCUMENT_BYTES_MAX, MEMBERS_MAX, UNIQUE_CHARACTERS_MAX
from scim.schema.resource_types import Attribute, ResourceType

Json = dict[str, Any]
Path = tuple[str, ...]

NAMES = {
    Kind.USER: "userName",
    Kind.GROUP: "displayName",
    Kind.AGENT: "agentUserName",
    Kind.SERVICE_ACCOUNT: "userName",
}
WINDOWED = frozenset({Kind.AGENT, Kind.SERVICE_ACCOUNT})


def make_profile(type_: ResourceType, document: Json, owners: frozenset[UUID], state: State) -> Profile:
    """Return the profile that a document describes. Raises ``InvalidRequest``, ``LimitExceeded``."""
    check_required(type_, document)
    check_size(document)
    active = document.get("active", True)
    window = document.get("validity", {}) if type_.kind in WINDOWED else {}
    return Profile(
        document=document,
        name=str(document.get(NAMES.get(type_.kind, "displayName"), "")),
        external_id=document.get("externalId"),
        display_name=document.get("displayName"),
        active=state is not State.DEPROVISIONED if active is None else active,
        emails=_emails(document) if type_.kind is Kind.USER else (),
        owners=owners,
        valid_from=_instant(window.get("from")),
        valid_until=_instant(window.get("until")),
        keys=frozenset(_keys(type_, document)) if type_.unique else None,
    )


def check_size(document: Json) -> None:
    """Refuse a document that is larger than a body may be which says it. Raises ``LimitExceeded``."""
    if len(json.dumps(document, ensure_ascii=False).encode()) > DOCUMENT_BYTES_MAX:
        raise LimitExceeded(f"a resource must have at most {DOCUMENT_BYTES_MAX} bytes")


def check_required(type_: ResourceType, document: Json) -> None:
    """Refuse a document that lacks what its schemas require (RFC 7643 §2.2, §6). Raises ``InvalidRequest``."""
    _check_required(type_.schema.attributes, document, "")
    for key, extension in type_.extensions.items():
        if (values := document.get(extension.id)) is not None:
            _check_required(extension.attributes, values, f"{extension.id}:")
        elif key in type_.required_extensions:
            refuse("invalidValue", "the extension is required", extension.id)


def _check_required(attributes: Mapping[str, Attribute], values: Json, within: str) -> None:
    for attribute in attributes.values():
        value = values.get(attribute.name)
        if attribute.required and value in (None, ""):
            refuse("invalidValue", "the attribute is required", within + attribute.name)
        if attribute.is_complex and value:
            _check_required_parts(attribute, value if isinstance(value, list) else [value], within)


def _check_required_parts(attribute: Attribute, elements: list[Json], within: str) -> None:
    required = [sub.name for sub in attribute.sub_attributes.values() if sub.required]
    for element in elements if required else ():
        for name in required:
            if element.get(name) in (None, ""):
                refuse("invalidValue", "the attribute is required", f"{within}{attribute.name}.{name}")


def _keys(type_: ResourceType, document: Json) -> Iterator[UniqueKey]:
    for extension, attribute in type_.unique:
        value = (document if extension is None else document.get(extension, {})).get(attribute.name)
        if value in (None, ""):
            continue
        name = attribute.name if extension is None else f"{extension}:{attribute.name}"
        compared = value if attribute.case_exact or len(value) > UNIQUE_CHARACTERS_MAX else fold(value)
        if max(len(value), len(compared)) > UNIQUE_CHARACTERS_MAX:
            refuse("invalidValue", f"a unique value must have at most {UNIQUE_CHARACTERS_MAX} characters", name)
        yield UniqueKey(name, compared)


def _emails(document: Json) -> tuple[Email, ...]:
    found = document.get("emails", ())
    if len(found) > MEMBERS_MAX:
        raise LimitExceeded(f"emails: must have at most {MEMBERS_MAX} values")
    return tuple(Email(email["value"], email.get("type")) for email in found if "value" in email)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


# --- what never changes ----------------------------------------------------------------------------------------


def keep_immutable(type_: ResourceType, old: Mapping[str, Any], new: Json) -> Json:
    """Return a new document with what it leaves out of the immutable (RFC 7644 §3.5.1). Raises ``InvalidRequest``."""
    for path in type_.immutable:
        was, found = _at(old, path), _at(new, path)
        if was is None or was == found:
            continue
        if found is not None:
            refuse("mutability", "the attribute is immutable and has a value", ".".join(path))
        new = _with(new, path, was)
    return new


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def _with(document: Json, path: Path, value: Any) -> Json:
    if len(path) == 1:
        return {**document, path[0]: value}
    return {**document, path[0]: _with(document.get(path[0], {}), path[1:], value)}
