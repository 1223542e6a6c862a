"""Values as a schema types and spells them (RFC 7643 §2.3, §2.5): without null, the unknown and the read-only."""

import base64
import binascii
from typing import Any

from tests.oracles.filters import instant
from tests.oracles.schema import Attr

SHORT = {"externalId": 512, "displayName": 256, "emails.value": 320}  # "lengths"


class RefusedError(Exception):
    """The request is refused and changes nothing."""

    def __init__(self, scim_type: str, why: str = "") -> None:
        super().__init__(f"{scim_type}: {why}")
        self.scim_type = scim_type


def normal(attribute: Attr, value: Any, pointer: str) -> Any:
    """Return a value as the schema spells it: without null, what is unknown and what is read-only; or None."""
    if value is None:
        return None
    if not attribute.many:
        return _normal_one(attribute, value, pointer)
    values = value if isinstance(value, list) else [value]  # "one value for a list"
    found = [_normal_one(attribute, each, pointer) for each in values if each is not None]
    found = [each for each in found if each is not None]
    if sum(isinstance(each, dict) and each.get("primary") is True for each in found) > 1:
        raise RefusedError("invalidValue", "one value is primary")
    return found or None


def _normal_one(attribute: Attr, value: Any, pointer: str) -> Any:
    if not attribute.subs:
        return _simple(attribute, value, pointer)
    if not isinstance(value, dict):
        raise RefusedError("invalidValue", "an object is wanted")
    found: dict[str, Any] = {}
    for key, each in value.items():
        sub = attribute.subs.get(key.lower())
        if sub is None or sub.read_only:
            continue  # "unknown parts of values"
        if sub.name in found:
            raise RefusedError("invalidSyntax", "a name twice")
        new = _strict(sub, each, f"{pointer}.{sub.name}")
        if new is not None:
            found[sub.name] = new
    return linked(attribute, found) or None


def _strict(sub: Attr, value: Any, pointer: str) -> Any:
    if sub.many and value is not None and not isinstance(value, list):
        raise RefusedError("invalidValue", "an array is wanted")
    return normal(sub, value, pointer)


def linked(attribute: Attr, found: dict[str, Any]) -> dict[str, Any]:
    """ "addresses of resources": a reference is kept as the id that is its last segment."""
    if not attribute.is_reference_to_a_resource or "$ref" not in found:
        return found
    address = str(found["$ref"]).rstrip("/").rsplit("/", 1)[-1]
    kept = {key: value for key, value in found.items() if key != "$ref"}
    return {"value": address, **kept}


def _simple(attribute: Attr, value: Any, pointer: str) -> Any:
    kind, is_bool = attribute.type, isinstance(value, bool)
    if kind in ("string", "reference") and isinstance(value, str) and len(value) <= SHORT.get(pointer, len(value)):
        return value
    if kind == "boolean" and is_bool:
        return value
    if kind == "integer" and isinstance(value, int) and not is_bool:
        return value
    if kind == "decimal" and isinstance(value, int | float) and not is_bool:
        return value
    if kind == "dateTime" and isinstance(value, str) and (found := instant(value)):
        return found.isoformat().replace("+00:00", "Z")
    if kind == "binary" and isinstance(value, str) and _is_base64(value):
        return value
    raise RefusedError("invalidValue", f"{pointer} is {kind}")


def _is_base64(text: str) -> bool:
    try:
        return base64.b64decode(text, validate=True) is not None
    except (binascii.Error, ValueError):
        return False
