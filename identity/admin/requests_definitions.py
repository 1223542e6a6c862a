"""What may be asked about schemas and resource types, in the names of RFC 7643 §6 and §7."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from identity.admin.requests import Asked
from identity.model.resource_type import DESCRIPTION_CHARACTERS_MAX, EXTENSIONS_MAX
from identity.model.schema_document import ATTRIBUTES_MAX, ID_CHARACTERS_MAX

SchemaId = Annotated[str, StringConstraints(min_length=1, max_length=ID_CHARACTERS_MAX)]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Attributes = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=ATTRIBUTES_MAX)]


class NewSchema(Asked):
    """A Schema document (RFC 7643 §7). What it leaves out is that section's default."""

    id: SchemaId
    name: Description | None = None
    description: Description | None = None
    attributes: Attributes


class SchemaChange(Asked):
    """The next version; what is left out stays as it is. Attributes are given all together."""

    name: Description | None = None
    description: Description | None = None
    attributes: Attributes | None = None


class SchemaExtension(Asked):
    """A schema that extends a resource type."""

    schema_: Annotated[SchemaId, Field(alias="schema")]
    required: bool = False


Extensions = Annotated[tuple[SchemaExtension, ...], Field(max_length=EXTENSIONS_MAX)]


class NewResourceType(Asked):
    """A resource type of the tenant's own, over schemas that it has defined."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=65)]
    description: Description = ""
    schema_: Annotated[SchemaId, Field(alias="schema")]
    extensions: Annotated[Extensions, Field(alias="schemaExtensions")] = ()


class ResourceTypeChange(Asked):
    """What is left out stays as it is. Extensions are given all together."""

    description: Description | None = None
    extensions: Annotated[Extensions | None, Field(alias="schemaExtensions")] = None
