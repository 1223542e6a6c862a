"""Resource types, over schemas that are data (RFC 7643 §6): ours, and those that a tenant defines."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from identity.model.principal import Kind
from identity.model.schema import Attribute, Mutability, Returned, Schema, Type, Uniqueness, read_schema

__all__ = [
    "Attribute",
    "Link",
    "Mutability",
    "ResourceType",
    "Returned",
    "Schema",
    "Type",
    "Uniqueness",
    "every_resource",
    "resource_type_of",
    "resource_types",
]

FOLDER = Path(__file__).parent

BESIDE: Mapping[Kind, frozenset[str]] = {
    Kind.USER: frozenset({"groups"}),
    Kind.GROUP: frozenset({"members"}),
    Kind.AGENT: frozenset({"owners", "groups"}),
    Kind.SERVICE_ACCOUNT: frozenset({"owners", "groups"}),
}
"""Attributes that are rows beside a principal, and no part of its document."""

Paths = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Link:
    """An attribute of a document that names resources of one type by their ids."""

    extension: str | None
    name: str
    resource_type: str


@dataclass(frozen=True)
class ResourceType:
    """What lives at one endpoint. ``extensions`` is keyed by the URN in lower case, as is ``required_extensions``."""

    name: str
    kind: Kind
    endpoint: str
    description: str
    schema: Schema
    extensions: Mapping[str, Schema]
    required_extensions: frozenset[str] = field(default_factory=frozenset)

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

    @property
    def beside(self) -> frozenset[str]:
        """The names of attributes that are rows beside a resource."""
        return BESIDE.get(self.kind, frozenset())

    def rows(self, name: str) -> Attribute | None:
        """Return the attribute of that name if its values are rows beside a resource."""
        return self.schema.attribute(name) if name in self.beside else None

    @cached_property
    def unique(self) -> tuple[tuple[str | None, Attribute], ...]:
        """Attributes of a tenant's schemas of which no two resources have the same value, each with its extension."""
        core = self.schema.unique if self.kind.is_custom else ()  # a name of ours is unique by its column
        extending = ((each.id, attribute) for each in self.extensions.values() for attribute in each.unique)
        return (*((None, attribute) for attribute in core), *extending)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Attributes of the document whose ``$ref`` can be made of the id, for they name one resource type."""
        return tuple(self._links())

    def _links(self) -> Iterator[Link]:
        for schema in self.schemas():
            for attribute in schema.attributes.values():
                if attribute.is_link and attribute.name not in self.beside:
                    named = attribute.sub_attributes["$ref"].resource_types
                    if len(named) == 1:
                        yield Link(None if schema is self.schema else schema.id, attribute.name, named[0])

    @cached_property
    def immutable(self) -> tuple[tuple[str, ...], ...]:
        """Where values are that never change once they are set, but for those in rows and in arrays."""
        return tuple(self._immutable())

    def _immutable(self) -> Iterator[tuple[str, ...]]:
        for schema in self.schemas():
            prefix = () if schema is self.schema else (schema.id,)
            for attribute in schema.attributes.values():
                if attribute.mutability is Mutability.IMMUTABLE:
                    yield (*prefix, attribute.name)
                elif not attribute.multi_valued:
                    subs = attribute.sub_attributes.values()
                    yield from ((*prefix, attribute.name, s.name) for s in subs if s.mutability is Mutability.IMMUTABLE)

    @cached_property
    def always(self) -> Paths:
        """Where attributes are that are answered whatever is asked for (RFC 7643 §2.2, returned)."""
        return frozenset({("schemas",), ("id",), *self._returned(Returned.ALWAYS)})

    @cached_property
    def on_request(self) -> Paths:
        """Where attributes of a document are that are answered only when they are asked for."""
        return frozenset(self._returned(Returned.REQUEST))

    def _returned(self, when: Returned) -> Iterator[tuple[str, ...]]:
        """What is read-only is no part of a document: whoever renders it decides."""
        for schema in self.schemas():
            prefix = () if schema is self.schema else (schema.id,)
            for attribute in schema.attributes.values():
                if attribute.returned is when and attribute.mutability is not Mutability.READ_ONLY:
                    yield (*prefix, attribute.name)
                for sub in attribute.sub_attributes.values():
                    if sub.returned is when and sub.mutability is not Mutability.READ_ONLY:
                        yield (*prefix, attribute.name, sub.name)

    def schemas(self) -> Iterator[Schema]:
        """Return the core schema, then the extensions."""
        yield self.schema
        yield from self.extensions.values()


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
