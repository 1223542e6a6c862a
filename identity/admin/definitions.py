"""Schemas and resource types that a tenant defines, in the names of RFC 7643 §6 and §7."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from identity.actions import definitions as actions
from identity.admin.endpoints import delete, get, operation, patch, post
from identity.admin.requests import Change, PrincipalKind, RequestModel
from identity.admin.responses import Flattened, Items, JsonObject, ResponseModel
from identity.edge.call import Call
from identity.model.resource_type import (
    DESCRIPTION_CHARACTERS_MAX,
    EXTENSIONS_MAX,
    DefinedSchema,
    DefinedType,
    Extension,
)
from identity.model.schema_document import ATTRIBUTES_MAX, ID_CHARACTERS_MAX

SCHEMAS = "/tenants/{tenant}/schemas"
SCHEMA = f"{SCHEMAS}/{{schema}}"
TYPES = "/tenants/{tenant}/resource-types"
TYPE = f"{TYPES}/{{resource_type}}"

SchemaId = Annotated[str, StringConstraints(min_length=1, max_length=ID_CHARACTERS_MAX)]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Attributes = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=ATTRIBUTES_MAX)]


class NewSchema(RequestModel):
    """A Schema document (RFC 7643 §7). What it leaves out is that section's default."""

    id: SchemaId
    name: Description | None = None
    description: Description | None = None
    attributes: Attributes


class SchemaChange(Change):
    """The next version; what is left out stays as it is. Attributes are given all together."""

    name: Description | None = None
    description: Description | None = None
    attributes: Attributes | None = None


class SchemaExtension(RequestModel):
    """A schema that extends a resource type."""

    schema_: Annotated[SchemaId, Field(alias="schema")]
    required: bool = False


Extensions = Annotated[
    tuple[Annotated[SchemaExtension, AfterValidator(lambda it: Extension(it.schema_, it.required))], ...],
    Field(max_length=EXTENSIONS_MAX),
]


class NewResourceType(RequestModel):
    """A resource type of the tenant's own, over schemas that it has defined."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=65)]
    description: Description = ""
    core_schema: Annotated[SchemaId, Field(alias="schema")]
    extensions: Annotated[Extensions, Field(alias="schemaExtensions")] = ()


class ResourceTypeChange(Change):
    """What is left out stays as it is. Extensions are given all together."""

    description: Description | None = None
    extensions: Annotated[Extensions | None, Field(alias="schemaExtensions")] = None


class Schema(Flattened):
    """One version of a schema that the tenant defined, with every default written out."""

    INNER = "document"

    id: str
    name: str
    description: str
    attributes: list[JsonObject]
    version: int
    created_at: datetime


class ResourceType(ResponseModel):
    """One of ours, with what extends it in this tenant, or one that the tenant defined."""

    class SchemaExtension(ResponseModel):
        """A schema that extends a resource type."""

        model_config = ConfigDict(serialize_by_alias=True)

        schema_: Annotated[str, Field(alias="schema")]
        required: bool

    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    kind: PrincipalKind
    is_built_in: bool
    endpoint: str
    description: str
    schema_: Annotated[str | None, Field(alias="schema")]
    extensions: Annotated[
        list[SchemaExtension], Field(validation_alias="extensions", serialization_alias="schemaExtensions")
    ]
    version: int
    created_at: datetime
    updated_at: datetime


class SchemaList(Items[Schema]):
    """The newest version of each schema, by id; or all versions of one, newest first."""


class ResourceTypeList(Items[ResourceType]):
    """Resource types: ours, then the tenant's own by name."""


@operation("POST", SCHEMAS, body=NewSchema, response=Schema, status=201)
def define_schema(call: Call, requested: NewSchema) -> DefinedSchema:
    """Define a schema; a resource type that names it puts it to use."""
    document = requested.model_dump(exclude_none=True)
    return actions.define_schema(call.tx, document, caller=call.caller, now=call.now)


get(SCHEMAS, actions.list_schemas, "List the schemas that the tenant defined", SchemaList, name="list_schemas")
get(SCHEMA, actions.get_schema, "Read the newest version of a schema", Schema)
get(
    f"{SCHEMA}/versions",
    actions.get_schema_versions,
    "List every version of a schema",
    SchemaList,
    name="list_schema_versions",
)
patch(
    SCHEMA,
    actions.change_schema,
    "Write the next version of a schema: it may add and loosen, never change what is stored",
    Schema,
    body=SchemaChange,
)
delete(SCHEMA, actions.delete_schema, "Forget a schema that no resource type uses")
post(
    TYPES,
    actions.define_type,
    "Give the tenant a resource type of its own",
    ResourceType,
    body=NewResourceType,
    status=201,
    name="define_resource_type",
)


@operation("GET", TYPES, response=ResourceTypeList)
def list_resource_types(call: Call) -> list[DefinedType]:
    """List resource types: ours, and the tenant's own."""
    return actions.list_types(call.tx, now=call.now)


@operation("GET", TYPE, response=ResourceType)
def get_resource_type(call: Call, resource_type: str) -> DefinedType:
    """Read one resource type."""
    return actions.get_type(call.tx, resource_type, now=call.now)


patch(
    TYPE,
    actions.change_type,
    "Describe a resource type anew, or change which schemas extend it; ours can be extended too",
    ResourceType,
    body=ResourceTypeChange,
    name="change_resource_type",
)
delete(TYPE, actions.delete_type, "Forget a resource type of which there is no resource", name="delete_resource_type")
