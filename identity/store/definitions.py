"""Schemas and resource types that a tenant defined, and the values that are unique by them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.exc import IntegrityError

from identity.model.errors import AlreadyExists, NotFound
from identity.model.principal import Kind, Principal, UniqueKey
from identity.model.resource_type import (
    OUR_ENDPOINTS,
    RESOURCE_TYPES_MAX,
    SCHEMAS_MAX,
    DefinedSchema,
    DefinedType,
    Extension,
)
from identity.model.schema_document import VERSIONS_MAX
from identity.store.tables import principals, resource_types, schemas, tenants
from identity.store.tx import Tx

SCHEMA_COLUMNS = (schemas.c.id, schemas.c.version, schemas.c.document, schemas.c.created_at)
TYPE_COLUMNS = (
    resource_types.c.name,
    resource_types.c.kind,
    resource_types.c.endpoint,
    resource_types.c.description,
    resource_types.c.schema,
    resource_types.c.extensions,
    resource_types.c.version,
    resource_types.c.created_at,
    resource_types.c.updated_at,
)
UNIQUE = {
    "pk_resource_types": ("resource_type_taken", "a resource type with this name exists already"),
    "uq_resource_types_tenant_id_endpoint_key": ("endpoint_taken", "another resource type has this endpoint"),
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
    """Let nobody else change what the tenant defines until the transaction ends, and tell everybody that it changes."""
    tx.execute(
        update(tenants)
        .where(tenants.c.tenant_id == tx.tenant_id)
        .values(catalogue_version=tenants.c.catalogue_version + 1)
    )


# --- schemas ---------------------------------------------------------------------------------------------------


def _schema(row: Any) -> DefinedSchema:
    return DefinedSchema(row.id, row.version, row.document, row.created_at)


def schema_list(tx: Tx) -> tuple[DefinedSchema, ...]:
    """Return the newest version of every schema, by id."""
    statement = (
        select(*SCHEMA_COLUMNS)
        .ext(distinct_on(schemas.c.key))
        .where(schemas.c.tenant_id == tx.tenant_id)
        .order_by(schemas.c.key, schemas.c.version.desc())
        .limit(SCHEMAS_MAX)
    )
    return tuple(_schema(row) for row in tx.execute(statement))


def schema_versions(tx: Tx, id_: str) -> tuple[DefinedSchema, ...]:
    """Return every version of a schema, newest first."""
    statement = (
        select(*SCHEMA_COLUMNS)
        .where(schemas.c.tenant_id == tx.tenant_id, schemas.c.key == id_.lower())
        .order_by(schemas.c.version.desc())
        .limit(VERSIONS_MAX)
    )
    return tuple(_schema(row) for row in tx.execute(statement))


def schema_insert(tx: Tx, schema: DefinedSchema) -> None:
    """Write a version."""
    tx.execute(
        insert(schemas).values(
            tenant_id=tx.tenant_id,
            key=schema.id.lower(),
            version=schema.version,
            id=schema.id,
            document=dict(schema.document),
            created_at=schema.created_at,
        )
    )


def schema_delete(tx: Tx, id_: str) -> None:
    """Forget a schema, all versions of it."""
    tx.execute(delete(schemas).where(schemas.c.tenant_id == tx.tenant_id, schemas.c.key == id_.lower()))


# --- resource types --------------------------------------------------------------------------------------------


def _type(row: Any) -> DefinedType:
    return DefinedType(
        name=row.name,
        kind=Kind(row.kind),
        endpoint=row.endpoint or OUR_ENDPOINTS[row.name],
        description=row.description,
        schema=row.schema,
        extensions=tuple(Extension(**extension) for extension in row.extensions),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def type_list(tx: Tx) -> tuple[DefinedType, ...]:
    """Return every resource type that a tenant defined or extended, by name."""
    statement = (
        select(*TYPE_COLUMNS)
        .where(resource_types.c.tenant_id == tx.tenant_id)
        .order_by(resource_types.c.key)
        .limit(RESOURCE_TYPES_MAX)
    )
    return tuple(_type(row) for row in tx.execute(statement))


def _values(type_: DefinedType) -> dict[str, Any]:
    return {
        "description": type_.description,
        "extensions": [{"schema": each.schema, "required": each.required} for each in type_.extensions],
        "updated_at": type_.updated_at,
    }


def type_insert(tx: Tx, type_: DefinedType) -> None:
    """Write a new resource type. Raises ``AlreadyExists``."""
    statement = insert(resource_types).values(
        tenant_id=tx.tenant_id,
        key=type_.name.lower(),
        name=type_.name,
        kind=type_.kind,
        endpoint=None if type_.is_built_in else type_.endpoint,
        endpoint_key=None if type_.is_built_in else type_.endpoint.lower(),
        schema=type_.schema,
        created_at=type_.created_at,
        **_values(type_),
    )
    try:
        tx.execute(statement)
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if constraint not in UNIQUE:
            raise
        reason, detail = UNIQUE[constraint]
        raise AlreadyExists(detail, reason=reason) from None


def type_update(tx: Tx, type_: DefinedType) -> None:
    """Write the description and the extensions of a resource type; its version grows."""
    statement = update(resource_types).where(
        resource_types.c.tenant_id == tx.tenant_id, resource_types.c.key == type_.name.lower()
    )
    tx.execute(statement.values(version=resource_types.c.version + 1, **_values(type_)))


def type_delete(tx: Tx, name: str) -> None:
    """Forget a resource type; waits for those who are creating a resource of it."""
    tx.execute(
        delete(resource_types).where(resource_types.c.tenant_id == tx.tenant_id, resource_types.c.key == name.lower())
    )


def type_hold(tx: Tx, kind: Kind) -> None:
    """Let nobody forget the resource type of a kind until the transaction ends. Raises ``NotFound``."""
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
    try:
        tx.execute(KEYS_WRITE, dict(parameters))
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) != "pk_principal_keys":
            raise
        raise AlreadyExists("another resource of this type has this value", reason="unique_attribute") from None
