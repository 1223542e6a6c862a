"""Schemas: how attributes behave (RFC 7643 §2, §7). Names are compared without case (§2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any


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
    """When an answer contains an attribute (RFC 7643 §2.2)."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


class Uniqueness(StrEnum):
    """The scope in which a value is unique (RFC 7643 §2.2). Here ``global`` means: in the tenant."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


NOT_RESOURCES = frozenset({"external", "uri"})
"""Reference types that name no resource of this server (RFC 7643 §7)."""


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
    uniqueness: Uniqueness = Uniqueness.NONE
    reference_types: tuple[str, ...] = ()

    @property
    def is_complex(self) -> bool:
        """True when values are objects."""
        return self.type is Type.COMPLEX

    def sub_attribute(self, name: str) -> "Attribute | None":
        """Return the sub-attribute that ``name`` spells in any case."""
        return self.sub_attributes.get(name.lower())

    @property
    def is_link(self) -> bool:
        """True when a value references another resource by id, so that the server sets ``$ref`` and ``display``."""
        reference, value = self.sub_attributes.get("$ref"), self.sub_attributes.get("value")
        is_id = value is not None and value.type is Type.STRING and not value.multi_valued
        return is_id and reference is not None and bool(reference.resource_types)

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The names of the resource types that a reference may name."""
        return tuple(name for name in self.reference_types if name not in NOT_RESOURCES)


@dataclass(frozen=True)
class Schema:
    """A schema: how its attributes behave, and the JSON by which clients discover that."""

    id: str
    attributes: Mapping[str, Attribute]
    json: Mapping[str, Any]

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute that ``name`` spells in any case."""
        return self.attributes.get(name.lower())

    @cached_property
    def unique(self) -> tuple[Attribute, ...]:
        """Attributes of which no two resources of a type have the same value."""
        return tuple(each for each in self.attributes.values() if each.uniqueness is not Uniqueness.NONE)


def read_attribute(source: Mapping[str, Any]) -> Attribute:
    """Return the attribute that a Schema document describes, with the defaults of RFC 7643 §2.2."""
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
        uniqueness=Uniqueness(source.get("uniqueness", "none")),
        reference_types=tuple(source.get("referenceTypes", ())),
    )


def read_schema(source: Mapping[str, Any]) -> Schema:
    """Return the schema that a Schema document describes."""
    attributes = [read_attribute(attribute) for attribute in source["attributes"]]
    return Schema(source["id"], {attribute.name.lower(): attribute for attribute in attributes}, source)
