"""The schemas that a server publishes for one endpoint (RFC 7643 §6, §7), for checks of a file."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.scim.expectations import Answer
from cli.scim.load.bulks import Bulks
from scim.schema.resource_types import FOLDER

Json = dict[str, Any]

CORE = "urn:ietf:params:scim:schemas:core:2.0:"
NAMES = {"users": "User", "groups": "Group"}
RFC_7643 = ("user.json", "group.json", "enterprise_user.json")
PASSWORD = {"name": "password", "type": "string", "multiValued": False, "mutability": "writeOnly"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; ``parts`` are its sub-attributes by name in lower case, ``kinds`` the types of its values."""

    name: str
    type: str
    is_array: bool
    is_required: bool
    is_read_only: bool
    parts: Mapping[str, "Attribute"]
    kinds: tuple[str, ...]

    @property
    def is_complex(self) -> bool:
        """True where its values have parts."""
        return self.type == "complex"


Attributes = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Extension:
    """A schema that adds attributes to a resource type."""

    urn: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource type: its core schema, and its extensions by their URNs in lower case."""

    name: str
    urn: str
    attributes: Attributes
    extensions: Mapping[str, Extension] = field(default_factory=dict)

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute of the core schema, or of every resource, that ``name`` spells in any case."""
        return self.attributes.get(name.lower()) or EVERY_RESOURCE.get(name.lower())

    def extending(self, name: str) -> list[Extension]:
        """Return the extensions that have an attribute of that name."""
        return [each for each in self.extensions.values() if name.lower() in each.attributes]


def resource_at(bulks: Bulks, endpoint: str) -> Resource | None:
    """Return the resource type that the server publishes for an endpoint, or None."""
    types = documents(bulks.get_or_none("/ResourceTypes"))
    schemas = documents(bulks.get_or_none("/Schemas"))
    named = next((type_ for type_ in types if _is_at(type_, endpoint)), None)
    return _resource(named or _type_by_name(endpoint, schemas), schemas)


def resource_of_the_standard(endpoint: str) -> Resource | None:
    """Return the resource type of RFC 7643 §4 for users or groups, for servers that publish none."""
    schemas = [json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in RFC_7643]
    schemas[0]["attributes"].append(PASSWORD)
    return _resource(_type_by_name(endpoint, schemas), schemas)


def documents(answer: Answer | None) -> list[Json]:
    """Return the resources of a ListResponse; none where the response is not one."""
    found = answer.member("Resources") if answer is not None and answer.status == 200 else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _is_at(type_: Json, endpoint: str) -> bool:
    return str(type_.get("endpoint", "")).rstrip("/").rpartition("/")[2].lower() == endpoint.lower()


def _type_by_name(endpoint: str, schemas: list[Json]) -> Json:
    name = NAMES.get(endpoint.lower(), "")
    extending = [each.get("id") for each in schemas if _extends(each, name)] if name else []
    return {"name": name, "schema": CORE + name, "schemaExtensions": [{"schema": urn} for urn in extending]}


def _extends(schema: Json, name: str) -> bool:
    urn = str(schema.get("id", "")).lower()
    return ":extension:" in urn and urn.endswith(f":{name.lower()}")


def _resource(type_: Json, schemas: list[Json]) -> Resource | None:
    by_urn = {str(each.get("id", "")).lower(): each for each in schemas}
    core = by_urn.get(str(type_.get("schema", "")).lower())
    attributes = _attributes(core)
    if core is None or not attributes:
        return None
    named = type_.get("schemaExtensions")
    urns = [str(each.get("schema", "")) for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    extensions = {urn.lower(): Extension(urn, _attributes(by_urn.get(urn.lower()))) for urn in urns}
    return Resource(str(type_.get("name") or core.get("name")), str(core["id"]), attributes, extensions)


def _attributes(schema: Json | None, member: str = "attributes") -> dict[str, Attribute]:
    found = (schema or {}).get(member)
    named = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return {each.name.lower(): each for each in map(_attribute, named)}


def _attribute(document: Json) -> Attribute:
    parts = _attributes(document, "subAttributes")
    kinds = document.get("canonicalValues")
    return Attribute(
        name=str(document.get("name", "")),
        type=str(document.get("type", "")),
        is_array=document.get("multiValued") is True,
        is_required=document.get("required") is True,
        is_read_only=document.get("mutability") == "readOnly",
        parts=parts,
        kinds=tuple(map(str, kinds)) if isinstance(kinds, list) else (),
    )


def _every(names: Iterable[tuple[str, str, bool]]) -> dict[str, Attribute]:
    found = (Attribute(name, type_, name == "schemas", False, read_only, {}, ()) for name, type_, read_only in names)
    return {each.name.lower(): each for each in found}


EVERY_RESOURCE: Attributes = _every([
    ("schemas", "reference", True), ("id", "string", True), ("externalId", "string", False), ("meta", "complex", True),
])  # fmt: skip
"""RFC 7643 §3.1: what each resource has, whether a schema says so or not."""
EVERY_VALUE = frozenset({"value", "display", "type", "primary", "$ref"})
"""RFC 7643 §2.4: what each value of a multi-valued attribute may have."""
