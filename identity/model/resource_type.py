"""Resource types that a tenant defines, and its extensions of the built-in ones (RFC 7643 §6)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from identity.model.errors import InvalidRequest
from identity.model.principal import CUSTOM, Kind

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
ENDPOINT = re.compile(r"/[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)

BUILT_IN: Mapping[str, Kind] = {
    "User": Kind.USER,
    "Group": Kind.GROUP,
    "Agent": Kind.AGENT,
    "ServiceAccount": Kind.SERVICE_ACCOUNT,
}
OUR_ENDPOINTS: Mapping[str, str] = {name: f"/{name}s" for name in BUILT_IN}
RESERVED_NAMES = frozenset({"schema", "resourcetype", "serviceproviderconfig"})
TAKEN_ENDPOINTS = frozenset({
    *(endpoint.lower() for endpoint in OUR_ENDPOINTS.values()), "/me", "/bulk", "/schemas", "/resourcetypes",
    "/serviceproviderconfig", "/asyncrequests",
})  # fmt: skip
"""Endpoints in lower case that this server has, or that a standard reserves."""

RESOURCE_TYPES_MAX = 24  # of one tenant; a search at the root evaluates its filter for each
SCHEMAS_MAX = 50
DOCUMENTS_CHARACTERS_MAX = 1_000_000  # of all schemas of a tenant: each process keeps them parsed
EXTENSIONS_MAX = 20  # of one resource type
DESCRIPTION_CHARACTERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Extension:
    """A schema that extends a resource type; one that is ``required`` every resource has (RFC 7643 §6)."""

    schema: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class DefinedType:
    """A resource type as a tenant defined it. ``schema`` is None for one of ours, which a tenant only extends."""

    name: str
    kind: Kind
    endpoint: str
    description: str
    schema: str | None
    extensions: tuple[Extension, ...]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_built_in(self) -> bool:
        """True for a type that every tenant has."""
        return self.schema is None


@dataclass(frozen=True, slots=True)
class DefinedSchema:
    """One version of a schema that a tenant defined. ``document`` has every default written out."""

    id: str
    version: int
    document: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Definitions:
    """All that a tenant defined, as it is now."""

    schemas: tuple[DefinedSchema, ...]
    types: tuple[DefinedType, ...]


def kind_of(name: str) -> Kind:
    """Return the kind of the principals of a resource type."""
    return BUILT_IN.get(name) or Kind(CUSTOM + name)


def check_name(name: str) -> str:
    """Return ``name`` when it can be a resource type's. Raises ``InvalidRequest``."""
    taken = {each.lower() for each in BUILT_IN} | RESERVED_NAMES
    if not NAME.fullmatch(name) or name.lower() in taken:
        raise InvalidRequest(
            "name must be 1 to 64 letters and digits, and not the name of a built-in type", pointer="/name"
        )
    return name


def check_endpoint(endpoint: str) -> str:
    """Return ``endpoint`` when resources can be there. Raises ``InvalidRequest``."""
    if not ENDPOINT.fullmatch(endpoint) or endpoint.lower() in TAKEN_ENDPOINTS:
        raise InvalidRequest(
            "endpoint must be / and 1 to 64 letters and digits, and not a built-in endpoint", pointer="/endpoint"
        )
    return endpoint


def check_extensions(extensions: Iterable[Extension], known: Mapping[str, str]) -> tuple[Extension, ...]:
    """Return the extensions, spelt as their schemas are. ``known`` maps ids in lower case to themselves.

    Raises ``InvalidRequest``.
    """
    found: list[Extension] = []
    for index, extension in enumerate(extensions):
        id_ = known.get(extension.schema.lower())
        if id_ is None or id_ in {each.schema for each in found}:
            raise InvalidRequest(
                "must be a schema of this tenant, listed once", pointer=f"/schemaExtensions/{index}/schema"
            )
        found.append(Extension(id_, extension.required))
    return tuple(found)
