"""From a value as a client sent it to the one form in which it is stored.

Names take the schema's spelling; null, [] and {} are absence (RFC 7643 §2.5); what is read-only is left out.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from identity.model.errors import LimitExceeded
from scim.errors import refuse
from scim.filter.resolve import parse_instant
from scim.limits import DISPLAY_NAME_CHARACTERS_MAX, EMAIL_CHARACTERS_MAX, EXTERNAL_ID_CHARACTERS_MAX, MEMBERS_MAX
from scim.schema.resource_types import Attribute, Mutability, Type

ValueRule = Callable[[Attribute, Any], Any]
"""A tolerance of a dialect: what a value of an attribute really means."""

CHARACTERS_MAX = {
    "externalId": EXTERNAL_ID_CHARACTERS_MAX,
    "displayName": DISPLAY_NAME_CHARACTERS_MAX,
    "emails.value": EMAIL_CHARACTERS_MAX,
}
"""Lengths of what is in an index."""


def canonical_value(attribute: Attribute, value: Any, rules: tuple[ValueRule, ...], pointer: str) -> Any:
    """Return the stored form of an attribute's value, or None for none.

    Raises ``InvalidRequest`` (``invalidValue``).
    """
    for rule in rules:
        value = rule(attribute, value)
    if value is None:
        return None
    if not attribute.multi_valued:
        return canonical_element(attribute, value, rules, pointer)
    if not isinstance(value, list):
        refuse("invalidValue", "must be an array: the attribute is multi-valued", pointer)
    return canonical_elements(attribute, value, rules, pointer) or None


def canonical_elements(
    attribute: Attribute, values: list[Any], rules: tuple[ValueRule, ...], pointer: str
) -> list[Any]:
    """Return the stored forms of the values of a multi-valued attribute."""
    if len(values) > MEMBERS_MAX:
        raise LimitExceeded(f"{pointer}: must have at most {MEMBERS_MAX} values in one request")
    elements = [canonical_element(attribute, value, rules, pointer) for value in values if value is not None]
    elements = [element for element in elements if element is not None]
    if sum(isinstance(element, dict) and element.get("primary") is True for element in elements) > 1:
        refuse("invalidValue", "at most one value may be primary", pointer)
    return elements


def canonical_element(attribute: Attribute, value: Any, rules: tuple[ValueRule, ...], pointer: str) -> Any:
    """Return the stored form of one value, or None when it is an object that holds nothing."""
    if not attribute.is_complex:
        return _simple(attribute, value, pointer)
    if not isinstance(value, dict):
        refuse("invalidValue", "must be an object", pointer)
    found = canonical_object(attribute.sub_attributes, value, rules, pointer)
    return (_link(found) if attribute.is_link else found) or None


def canonical_object(
    attributes: Mapping[str, Attribute], source: Mapping[str, Any], rules: tuple[ValueRule, ...], pointer: str
) -> dict[str, Any]:
    """Return what of an object the schema knows and a client may write; unknown names are left out."""
    found: dict[str, Any] = {}
    for key, value in source.items():
        attribute = attributes.get(key.lower())
        if attribute is None or attribute.mutability is Mutability.READ_ONLY:
            continue
        if attribute.name in found:
            refuse("invalidSyntax", f"{attribute.name} appears twice", pointer)
        where = f"{pointer}.{attribute.name}" if pointer else attribute.name
        canonical = canonical_value(attribute, value, rules, where)
        if canonical is not None:
            found[attribute.name] = canonical
    return found


def _link(found: dict[str, Any]) -> dict[str, Any]:
    """A reference is stored as an id; its ``$ref`` is only read when there is no value."""
    reference = found.pop("$ref", None)
    if "value" not in found and isinstance(reference, str):
        found["value"] = reference.rstrip("/").rsplit("/", 1)[-1]
    return found


def _simple(attribute: Attribute, value: Any, pointer: str) -> Any:
    match attribute.type, value:
        case ((Type.STRING | Type.REFERENCE), str()):
            limit = CHARACTERS_MAX.get(pointer)
            if limit is not None and len(value) > limit:
                refuse("invalidValue", f"must have at most {limit} characters", pointer)
            return value
        case Type.BOOLEAN, bool():
            return value
        case Type.INTEGER, int() if not isinstance(value, bool):
            return value
        case Type.DECIMAL, int() | float() if not isinstance(value, bool):
            return value
        case Type.DATE_TIME, str() if (instant := parse_instant(value)) is not None:
            return instant.isoformat().replace("+00:00", "Z")
        case Type.BINARY, str() if _is_base64(value):
            return value
    return refuse("invalidValue", f"must be of type {attribute.type}", pointer)


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
