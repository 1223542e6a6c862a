"""Attribute values: from the form in which a client sends them to the one form in which they are stored.

Names get the schema's spelling; null, [] and {} mean unassigned (RFC 7643 §2.5); read-only attributes are dropped.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from identity.model.errors import InvalidRequest, LimitExceeded
from identity.model.ids import parse_id
from identity.model.schema import Attribute, Mutability, Type
from scim.errors import ScimType, refuse
from scim.limits import DISPLAY_NAME_CHARACTERS_MAX, EMAIL_CHARACTERS_MAX, EXTERNAL_ID_CHARACTERS_MAX, MEMBERS_MAX

ValueRule = Callable[[Attribute, Any], Any]
"""A tolerance of a dialect: returns the meaning of a value of an attribute."""

CHARACTERS_MAX = {
    "externalId": EXTERNAL_ID_CHARACTERS_MAX,
    "displayName": DISPLAY_NAME_CHARACTERS_MAX,
    "emails.value": EMAIL_CHARACTERS_MAX,
}
"""Limits of values that an index contains, by pointer."""


def canonical_value(attribute: Attribute, value: Any, rules: tuple[ValueRule, ...], pointer: str) -> Any:
    """Return the stored form of an attribute's value, or None if it is unassigned.

    Raises ``InvalidRequest`` (``invalidValue``, ``invalidSyntax``), ``LimitExceeded``.
    """
    for rule in rules:
        value = rule(attribute, value)
    if value is None:
        return None
    if not attribute.multi_valued:
        return canonical_element(attribute, value, rules, pointer)
    if not isinstance(value, list):
        refuse(ScimType.INVALID_VALUE, "must be an array: the attribute is multi-valued", pointer)
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
        refuse(ScimType.INVALID_VALUE, "at most one value may be primary", pointer)
    return elements


def canonical_element(attribute: Attribute, value: Any, rules: tuple[ValueRule, ...], pointer: str) -> Any:
    """Return the stored form of one value, or None for an object without known members."""
    if not attribute.is_complex:
        return _simple(attribute, value, pointer)
    if not isinstance(value, dict):
        refuse(ScimType.INVALID_VALUE, "must be an object", pointer)
    found = canonical_object(attribute.sub_attributes, value, rules, pointer)
    return (_link(found) if attribute.is_link else found) or None


def canonical_object(
    attributes: Mapping[str, Attribute], source: Mapping[str, Any], rules: tuple[ValueRule, ...], pointer: str
) -> dict[str, Any]:
    """Return the members of an object that the schema knows and a client may write."""
    found: dict[str, Any] = {}
    for key, value in source.items():
        attribute = attributes.get(key.lower())
        if attribute is None or attribute.mutability is Mutability.READ_ONLY:
            continue
        if attribute.name in found:
            refuse(ScimType.INVALID_SYNTAX, f"{attribute.name} appears twice", pointer)
        where = f"{pointer}.{attribute.name}" if pointer else attribute.name
        canonical = canonical_value(attribute, value, rules, where)
        if canonical is not None:
            found[attribute.name] = canonical
    return found


def _link(found: dict[str, Any]) -> dict[str, Any]:
    """Return a reference as it is stored: an id. ``$ref`` is read only if there is no value."""
    reference = found.pop("$ref", None)
    if "value" not in found and isinstance(reference, str):
        found["value"] = reference.rstrip("/").rsplit("/", 1)[-1]
    return found


def _simple(attribute: Attribute, value: Any, pointer: str) -> Any:
    match attribute.type, value:
        case ((Type.STRING | Type.REFERENCE), str()):
            limit = CHARACTERS_MAX.get(pointer)
            if limit is not None and len(value) > limit:
                refuse(ScimType.INVALID_VALUE, f"must have at most {limit} characters", pointer)
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
    return refuse(ScimType.INVALID_VALUE, f"must be of type {attribute.type}", pointer)


def link_id(attribute: Attribute, link: dict[str, Any]) -> UUID:
    """Return the id in a reference. Raises ``InvalidRequest``, with the same words for an id that does not exist."""
    found = parse_id(str(link.get("value", "")))
    if found is None:
        raise InvalidRequest(f"no resource has the id {link.get('value', 'value')!s:.64}", pointer=attribute.name)
    return found


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True


XSD_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_instant(text: str) -> datetime | None:
    """Return the instant of an xsd:dateTime in UTC (RFC 7643 §2.3.5), or None. A time without an offset is in UTC."""
    if XSD_DATE_TIME.fullmatch(text) is None:  # Python reads week dates too, which clients do not
        return None
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
