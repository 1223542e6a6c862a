"""Schemas and resource types, read from data (RFC 7643 §6, §7). Names are compared without case (§2.1)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from identity.model.principal import Kind

FOLDER = Path(__file__).with_name("schemas")


class Type(StrEnum):
    """Attribute types of RFC 7643 §2.3."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    REFERENCE = "reference"
    BINARY = "binary"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """Who may write an attribute, and when (RFC 7643 §2.2)."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute is answered (RFC 7643 §2.2)."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute with its characteristics. ``sub_attributes`` is keyed by the lower-case name."""

    name: str
    type: Type
    multi_valued: bool
    required: bool
    case_exact: bool
    mutability: Mutability
    returned: Returned
    sub_attributes: "Mapping[str, Attribute]"

    @property
    def is_complex(self) -> bool:
        """True when values are objects."""
        return self.type is Type.COMPLEX

    def sub_attribute(self, name: str) -> "Attribute | None":
        """Return the sub-attribute that ``name`` spells in any case."""
        return self.sub_attributes.get(name.lower())

    @property
    def is_link(self) -> bool:
        """True when a value names another resource by id, so that its ``$ref`` and ``display`` are ours to say."""
        return "$ref" in self.sub_attributes and "value" in self.sub_attributes


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: how its attributes behave, and the JSON by which clients discover that."""

    id: str
    attributes: Mapping[str, Attribute]
    json: Mapping[str, Any]

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute that ``name`` spells in any case."""
        return self.attributes.get(name.lower())


@dataclass(frozen=True, slots=True)
class ResourceType:
    """What lives at one endpoint. ``extensions`` is keyed by the lower-case URN."""

    name: str
    kind: Kind
    endpoint: str
    description: str
    schema: Schema
    extensions: Mapping[str, Schema]

    def attribute(self, name: str) -> Attribute | None:
        """Return the core or every-resource attribute that ``name`` spells in any case."""
        return self.schema.attribute(name) or every_resource().attribute(name)

    def schema_of(self, urn: str) -> Schema | None:
        """Return the core schema or the extension that ``urn`` names in any case."""
        return self.schema if urn.lower() == self.schema.id.lower() else self.extensions.get(urn.lower())

    def extension_of(self, name: str) -> Schema | None:
        """Return the one extension that has an attribute which the core schema has not."""
        if self.attribute(name) is not None:
            return None
        found = [extension for extension in self.extensions.values() if extension.attribute(name)]
        return found[0] if len(found) == 1 else None

    def schemas(self) -> Iterator[Schema]:
        """Return the core schema, then the extensions."""
        yield self.schema
        yield from self.extensions.values()


def read_attribute(source: Mapping[str, Any]) -> Attribute:
    """Return the attribute that a Schema document describes; what it leaves out is RFC 7643 §2.2's default."""
    type_ = Type(source["type"])
    subs = [read_attribute(sub) for sub in source.get("subAttributes", ())]
    return Attribute(
        name=source["name"],
        type=type_,
        multi_valued=source.get("multiValued", False),
        required=source.get("required", False),
        case_exact=source.get("caseExact", False) or type_ in (Type.REFERENCE, Type.BINARY),
        mutability=Mutability(source.get("mutability", "readWrite")),
        returned=Returned(source.get("returned", "default")),
        sub_attributes={sub.name.lower(): sub for sub in subs},
    )


def read_schema(source: Mapping[str, Any]) -> Schema:
    """Return the schema that a Schema document describes."""
    attributes = [read_attribute(attribute) for attribute in source["attributes"]]
    return Schema(source["id"], {attribute.name.lower(): attribute for attribute in attributes}, source)


@cache
def _schema_named(name: str) -> Schema:
    return read_schema(json.loads((FOLDER / f"{name}.json").read_bytes()))


def every_resource() -> Schema:
    """Return schemas, id and meta, which every resource has and no schema lists (RFC 7643 §3.1)."""
    return _schema_named("every_resource")


@cache
def resource_types() -> Mapping[str, ResourceType]:
    """Return every resource type by its endpoint without the slash: ``Users``."""
    types = [_resource_type(source) for source in json.loads((FOLDER / "resource_types.json").read_bytes())]
    return {type_.endpoint.lstrip("/"): type_ for type_ in types}


def _resource_type(source: Mapping[str, Any]) -> ResourceType:
    extensions = [_schema_named(name) for name in source["extensions"]]
    return ResourceType(
        name=source["name"],
        kind=Kind(source["kind"]),
        endpoint=source["endpoint"],
        description=source["description"],
        schema=_schema_named(source["schema"]),
        extensions={extension.id.lower(): extension for extension in extensions},
    )


@cache
def resource_type_of(kind: Kind) -> ResourceType:
    """Return the resource type of a kind of principal."""
    return next(type_ for type_ in resource_types().values() if type_.kind is kind)


def all_schemas() -> Mapping[str, Schema]:
    """Return every schema in use, by its URN."""
    return {schema.id: schema for type_ in resource_types().values() for schema in type_.schemas()}
