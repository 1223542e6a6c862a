"""Resource types over schemas (RFC 7643 §6), and the built-in ones, which JSON files beside this module describe."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from identity.model.principal import Kind
from identity.model.schema import Attribute, Mutability, Returned, Schema, read_schema

FOLDER = Path(__file__).parent

BESIDE: Mapping[Kind, frozenset[str]] = {
    Kind.USER: frozenset({"groups"}),
    Kind.GROUP: frozenset({"members"}),
    Kind.AGENT: frozenset({"owners", "groups"}),
    Kind.SERVICE_ACCOUNT: frozenset({"owners", "groups"}),
}
"""Attributes whose values are database rows of their own, and no part of a principal's document."""

AttributePath = tuple[str, ...]
"""Names that lead to an attribute in a document: the extension's URN if any, the attribute, the sub-attribute."""
Paths = frozenset[AttributePath]


@dataclass(frozen=True, slots=True)
class Link:
    """An attribute of a document that references resources of one type by id. ``extension`` is None in the core."""

    extension: str | None
    name: str
    resource_type: str


@dataclass(frozen=True)
class ResourceType:
    """One resource type. The keys of ``extensions`` and the ``required_extensions`` are URNs in lower case."""

    name: str
    kind: Kind
    endpoint: str
    description: str
    schema: Schema
    extensions: Mapping[str, Schema]
    required_extensions: frozenset[str] = field(default_factory=frozenset)

    def attribute(self, name: str) -> Attribute | None:
        """Return the core or common attribute of this name, in any case."""
        return self.schema.attribute(name) or every_resource().attribute(name)

    def schema_of(self, urn: str) -> Schema | None:
        """Return the core schema or the extension with this URN, in any case."""
        return self.schema if urn.lower() == self.schema.id.lower() else self.extensions.get(urn.lower())

    def extension_of(self, name: str) -> Schema | None:
        """Return the only extension with an attribute of this name; None if the core schema has one too."""
        if self.attribute(name) is not None:
            return None
        found = [extension for extension in self.extensions.values() if extension.attribute(name)]
        return found[0] if len(found) == 1 else None

    @property
    def beside(self) -> frozenset[str]:
        """The names of attributes whose values are rows."""
        return BESIDE.get(self.kind, frozenset())

    def rows(self, name: str) -> Attribute | None:
        """Return the attribute of this name if its values are rows."""
        return self.schema.attribute(name) if name in self.beside else None

    @cached_property
    def unique(self) -> tuple[tuple[str | None, Attribute], ...]:
        """The unique attributes of a tenant's schemas, each with the URN of its extension (None: core)."""
        core = self.schema.unique if self.kind.is_custom else ()  # a name of ours is unique by its column
        extending = ((each.id, attribute) for each in self.extensions.values() for attribute in each.unique)
        return (*((None, attribute) for attribute in core), *extending)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Attributes of the document that reference one resource type, so that ``$ref`` follows from the id."""
        found = []
        for path, attribute in self.attribute_paths():
            if attribute.is_link and attribute.name not in self.beside:
                named = attribute.sub_attributes["$ref"].resource_types
                if len(named) == 1:
                    found.append(Link(path[0] if len(path) > 1 else None, attribute.name, named[0]))
        return tuple(found)

    @cached_property
    def immutable(self) -> tuple[AttributePath, ...]:
        """The paths of immutable attributes and sub-attributes (RFC 7643 §2.2); a path into an array leads nowhere."""
        return tuple(path for path, each in self.attribute_paths() if each.mutability is Mutability.IMMUTABLE)

    @cached_property
    def always(self) -> Paths:
        """The paths of attributes that every answer contains (RFC 7643 §2.2, returned)."""
        return frozenset({("schemas",), ("id",)}) | self._returned(Returned.ALWAYS)

    @cached_property
    def on_request(self) -> Paths:
        """The paths of attributes that only an answer to a request for them contains."""
        return self._returned(Returned.REQUEST)

    def _returned(self, when: Returned) -> Paths:
        """Read-only attributes are no part of a document; the renderer decides about them."""
        return frozenset(
            path
            for path, attribute in self.attribute_paths()
            if attribute.returned is when and attribute.mutability is not Mutability.READ_ONLY
        )

    def attribute_paths(self) -> Iterator[tuple[AttributePath, Attribute]]:
        """Yield every attribute and sub-attribute with its path, a parent before its parts."""
        for schema in self.schemas():
            prefix = () if schema is self.schema else (schema.id,)
            for attribute in schema.attributes.values():
                yield (*prefix, attribute.name), attribute
                for sub in attribute.sub_attributes.values():
                    yield (*prefix, attribute.name, sub.name), sub

    def schemas(self) -> Iterator[Schema]:
        """Yield the core schema, then the extensions."""
        yield self.schema
        yield from self.extensions.values()


@cache
def _schema_named(name: str) -> Schema:
    return read_schema(json.loads((FOLDER / f"{name}.json").read_bytes()))


def every_resource() -> Schema:
    """Return the schema of the common attributes schemas, id and meta (RFC 7643 §3.1)."""
    return _schema_named("every_resource")


@cache
def resource_types() -> Mapping[str, ResourceType]:
    """Return the built-in resource types by endpoint without the slash: ``Users``."""
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
    """Return the built-in resource type of a kind of principal."""
    return next(type_ for type_ in resource_types().values() if type_.kind is kind)
