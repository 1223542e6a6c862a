"""What is answered of schemas and resource types, in the names of RFC 7643 §6 and §7."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from identity.admin.kinds import PrincipalKind
from identity.admin.responses import Items, JsonObject, View


class Schema(View):
    """One version of a schema that the tenant defined, with every default written out."""

    id: str
    name: str
    description: str
    attributes: list[JsonObject]
    version: int
    created_at: datetime


class SchemaExtension(View):
    """A schema that extends a resource type."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, from_attributes=True, frozen=True)

    schema_: Annotated[str, Field(alias="schema")]
    required: bool


class ResourceType(View):
    """One of ours, with what extends it in this tenant, or one that the tenant defined."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True, from_attributes=True, frozen=True)

    name: str
    kind: PrincipalKind
    is_built_in: bool
    endpoint: str
    description: str
    schema_: Annotated[str | None, Field(alias="schema")]
    extensions: Annotated[list[SchemaExtension], Field(alias="schemaExtensions")]
    version: int
    created_at: datetime
    updated_at: datetime


class SchemaList(Items[Schema]):
    """The newest version of each schema, by id; or all versions of one, newest first."""


class ResourceTypeList(Items[ResourceType]):
    """Resource types: ours, then the tenant's own by name."""
