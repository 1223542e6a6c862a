"""Definitions of a tenant: schemas in versions, resource types, and the schemas that extend each type."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from identity.actions.preconditions import check_version, require
from identity.model.access import Caller
from identity.model.errors import AlreadyExists, Conflict, InvalidRequest, LimitExceeded
from identity.model.event import Event
from identity.model.resource_type import (
    BUILT_IN,
    DOCUMENTS_CHARACTERS_MAX,
    EXTENSIONS_MAX,
    OUR_ENDPOINTS,
    RESOURCE_TYPES_MAX,
    SCHEMAS_MAX,
    DefinedSchema,
    DefinedType,
    Definitions,
    Extension,
    check_endpoint,
    check_extensions,
    check_name,
    kind_of,
)
from identity.model.schema import read_schema
from identity.model.schema_document import ID, VERSIONS_MAX, check_core, check_document, check_evolution
from identity.store import Tx
from identity.store.definitions import (
    catalogue_hold,
    has_resources,
    has_resources_with,
    has_resources_without,
    schema_delete,
    schema_insert,
    schema_list,
    schema_versions,
    type_delete,
    type_insert,
    type_list,
    type_update,
)
from identity.store.events import event_insert

list_schemas = schema_list


def read_definitions(tx: Tx) -> Definitions:
    """Return all that the tenant defined."""
    return Definitions(schema_list(tx), type_list(tx))


# --- schemas ---------------------------------------------------------------------------------------------------


def get_schema(tx: Tx, schema_id: str) -> DefinedSchema:
    """Return the newest version of a schema. Raises ``NotFound``."""
    return get_schema_versions(tx, schema_id)[0]


def get_schema_versions(tx: Tx, schema_id: str) -> Sequence[DefinedSchema]:
    """Return every version of a schema, newest first. Raises ``NotFound``."""
    found = schema_versions(tx, schema_id) if ID.fullmatch(schema_id) else ()
    return require(found or None, "this tenant has no schema with this id")


def define_schema(tx: Tx, document: Mapping[str, Any], *, caller: Caller, now: datetime) -> DefinedSchema:
    """Define a schema (RFC 7643 §7). It is in use when a resource type names it.

    Raises ``InvalidRequest``, ``AlreadyExists``, ``LimitExceeded``.
    """
    schema = check_document(document)
    catalogue_hold(tx)
    present = schema_list(tx)
    if len(present) >= SCHEMAS_MAX:
        raise LimitExceeded(f"a tenant may have at most {SCHEMAS_MAX} schemas", reason="too_many_schemas")
    for other in present:
        _check_apart(schema.id.lower(), other.id.lower())
    _check_size(schema.json, present)
    defined = DefinedSchema(schema.id, 1, schema.json, now)
    schema_insert(tx, defined)
    _record(tx, "schema.defined", {"schema": schema.id, "version": 1}, caller=caller, now=now)
    return defined


def _check_apart(id_: str, other: str) -> None:
    """Refuse an id that another one extends: a name after an id and a colon is that of an attribute."""
    if id_ == other:
        raise AlreadyExists("the tenant has a schema with this id already", reason="schema_taken")
    if id_.startswith(f"{other}:") or other.startswith(f"{id_}:"):
        raise InvalidRequest(
            f"must not begin as {other} does: the names would be ambiguous with its attributes", pointer="/id"
        )


def _check_size(document: Mapping[str, Any], others: Sequence[DefinedSchema]) -> None:
    """Limit the schemas of a tenant together: each process keeps them parsed. Raises ``LimitExceeded``."""
    characters = sum(len(json.dumps(each)) for each in (document, *(other.document for other in others)))
    if characters > DOCUMENTS_CHARACTERS_MAX:
        raise LimitExceeded(
            f"all schemas of a tenant together may have at most {DOCUMENTS_CHARACTERS_MAX} characters",
            reason="schemas_too_large",
        )


def change_schema(
    tx: Tx,
    schema_id: str,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> DefinedSchema:
    """Write a new version. Absent members stay; no stored value may change its meaning.

    Raises ``NotFound``, ``PreconditionFailed``, ``InvalidRequest``, ``Conflict``, ``LimitExceeded``.
    """
    catalogue_hold(tx)
    current = get_schema(tx, schema_id)
    check_version("definition", current.version, expected_version)
    new = check_document({**current.document, **changes, "id": current.id})
    if new.json == current.document:
        return current
    if current.version >= VERSIONS_MAX:
        raise LimitExceeded(f"a schema may have at most {VERSIONS_MAX} versions", reason="too_many_versions")
    _check_size(new.json, [each for each in schema_list(tx) if each.id != current.id])
    is_core = any(type_.schema == current.id for type_ in type_list(tx))
    check_evolution(read_schema(current.document), new, is_core=is_core)
    defined = DefinedSchema(current.id, current.version + 1, new.json, now)
    schema_insert(tx, defined)
    _record(tx, "schema.changed", {"schema": current.id, "version": defined.version}, caller=caller, now=now)
    return defined


def delete_schema(tx: Tx, schema_id: str, *, caller: Caller, now: datetime) -> None:
    """Forget a schema that no resource type uses. Raises ``NotFound``, ``Conflict``."""
    catalogue_hold(tx)
    schema = get_schema(tx, schema_id)
    users = [type_.name for type_ in type_list(tx) if schema.id in _schemas_of(type_)]
    if users:
        raise Conflict(f"the resource type {users[0]} uses this schema", reason="schema_in_use")
    schema_delete(tx, schema.id)
    _record(tx, "schema.deleted", {"schema": schema.id, "version": schema.version}, caller=caller, now=now)


def _schemas_of(type_: DefinedType) -> set[str | None]:
    return {type_.schema, *(extension.schema for extension in type_.extensions)}


# --- resource types --------------------------------------------------------------------------------------------


def list_types(tx: Tx, *, now: datetime) -> list[DefinedType]:
    """Return every resource type: built-in ones, as the tenant extended them, and its own."""
    defined = type_list(tx)
    extended = {type_.name: type_ for type_ in defined if type_.is_built_in}
    ours = [extended.get(name) or _unextended(name, now) for name in BUILT_IN]
    return [*ours, *(type_ for type_ in defined if not type_.is_built_in)]


def get_type(tx: Tx, name: str, *, now: datetime) -> DefinedType:
    """Return one resource type. Raises ``NotFound``."""
    found = next((type_ for type_ in list_types(tx, now=now) if type_.name.lower() == name.lower()), None)
    return require(found, "no resource type with this name")


def define_type(
    tx: Tx,
    *,
    name: str,
    endpoint: str,
    description: str,
    core_schema: str,
    extensions: Sequence[Extension],
    caller: Caller,
    now: datetime,
) -> DefinedType:
    """Give the tenant a resource type of its own, over schemas that it has defined (RFC 7643 §6).

    Raises ``InvalidRequest``, ``AlreadyExists``, ``LimitExceeded``.
    """
    catalogue_hold(tx)
    if len(type_list(tx)) >= RESOURCE_TYPES_MAX - len(BUILT_IN):
        raise LimitExceeded(
            f"a tenant may have at most {RESOURCE_TYPES_MAX} resource types", reason="too_many_resource_types"
        )
    known = {each.id.lower(): each for each in schema_list(tx)}
    core = known.get(core_schema.lower())
    if core is None:
        raise InvalidRequest("this tenant has no schema with this id", pointer="/schema", reason="unknown_schema")
    check_core(read_schema(core.document))
    checked = _check_extensions(extensions, known, core.id)
    name, endpoint = check_name(name), check_endpoint(endpoint)
    defined = DefinedType(name, kind_of(name), endpoint, description, core.id, checked, 1, now, now)
    type_insert(tx, defined)
    _record(tx, "resource_type.defined", {"name": name, "schema": core.id}, caller=caller, now=now)
    return defined


def change_type(
    tx: Tx,
    name: str,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> DefinedType:
    """Change the ``description`` or ``extensions`` of a resource type; a built-in one has only the latter.

    An extension goes only when no resource has values of it, and becomes required only when every resource has.
    Raises ``NotFound``, ``PreconditionFailed``, ``InvalidRequest``, ``Conflict``.
    """
    catalogue_hold(tx)
    current = get_type(tx, name, now=now)
    check_version("definition", current.version, expected_version)
    if current.is_built_in and "description" in changes:
        raise InvalidRequest("the description of a built-in resource type cannot be changed", pointer="/description")
    wanted = current.extensions
    if "extensions" in changes:
        known = {each.id.lower(): each for each in schema_list(tx)}
        wanted = _check_extensions(changes["extensions"], known, current.schema)
        _check_resources(tx, current, wanted)
    description = changes.get("description") or current.description
    changed = replace(current, description=description, extensions=wanted, updated_at=now)
    if replace(changed, updated_at=current.updated_at) == current:
        return current
    if current.version == 0:
        type_insert(tx, changed)
    else:
        type_update(tx, changed)
    detail = {"name": current.name, "extensions": [extension.schema for extension in wanted]}
    _record(tx, "resource_type.changed", detail, caller=caller, now=now)
    return replace(changed, version=current.version + 1)


def delete_type(tx: Tx, name: str, *, caller: Caller, now: datetime) -> None:
    """Forget a resource type of which there is no resource. Raises ``NotFound``, ``Conflict``."""
    catalogue_hold(tx)
    current = get_type(tx, name, now=now)
    if current.is_built_in:
        raise Conflict("a built-in resource type cannot be deleted", reason="built_in")
    type_delete(tx, current.name)  # first: it waits for a creator of a resource, which the next statement then sees
    if has_resources(tx, current.kind):
        raise Conflict("resources of this type exist; delete them first", reason="resource_type_in_use")
    _record(tx, "resource_type.deleted", {"name": current.name}, caller=caller, now=now)


def _unextended(name: str, now: datetime) -> DefinedType:
    return DefinedType(name, BUILT_IN[name], OUR_ENDPOINTS[name], "", None, (), 0, now, now)


def _check_extensions(
    wanted: Sequence[Extension], known: Mapping[str, DefinedSchema], core: str | None
) -> tuple[Extension, ...]:
    if len(wanted) > EXTENSIONS_MAX:
        raise LimitExceeded(
            f"a resource type may have at most {EXTENSIONS_MAX} extensions", reason="too_many_extensions"
        )
    checked = check_extensions(wanted, {key: schema.id for key, schema in known.items()})
    if core in {extension.schema for extension in checked}:
        raise InvalidRequest("must not list the schema of the resource type itself", pointer="/schemaExtensions")
    return checked


def _check_resources(tx: Tx, current: DefinedType, wanted: Sequence[Extension]) -> None:
    kept = {extension.schema for extension in wanted}
    for extension in current.extensions:
        if extension.schema not in kept and has_resources_with(tx, current.kind, extension.schema):
            raise Conflict(f"{extension.schema} is in use: resources have values of it", reason="extension_in_use")
    required = {extension.schema for extension in current.extensions if extension.required}
    for extension in wanted:
        is_new = extension.required and extension.schema not in required
        if is_new and has_resources_without(tx, current.kind, extension.schema):
            raise Conflict(
                f"{extension.schema} cannot be required, because existing resources have no values of it",
                reason="extension_missing",
            )


def _record(tx: Tx, type_: str, detail: Mapping[str, Any], *, caller: Caller, now: datetime) -> None:
    event_insert(tx, Event(type=type_, detail=dict(detail)), caller=caller, now=now)
