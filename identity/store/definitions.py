"""Schemas and resource types that a tenant defined, and the values that are unique by them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on

from identity.model.errors import NotFound
from identity.model.principal import Kind, Principal, UniqueKey
from identity.model.resource_type import (
    OUR_ENDPOINTS,
    RESOURCE_TYPES_MAX,
    SCHEMAS_MAX,
    DefinedSchema,
    DefinedType,
)
from identity.model.schema_document import VERSIONS_MAX
from identity.store.rows import RowMapper
from identity.store.tables import principals, resource_types, schemas, tenants
from identity.store.tx import Tx, uniqueness

SCHEMAS = RowMapper(schemas, DefinedSchema)
TYPES = RowMapper(
    resource_types,
    DefinedType,
    endpoint=func.coalesce(resource_types.c.endpoint, case(dict(OUR_ENDPOINTS), value=resource_types.c.name)),
)
UNIQUE = {
    "pk_resource_types": ("resource_type_taken", "a resource type with this name exists already"),
    "uq_resource_types_tenant_id_endpoint_key": ("endpoint_taken", "another resource type has this endpoint"),
    "pk_principal_keys": ("unique_attribute", "another resource of this type has this value"),
}
"""The reason and the message of a violation, by the index that found it."""

KEYS_WRITE = text("""
WITH wanted AS (
    SELECT * FROM unnest(CAST(:attributes AS text[]), CAST(:keys AS text[])) AS w (attribute, value_key)),
gone AS (
    DELETE FROM principal_keys k
     WHERE k.tenant_id = :tenant AND k.principal_id = :principal
       AND NOT EXISTS (SELECT FROM wanted w WHERE w.attribute = k.attribute AND w.value_key = k.value_key))
INSERT INTO principal_keys (tenant_id, kind, attribute, value_key, principal_id)
SELECT :tenant, :kind, w.attribute, w.value_key, :principal FROM wanted w
 WHERE NOT EXISTS (SELECT FROM principal_keys k
                    WHERE k.tenant_id = :tenant AND k.kind = :kind AND k.attribute = w.attribute
                      AND k.value_key = w.value_key AND k.principal_id = :principal)
""")


def catalogue_hold(tx: Tx) -> None:
    """Lock the definitions of the tenant until the transaction ends, and raise the version that caches compare."""
    tx.execute(
        update(tenants)
        .where(tenants.c.tenant_id == tx.tenant_id)
        .values(catalogue_version=tenants.c.catalogue_version + 1)
    )


# --- schemas ---------------------------------------------------------------------------------------------------


def schema_list(tx: Tx) -> tuple[DefinedSchema, ...]:
    """Return the newest version of every schema, by id."""
    statement = (
        select(*SCHEMAS.columns)
        .ext(distinct_on(schemas.c.key))
        .where(schemas.c.tenant_id == tx.tenant_id)
        .order_by(schemas.c.key, schemas.c.version.desc())
        .limit(SCHEMAS_MAX)
    )
    return tuple(SCHEMAS.all(tx.execute(statement)))


def schema_versions(tx: Tx, id_: str) -> tuple[DefinedSchema, ...]:
    """Return every version of a schema, newest first."""
    statement = (
        select(*SCHEMAS.columns)
        .where(schemas.c.tenant_id == tx.tenant_id, schemas.c.key == id_.lower())
        .order_by(schemas.c.version.desc())
        .limit(VERSIONS_MAX)
    )
    return tuple(SCHEMAS.all(tx.execute(statement)))


def schema_insert(tx: Tx, schema: DefinedSchema) -> None:
    """Write a version."""
    tx.execute(insert(schemas).values(tenant_id=tx.tenant_id, key=schema.id.lower(), **SCHEMAS.values(schema)))


def schema_delete(tx: Tx, id_: str) -> None:
    """Delete every version of a schema."""
    tx.execute(delete(schemas).where(schemas.c.tenant_id == tx.tenant_id, schemas.c.key == id_.lower()))


# --- resource types --------------------------------------------------------------------------------------------


def type_list(tx: Tx) -> tuple[DefinedType, ...]:
    """Return every resource type that a tenant defined or extended, by name."""
    statement = (
        select(*TYPES.columns)
        .where(resource_types.c.tenant_id == tx.tenant_id)
        .order_by(resource_types.c.key)
        .limit(RESOURCE_TYPES_MAX)
    )
    return tuple(TYPES.all(tx.execute(statement)))


def type_insert(tx: Tx, type_: DefinedType) -> None:
    """Write a new resource type. Raises ``AlreadyExists``."""
    endpoint = None if type_.is_built_in else type_.endpoint
    values = {
        **TYPES.values(type_),
        "tenant_id": tx.tenant_id,
        "key": type_.name.lower(),
        "endpoint": endpoint,
        "endpoint_key": endpoint and endpoint.lower(),
        "version": 1,
    }
    with uniqueness(UNIQUE):
        tx.execute(insert(resource_types).values(values))


def type_update(tx: Tx, type_: DefinedType) -> None:
    """Write the description and the extensions of a resource type; its version grows."""
    statement = update(resource_types).where(
        resource_types.c.tenant_id == tx.tenant_id, resource_types.c.key == type_.name.lower()
    )
    changed = TYPES.values(type_, "description", "extensions", "updated_at")
    tx.execute(statement.values(version=resource_types.c.version + 1, **changed))


def type_delete(tx: Tx, name: str) -> None:
    """Delete a resource type; waits for transactions that create a resource of it."""
    tx.execute(
        delete(resource_types).where(resource_types.c.tenant_id == tx.tenant_id, resource_types.c.key == name.lower())
    )


def type_hold(tx: Tx, kind: Kind) -> None:
    """Lock the resource type of a kind against deletion until the transaction ends. Raises ``NotFound``."""
    statement = (
        select(literal(1))
        .where(resource_types.c.tenant_id == tx.tenant_id, resource_types.c.kind == kind)
        .with_for_update(key_share=True, read=True)
    )
    if tx.execute(statement).first() is None:
        raise NotFound("the resource type no longer exists")


# --- resources of a type ---------------------------------------------------------------------------------------


def _living(tx: Tx, kind: Kind, condition: ColumnElement[bool]) -> bool:
    living = (principals.c.tenant_id == tx.tenant_id) & (principals.c.kind == kind) & principals.c.deleted_at.is_(None)
    return bool(tx.execute(select(exists(select(literal(1)).where(living, condition)))).scalar_one())


def has_resources(tx: Tx, kind: Kind) -> bool:
    """Return whether any resource of a kind lives."""
    return _living(tx, kind, literal(True))


def has_resources_with(tx: Tx, kind: Kind, schema_id: str) -> bool:
    """Return whether any living resource of a kind has values of an extension. Reads the kind, at worst whole."""
    return _living(tx, kind, func.jsonb_exists(principals.c.document, schema_id))


def has_resources_without(tx: Tx, kind: Kind, schema_id: str) -> bool:
    """Return whether any living resource of a kind has no value of an extension."""
    return _living(tx, kind, ~func.jsonb_exists(principals.c.document, schema_id))


def keys_write(tx: Tx, principal: Principal, keys: frozenset[UniqueKey]) -> None:
    """Write which unique values a principal has, instead of those that it had. Raises ``AlreadyExists``."""
    wanted = sorted(keys, key=lambda key: (key.attribute, key.value))  # locked in one order
    parameters: Mapping[str, Any] = {
        "tenant": tx.tenant_id,
        "principal": principal.id,
        "kind": principal.kind,
        "attributes": [key.attribute for key in wanted],
        "keys": [key.value for key in wanted],
    }
    with uniqueness(UNIQUE):
        tx.execute(KEYS_WRITE, dict(parameters))
