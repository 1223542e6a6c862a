"""From a document to the profile that the core stores: required, unique and immutable attributes (RFC 7643 §2.2)."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.errors import LimitExceeded
from identity.model.lifecycle import State
from identity.model.principal import NAME_ATTRIBUTES, Email, Kind, Profile, UniqueKey
from identity.model.query import fold, value_at
from identity.model.schema import Attribute
from scim.errors import ScimType, refuse
from scim.limits import DOCUMENT_BYTES_MAX, MEMBERS_MAX, UNIQUE_CHARACTERS_MAX
from scim.schema.resource_types import AttributePath, ResourceType
from scim.schema.values import parse_instant

Json = dict[str, Any]

WINDOWED = frozenset({Kind.AGENT, Kind.SERVICE_ACCOUNT})


def make_profile(type_: ResourceType, document: Json, owners: frozenset[UUID], state: State) -> Profile:
    """Return the profile that a document describes. Raises ``InvalidRequest``, ``LimitExceeded``."""
    check_required(type_, document)
    if len(json.dumps(document, ensure_ascii=False).encode()) > DOCUMENT_BYTES_MAX:
        raise LimitExceeded(f"a resource must have at most {DOCUMENT_BYTES_MAX} bytes")
    active = document.get("active", True)
    window = document.get("validity", {}) if type_.kind in WINDOWED else {}
    return Profile(
        document=document,
        name=str(document.get(NAME_ATTRIBUTES.get(type_.kind, "displayName"), "")),
        external_id=document.get("externalId"),
        display_name=document.get("displayName"),
        active=state is not State.DEPROVISIONED if active is None else active,
        emails=_emails(document) if type_.kind is Kind.USER else (),
        owners=owners,
        valid_from=_instant(window.get("from")),
        valid_until=_instant(window.get("until")),
        keys=frozenset(_keys(type_, document)) if type_.unique else None,
    )


def check_required(type_: ResourceType, document: Json) -> None:
    """Refuse a document without a required attribute or extension (RFC 7643 §2.2, §6). Raises ``InvalidRequest``."""
    _check_required(type_.schema.attributes, document, "")
    for key, extension in type_.extensions.items():
        if (values := document.get(extension.id)) is not None:
            _check_required(extension.attributes, values, f"{extension.id}:")
        elif key in type_.required_extensions:
            refuse(ScimType.INVALID_VALUE, "the extension is required", extension.id)


def _check_required(attributes: Mapping[str, Attribute], values: Json, within: str) -> None:
    for attribute in attributes.values():
        value = values.get(attribute.name)
        if attribute.required and value in (None, ""):
            refuse(ScimType.INVALID_VALUE, "the attribute is required", within + attribute.name)
        if attribute.is_complex and value:
            _check_required_parts(attribute, value if isinstance(value, list) else [value], within)


def _check_required_parts(attribute: Attribute, elements: list[Json], within: str) -> None:
    required = [sub.name for sub in attribute.sub_attributes.values() if sub.required]
    for element in elements if required else ():
        for name in required:
            if element.get(name) in (None, ""):
                refuse(ScimType.INVALID_VALUE, "the attribute is required", f"{within}{attribute.name}.{name}")


def _keys(type_: ResourceType, document: Json) -> Iterator[UniqueKey]:
    for extension, attribute in type_.unique:
        value = (document if extension is None else document.get(extension, {})).get(attribute.name)
        if value in (None, ""):
            continue
        name = attribute.name if extension is None else f"{extension}:{attribute.name}"
        compared = value if attribute.case_exact or len(value) > UNIQUE_CHARACTERS_MAX else fold(value)
        if max(len(value), len(compared)) > UNIQUE_CHARACTERS_MAX:
            refuse(ScimType.INVALID_VALUE, f"a unique value must have at most {UNIQUE_CHARACTERS_MAX} characters", name)
        yield UniqueKey(name, compared)


def _emails(document: Json) -> tuple[Email, ...]:
    found = document.get("emails", ())
    if len(found) > MEMBERS_MAX:
        raise LimitExceeded(f"emails: must have at most {MEMBERS_MAX} values")
    return tuple(Email(email["value"], email.get("type")) for email in found if "value" in email)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


# --- immutable attributes --------------------------------------------------------------------------------------


def merge_immutable(type_: ResourceType, current: Mapping[str, Any], new: Json) -> Json:
    """Return a new document with the immutable values that it leaves out (RFC 7644 §3.5.1).

    Raises ``InvalidRequest`` for one that it changes.
    """
    for path in type_.immutable:
        value, found = value_at(current, path), value_at(new, path)
        if value is None or value == found:
            continue
        if found is not None:
            refuse(ScimType.MUTABILITY, "the attribute is immutable and has a value", ".".join(path))
        new = _with(new, path, value)
    return new


def _with(document: Json, path: AttributePath, value: Any) -> Json:
    if len(path) == 1:
        return {**document, path[0]: value}
    return {**document, path[0]: _with(document.get(path[0], {}), path[1:], value)}
