"""The resource types of a tenant: the built-in ones with its extensions, and its own (RFC 7643 §6).

The definitions of a tenant have a version. A process parses each version once; an unchanged version costs no query.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

from identity.actions.bounded_cache import BoundedCache
from identity.actions.definitions import read_definitions
from identity.edge.tx import Tx
from identity.model.access import Caller
from identity.model.errors import NotFound
from identity.model.ids import TenantId
from identity.model.principal import Kind
from identity.model.resource_type import DefinedType, Definitions
from identity.model.schema import Schema, read_schema
from scim.schema.resource_types import ResourceType, resource_type_of, resource_types

KEPT_MAX = 500  # catalogues of tenants in this process; the least recently used are dropped


@dataclass(frozen=True)
class Catalogue:
    """Every resource type by its endpoint without the slash: ``Users``."""

    types: Mapping[str, ResourceType]

    def at(self, endpoint: str) -> ResourceType:
        """Return the resource type at an endpoint. Raises ``NotFound``."""
        found = self.types.get(endpoint)
        if found is None:
            raise NotFound("no endpoint at this path")
        return found

    def of(self, kind: Kind) -> ResourceType | None:
        """Return the resource type of a kind of principal; None if its definition has been deleted."""
        return self._by_kind.get(kind)

    def named(self, name: str) -> ResourceType | None:
        """Return the resource type of a name in ``referenceTypes``."""
        return self._by_name.get(name)

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """Every schema in use, by its id."""
        return {schema.id: schema for type_ in self.types.values() for schema in type_.schemas()}

    @cached_property
    def _by_kind(self) -> Mapping[Kind, ResourceType]:
        return {type_.kind: type_ for type_ in self.types.values()}

    @cached_property
    def _by_name(self) -> Mapping[str, ResourceType]:
        return {type_.name: type_ for type_ in self.types.values()}


@cache
def built_in() -> Catalogue:
    """Return the catalogue of a tenant without definitions."""
    return Catalogue(resource_types())


def make_catalogue(definitions: Definitions) -> Catalogue:
    """Return the catalogue of a tenant with definitions."""
    used = {id_ for type_ in definitions.types for id_ in (type_.schema, *(each.schema for each in type_.extensions))}
    schemas = {each.id: read_schema(each.document) for each in definitions.schemas if each.id in used}
    made = {defined.endpoint.lstrip("/"): _resource_type(defined, schemas) for defined in definitions.types}
    return Catalogue({**resource_types(), **made})


def _resource_type(defined: DefinedType, schemas: Mapping[str, Schema]) -> ResourceType:
    if defined.schema is None:
        type_ = resource_type_of(defined.kind)
    else:
        schema = _with_external_id(schemas[defined.schema])
        type_ = ResourceType(defined.name, defined.kind, defined.endpoint, defined.description, schema, {})
    more = {each.schema.lower(): schemas[each.schema] for each in defined.extensions}
    required = frozenset(each.schema.lower() for each in defined.extensions if each.required)
    return replace(type_, extensions={**type_.extensions, **more}, required_extensions=required)


def _with_external_id(schema: Schema) -> Schema:
    """Every resource can have an externalId (RFC 7643 §3.1), but clients use only attributes that a schema lists."""
    if schema.attribute("externalId") is not None:
        return schema
    ours = resource_type_of(Kind.GROUP).schema.json["attributes"]
    listed = next(attribute for attribute in ours if attribute["name"] == "externalId")
    return read_schema({**schema.json, "attributes": [*schema.json["attributes"], listed]})


_KEPT: BoundedCache[TenantId, tuple[int, Catalogue]] = BoundedCache(KEPT_MAX)


def catalogue_of(tx: Tx, caller: Caller) -> Catalogue:
    """Return the catalogue of the tenant that is called, as it was when the caller was authenticated or newer."""
    version = caller.catalogue_version
    if version == 0:
        return built_in()
    tenant_id = tx.tenant_id
    kept = _KEPT.get(tenant_id)
    if kept is not None and kept[0] == version:
        return kept[1]
    made = make_catalogue(read_definitions(tx))
    _KEPT.put(tenant_id, (version, made))
    return made
