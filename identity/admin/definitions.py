"""Schemas and resource types that a tenant defines: data, in versions, without a migration."""

from typing import Any

from identity.actions.definitions import (
    change_schema,
    change_type,
    define_schema,
    define_type,
    delete_schema,
    delete_type,
    get_schema,
    get_schema_versions,
    get_type,
    list_types,
    read_definitions,
)
from identity.admin import requests_definitions as shapes
from identity.admin import responses_definitions as views
from identity.admin.endpoints import operation
from identity.admin.parsing import expected_version
from identity.edge.call import Call
from identity.model.resource_type import DefinedSchema, DefinedType, Extension


def _schema(defined: DefinedSchema) -> views.Schema:
    document = defined.document
    return views.Schema(
        id=defined.id,
        name=document["name"],
        description=document["description"],
        attributes=document["attributes"],
        version=defined.version,
        created_at=defined.created_at,
    )


def _type(defined: DefinedType) -> views.ResourceType:
    return views.ResourceType(
        name=defined.name,
        kind=defined.kind,
        is_built_in=defined.is_built_in,
        endpoint=defined.endpoint,
        description=defined.description,
        schema_=defined.schema,
        extensions=[views.SchemaExtension(schema_=each.schema, required=each.required) for each in defined.extensions],
        version=defined.version,
        created_at=defined.created_at,
        updated_at=defined.updated_at,
    )


def _given(asked: shapes.NewSchema | shapes.SchemaChange) -> dict[str, Any]:
    return asked.model_dump(exclude_none=True)


def _extensions(asked: tuple[shapes.SchemaExtension, ...]) -> list[Extension]:
    return [Extension(each.schema_, each.required) for each in asked]


@operation("POST", "/tenants/{tenant}/schemas", body=shapes.NewSchema, answer=views.Schema, status=201)
def define_schema_(call: Call, asked: shapes.NewSchema) -> views.Schema:
    """Define a schema; a resource type that names it puts it to use."""
    return _schema(define_schema(call.tx, _given(asked), caller=call.caller, now=call.now))


@operation("GET", "/tenants/{tenant}/schemas", answer=views.SchemaList)
def list_schemas(call: Call) -> views.SchemaList:
    """List the schemas that the tenant defined."""
    return views.SchemaList(items=[_schema(each) for each in read_definitions(call.tx).schemas], next_cursor=None)


@operation("GET", "/tenants/{tenant}/schemas/{schema}", answer=views.Schema)
def get_schema_(call: Call, schema: str) -> views.Schema:
    """Read the newest version of a schema."""
    return _schema(get_schema(call.tx, schema))


@operation("GET", "/tenants/{tenant}/schemas/{schema}/versions", answer=views.SchemaList)
def list_schema_versions(call: Call, schema: str) -> views.SchemaList:
    """List every version of a schema."""
    return views.SchemaList(items=[_schema(each) for each in get_schema_versions(call.tx, schema)], next_cursor=None)


@operation("PATCH", "/tenants/{tenant}/schemas/{schema}", body=shapes.SchemaChange, answer=views.Schema)
def change_schema_(call: Call, asked: shapes.SchemaChange, schema: str) -> views.Schema:
    """Write the next version of a schema: it may add and loosen, never change what is stored."""
    expected = expected_version()
    return _schema(
        change_schema(call.tx, schema, _given(asked), expected_version=expected, caller=call.caller, now=call.now)
    )


@operation("DELETE", "/tenants/{tenant}/schemas/{schema}")
def delete_schema_(call: Call, schema: str) -> None:
    """Forget a schema that no resource type uses."""
    delete_schema(call.tx, schema, caller=call.caller, now=call.now)


@operation(
    "POST", "/tenants/{tenant}/resource-types", body=shapes.NewResourceType, answer=views.ResourceType, status=201
)
def define_resource_type(call: Call, asked: shapes.NewResourceType) -> views.ResourceType:
    """Give the tenant a resource type of its own."""
    defined = define_type(
        call.tx,
        name=asked.name,
        endpoint=asked.endpoint,
        description=asked.description,
        schema=asked.schema_,
        extensions=_extensions(asked.extensions),
        caller=call.caller,
        now=call.now,
    )
    return _type(defined)


@operation("GET", "/tenants/{tenant}/resource-types", answer=views.ResourceTypeList)
def list_resource_types(call: Call) -> views.ResourceTypeList:
    """List resource types: ours, and the tenant's own."""
    return views.ResourceTypeList(items=[_type(each) for each in list_types(call.tx, now=call.now)], next_cursor=None)


@operation("GET", "/tenants/{tenant}/resource-types/{resource_type}", answer=views.ResourceType)
def get_resource_type(call: Call, resource_type: str) -> views.ResourceType:
    """Read one resource type."""
    return _type(get_type(call.tx, resource_type, now=call.now))


@operation(
    "PATCH",
    "/tenants/{tenant}/resource-types/{resource_type}",
    body=shapes.ResourceTypeChange,
    answer=views.ResourceType,
)
def change_resource_type(call: Call, asked: shapes.ResourceTypeChange, resource_type: str) -> views.ResourceType:
    """Describe a resource type anew, or change which schemas extend it; ours can be extended too."""
    changed = change_type(
        call.tx,
        resource_type,
        description=asked.description,
        extensions=None if asked.extensions is None else _extensions(asked.extensions),
        expected_version=expected_version(),
        caller=call.caller,
        now=call.now,
    )
    return _type(changed)


@operation("DELETE", "/tenants/{tenant}/resource-types/{resource_type}")
def delete_resource_type(call: Call, resource_type: str) -> None:
    """Forget a resource type of which there is no resource."""
    delete_type(call.tx, resource_type, caller=call.caller, now=call.now)
