"""What real identity providers send and mean by it: each quirk is one named function, each dialect a list of them.

No rule guesses a destructive reading: what would empty a group, unset ``active`` or delete is done only when asked for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from scim.errors import refuse
from scim.schemas import Attribute, Mutability, ResourceType, Type, every_resource
from scim.values import ValueRule

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MISSPELT_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0user"


@dataclass(frozen=True, slots=True)
class Operation:
    """One PATCH operation as sent. ``has_value`` tells an absent value from null."""

    op: Literal["add", "remove", "replace"]
    path: str | None
    value: Any = None
    has_value: bool = False


OperationRule = Callable[[ResourceType, Operation], Operation]
BodyRule = Callable[[dict[str, Any]], dict[str, Any]]


# --- values ----------------------------------------------------------------------------------------------------


def booleans_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends ``"False"`` for ``active``, and ``"true"`` for ``primary``."""
    if attribute.type is Type.BOOLEAN and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def references_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends ``manager`` as ``"271"``, as ``[{"value": "271"}]``, and as ``""`` for nobody."""
    if not attribute.is_link or attribute.multi_valued:
        return value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return {"value": value} if value else None
    return value


def emptied_references(attribute: Attribute, value: Any) -> Any:
    """Entra's validator sends ``{"value": ""}`` and ``{"value": null}`` for no manager."""
    if attribute.is_link and not attribute.multi_valued and isinstance(value, dict) and value:
        return value if any(value.values()) else None
    return value


def values_packed_in_text(attribute: Attribute, value: Any) -> Any:
    """Entra's AppRoleAssignmentsComplex sends a role as ``{"value": "{\\"value\\": \\"Admin\\", ...}"}``."""
    if attribute.name not in ("roles", "entitlements") or not isinstance(value, list):
        return value
    return [_unpacked(item) for item in value]


def _unpacked(item: Any) -> Any:
    text = item.get("value") if isinstance(item, dict) else None
    if not (isinstance(text, str) and text.startswith("{")):
        return item
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        return item
    if not (isinstance(inner, dict) and isinstance(inner.get("value"), str)):
        return item
    unpacked = {**item, "value": inner["value"]}
    if isinstance(inner.get("displayName"), str):
        unpacked["display"] = inner["displayName"]
    return unpacked


# --- operations ------------------------------------------------------------------------------------------------


def enterprise_urn_misspelt(type_: ResourceType, operation: Operation) -> Operation:
    """Entra's documentation writes ``enterprise:2.0User`` for ``enterprise:2.0:User``."""
    del type_
    path = operation.path
    if path is None or not path.lower().startswith(MISSPELT_ENTERPRISE):
        return operation
    return replace(operation, path=ENTERPRISE + path[len(MISSPELT_ENTERPRISE) :])


SPELLINGS = {"validfrom": "validity.from", "validuntil": "validity.until"}
"""Drafts put the validity window at the top of an agent; one complex attribute holds both ends together."""


def window_spelt_flat(type_: ResourceType, operation: Operation) -> Operation:
    """The agent drafts' ``validFrom`` and ``validUntil``: left out silently, an agent would never end."""
    path = SPELLINGS.get((operation.path or "").lower())
    if path is None or type_.attribute("validity") is None:
        return operation
    return replace(operation, path=path)


def body_with_window(type_: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """The same at the top of a body."""
    flat = {key: SPELLINGS[key.lower()].split(".")[1] for key in body if key.lower() in SPELLINGS}
    if not flat or type_.attribute("validity") is None:
        return body
    window = {end: body[key] for key, end in flat.items()}
    kept = {key: value for key, value in body.items() if key not in flat}
    stated = kept.pop("validity", None)
    return {**kept, "validity": {**window, **(stated if isinstance(stated, dict) else {})}}


def extension_attributes_unqualified(type_: ResourceType, operation: Operation) -> Operation:
    """A path without a URN that only one extension knows is that extension's: Entra sends ``manager`` so.

    Every dialect reads it, in bodies too: nothing else can be meant.
    """
    path = operation.path
    if path is None or ":" in path:
        return operation
    extension = type_.extension_of(path.split(".")[0].split("[")[0])
    return operation if extension is None else replace(operation, path=f"{extension.id}:{path}")


def enterprise_key_misspelt(body: dict[str, Any]) -> dict[str, Any]:
    """The same URN as a key of a body."""
    return {ENTERPRISE if key.lower() == MISSPELT_ENTERPRISE else key: value for key, value in body.items()}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of source speaks.

    ``creates_what_it_selects``: add or replace on ``emails[type eq "work"].value`` makes one when none is there.
    ``keys_are_paths``: in an operation without a path, keys are paths: ``name.givenName``, ``urn:...:employeeNumber``.
    ``ignores_what_it_cannot_set``: in such an operation read-only and unknown keys are no error, as in a PUT.
    ``wants_no_body_of_a_group``: PATCH of a group answers 204.
    """

    name: str
    value_rules: tuple[ValueRule, ...] = ()
    operation_rules: tuple[OperationRule, ...] = (window_spelt_flat, extension_attributes_unqualified)
    body_rules: tuple[BodyRule, ...] = ()
    creates_what_it_selects: bool = False
    keys_are_paths: bool = False
    ignores_what_it_cannot_set: bool = False
    wants_no_body_of_a_group: bool = False


# --- dialects --------------------------------------------------------------------------------------------------

RFC = Dialect("rfc")
ENTRA = Dialect(
    "entra",
    value_rules=(booleans_as_text, references_as_text, emptied_references, values_packed_in_text),
    operation_rules=(enterprise_urn_misspelt, window_spelt_flat, extension_attributes_unqualified),
    body_rules=(enterprise_key_misspelt,),
    creates_what_it_selects=True,
    keys_are_paths=True,
    wants_no_body_of_a_group=True,
)
OKTA = Dialect("okta", ignores_what_it_cannot_set=True)

DIALECTS = {dialect.name: dialect for dialect in (RFC, ENTRA, OKTA)}


def dialect_named(name: str | None) -> Dialect:
    """Return a connection's dialect; one that nobody knows is the standard's own."""
    return DIALECTS.get(name or "rfc", RFC)


def is_known(type_: ResourceType, key: str) -> bool:
    """Return whether a key of a body names anything of the resource."""
    is_window = key.lower() in SPELLINGS and type_.attribute("validity") is not None
    return is_window or bool(type_.attribute(key) or type_.schema_of(key) or type_.extension_of(key))


def is_settable(type_: ResourceType, key: str) -> bool:
    """Return whether a client may write what a key of a body names."""
    attribute = type_.attribute(key)
    if attribute is None:
        return is_known(type_, key)
    return attribute.mutability is not Mutability.READ_ONLY


def check_schemas(type_: ResourceType, schemas: Any) -> None:
    """Refuse a body that does not say which resource it is (RFC 7643 §3.1). Other URNs in it are no error."""
    named = every_resource().attributes["schemas"].name
    if not (isinstance(schemas, list) and all(isinstance(urn, str) for urn in schemas)):
        refuse("invalidSyntax", "an array of URNs is wanted", named)
    if type_.schema.id.lower() not in {urn.lower() for urn in schemas}:
        refuse("invalidSyntax", f"{type_.schema.id} is not among them", named)
