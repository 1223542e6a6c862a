"""Dialects of identity providers: each deviation from the standard is one named function, each dialect a list of them.

No rule guesses a destructive meaning: only an explicit request empties a group, unassigns ``active`` or deletes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from identity.model.query import And, Comparison, Condition, Operator
from identity.model.schema import Attribute, Mutability, Type
from scim.errors import ScimType, refuse, shown_name
from scim.filter.paths import Path
from scim.schema.resource_types import ResourceType
from scim.schema.values import ValueRule

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MISSPELT_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0user"
CORE_1_1 = "urn:scim:schemas:core:1.0"
ENTERPRISE_1_1 = "urn:scim:schemas:extension:enterprise:1.0"


@dataclass(frozen=True, slots=True)
class Operation:
    """One PATCH operation as sent. ``has_value`` distinguishes an absent value from null."""

    op: Literal["add", "remove", "replace"]
    path: str | None
    value: Any = None
    has_value: bool = False


OperationRule = Callable[[ResourceType, Operation], Operation]
PathRule = Callable[[Operation, Path], None]
BodyRule = Callable[[ResourceType, dict[str, Any]], dict[str, Any]]


# --- values ----------------------------------------------------------------------------------------------------


def booleans_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends ``"False"`` for ``active``, and ``"true"`` for ``primary``."""
    if attribute.type is Type.BOOLEAN and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def references_as_text(attribute: Attribute, value: Any) -> Any:
    """Entra sends ``manager`` as ``"271"``, as ``[{"value": "271"}]``, and as ``""`` for no manager."""
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
"""Drafts define both ends of the validity window as top-level attributes; here one complex attribute has both."""


def window_spelt_flat(type_: ResourceType, operation: Operation) -> Operation:
    """The agent drafts' ``validFrom`` and ``validUntil``: if they were ignored, an agent would never expire."""
    path = SPELLINGS.get((operation.path or "").lower())
    if path is None or not _has_window(type_):
        return operation
    return replace(operation, path=path)


def _has_window(type_: ResourceType) -> bool:
    return type_.attribute("validity") is not None and not type_.kind.is_custom


def body_with_window(type_: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with ``validFrom`` and ``validUntil`` as the validity window."""
    flat = {key: SPELLINGS[key.lower()].split(".")[1] for key in body if key.lower() in SPELLINGS}
    if not flat or not _has_window(type_):
        return body
    window = {end: body[key] for key, end in flat.items()}
    kept = {key: value for key, value in body.items() if key not in flat}
    stated = kept.pop("validity", None)
    return {**kept, "validity": {**window, **(stated if isinstance(stated, dict) else {})}}


def extension_attributes_unqualified(type_: ResourceType, operation: Operation) -> Operation:
    """A path without a URN that only one extension has is that extension's: Entra sends ``manager``.

    Every dialect reads it, also in bodies: it has no other meaning.
    """
    path = operation.path
    if path is None or ":" in path:
        return operation
    extension = type_.extension_of(path.split(".")[0].split("[")[0])
    return operation if extension is None else replace(operation, path=f"{extension.id}:{path}")


# --- bodies ----------------------------------------------------------------------------------------------------


def enterprise_key_misspelt(type_: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """Entra's documentation writes ``enterprise:2.0User`` as a key of a body, too."""
    del type_
    return {ENTERPRISE if key.lower() == MISSPELT_ENTERPRISE else key: value for key, value in body.items()}


def urns_of_scim_1_1(type_: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """OneLogin's template sends ``urn:scim:schemas:core:1.0`` for any resource type; the endpoint determines it."""
    urns = {CORE_1_1: type_.schema.id} | ({ENTERPRISE_1_1: ENTERPRISE} if type_.schema_of(ENTERPRISE) else {})
    read = {urns.get(key.lower(), key): value for key, value in body.items()}
    if len(read) != len(body):
        refuse(ScimType.INVALID_SYNTAX, "the extension appears twice, under two spellings of its URN", ENTERPRISE)
    return {
        key: [urns.get(str(urn).lower(), urn) for urn in value]
        if key.lower() == "schemas" and isinstance(value, list)
        else value
        for key, value in read.items()
    }


def nothing_unknown(type_: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
    """The interoperability profile refuses attributes that no schema defines, so that none is lost silently."""
    for position, urn in enumerate(_listed_urns(body), 1):
        if type_.schema_of(urn) is None:
            refuse(ScimType.INVALID_SYNTAX, f"element {position} is not a schema of {type_.name}", "schemas")
    for key, value in body.items():
        extension = type_.extensions.get(key.lower())
        if extension is not None and isinstance(value, dict):
            for name, item in value.items():
                _check_known(extension.attribute(name), f"{extension.id}:{name}", item)
        elif extension is None:
            _check_known(type_.attribute(key), key, value)
    return body


def _listed_urns(body: dict[str, Any]) -> list[str]:
    listed = next((value for key, value in body.items() if key.lower() == "schemas"), None)
    return [urn for urn in listed if isinstance(urn, str)] if isinstance(listed, list) else []


def _check_known(attribute: Attribute | None, name: str, value: Any) -> None:
    if attribute is None:
        refuse(ScimType.INVALID_SYNTAX, f"no schema defines {shown_name(name)}")
    for element in value if isinstance(value, list) else [value]:
        if isinstance(element, dict) and attribute.is_complex and attribute.sub_attributes:
            for key, item in element.items():
                _check_known(attribute.sub_attribute(key), f"{name}.{key}", item)


# --- paths -----------------------------------------------------------------------------------------------------


def values_hold_nothing_unknown(operation: Operation, path: Path) -> None:
    """``nothing_unknown`` for the value of a PATCH operation; ``unknown_path`` is for its path."""
    whole = path.sub or path.attribute
    if whole is not None and operation.op != "remove":
        _check_known(whole, whole.name, operation.value)


def elements_change_by_sub_attributes(operation: Operation, path: Path) -> None:
    """The profile changes ``emails[...].value``, never ``emails[...]``.

    It has no other way to remove one member of a group, so an operation may remove a selected element.
    """
    if path.selection is not None and path.sub is None and operation.op != "remove":
        refuse(ScimType.INVALID_PATH, "a path with a selection must name the sub-attribute that changes")


def selections_are_plain(operation: Operation, path: Path) -> None:
    """The profile selects by ``eq`` and ``and`` only."""
    del operation
    if path.selection is not None and not _is_plain(path.selection):
        refuse(ScimType.INVALID_SYNTAX, "a selection must consist of eq and and")


def _is_plain(selection: Condition) -> bool:
    match selection:
        case And(terms):
            return all(map(_is_plain, terms))
        case Comparison(operator=operator):
            return operator is Operator.EQ
        case _:
            return False


def many_values_are_an_array(operation: Operation, path: Path) -> None:
    """The profile requires an array for a multi-valued attribute, also for one value."""
    attribute = path.attribute
    whole = attribute is not None and attribute.multi_valued and path.sub is None and path.selection is None
    if whole and operation.op != "remove" and not isinstance(operation.value, list):
        refuse(ScimType.INVALID_VALUE, "must be an array", attribute.name if attribute else None)


# --- dialects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of one kind of source.

    ``creates_what_it_selects``: add or replace on ``emails[type eq "work"].value`` creates a missing element.
    ``keys_are_paths``: in an operation without a path, keys are paths: ``name.givenName``, ``urn:...:employeeNumber``.
    ``ignores_what_it_cannot_set``: in such an operation read-only and unknown keys are no error, as in a PUT.
    ``wants_no_body_of_a_group``: PATCH of a group answers 204.
    ``wants_paths``: an operation without a path is ``invalidSyntax``.
    ``replaces_whole``: replace on ``name`` keeps no old member; RFC 7644 §3.5.2.3 keeps those that are absent.
    ``changes_one_element``: a selection of several elements is ``invalidFilter``.
    ``unknown_path``: the ``scimType`` for a path that no schema has.
    ``conforms_to_profile``: the value of ``interopProfileConformant`` in ServiceProviderConfig; absent for None.
    """

    name: str
    value_rules: tuple[ValueRule, ...] = ()
    operation_rules: tuple[OperationRule, ...] = (window_spelt_flat, extension_attributes_unqualified)
    body_rules: tuple[BodyRule, ...] = ()
    path_rules: tuple[PathRule, ...] = ()
    creates_what_it_selects: bool = False
    keys_are_paths: bool = False
    ignores_what_it_cannot_set: bool = False
    wants_no_body_of_a_group: bool = False
    wants_paths: bool = False
    replaces_whole: bool = False
    changes_one_element: bool = False
    unknown_path: ScimType = ScimType.INVALID_PATH
    conforms_to_profile: bool | None = None


RFC = Dialect("rfc")
INTEROP = Dialect(  # draft-zollner-scim-interop-profile-02: stricter than the standard, lenient in nothing
    "interop",
    operation_rules=(window_spelt_flat,),
    body_rules=(nothing_unknown,),
    path_rules=(
        values_hold_nothing_unknown,
        elements_change_by_sub_attributes,
        selections_are_plain,
        many_values_are_an_array,
    ),
    wants_paths=True,
    replaces_whole=True,
    changes_one_element=True,
    unknown_path=ScimType.INVALID_SYNTAX,
    conforms_to_profile=False,  # docs/scim.md lists the deviations
)
ENTRA = Dialect(
    "entra",
    value_rules=(booleans_as_text, references_as_text, emptied_references, values_packed_in_text),
    operation_rules=(enterprise_urn_misspelt, window_spelt_flat, extension_attributes_unqualified),
    body_rules=(enterprise_key_misspelt,),
    creates_what_it_selects=True,
    keys_are_paths=True,
    wants_no_body_of_a_group=True,
)
ENTRA_COMPLIANT = Dialect(  # with aadOptscim062020 in the tenant URL: booleans are booleans, URNs are spelt right
    "entra-compliant",
    value_rules=(references_as_text, emptied_references, values_packed_in_text),
    creates_what_it_selects=True,
    keys_are_paths=True,
    wants_no_body_of_a_group=True,
)
OKTA = Dialect("okta", ignores_what_it_cannot_set=True)
ONELOGIN = Dialect("onelogin", body_rules=(urns_of_scim_1_1,))
# Every dialect reads the known deviations of these two: JumpCloud removes members by value, SailPoint replaces a
# part of ``name``. They have names of their own, so that a later rule applies to the right connections.
JUMPCLOUD = Dialect("jumpcloud")
SAILPOINT = Dialect("sailpoint")

DIALECTS = {
    dialect.name: dialect for dialect in (RFC, INTEROP, ENTRA, ENTRA_COMPLIANT, OKTA, ONELOGIN, JUMPCLOUD, SAILPOINT)
}


def dialect_named(name: str | None) -> Dialect:
    """Return a connection's dialect; for an unknown name, that of the standard."""
    return DIALECTS.get(name or "rfc", RFC)


def is_known(type_: ResourceType, key: str) -> bool:
    """Return whether a key of a body names an attribute or an extension of the resource."""
    is_window = key.lower() in SPELLINGS and _has_window(type_)
    return is_window or bool(type_.attribute(key) or type_.schema_of(key) or type_.extension_of(key))


def is_settable(type_: ResourceType, key: str) -> bool:
    """Return whether a client may write the attribute that a key of a body names."""
    attribute = type_.attribute(key)
    if attribute is None:
        return is_known(type_, key)
    return attribute.mutability is not Mutability.READ_ONLY


def check_schemas(type_: ResourceType, schemas: Any) -> None:
    """Refuse ``schemas`` without the core schema of the type (RFC 7643 §3.1). Other URNs are no error."""
    if not (isinstance(schemas, list) and all(isinstance(urn, str) for urn in schemas)):
        refuse(ScimType.INVALID_SYNTAX, "must be an array of URNs", "schemas")
    if type_.schema.id.lower() not in {urn.lower() for urn in schemas}:
        refuse(ScimType.INVALID_SYNTAX, f"must contain {type_.schema.id}", "schemas")
