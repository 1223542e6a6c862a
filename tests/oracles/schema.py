"""What a resource type knows, read from its Schema documents (RFC 7643 §2.2, §3.1, §7) and from nothing else."""

from dataclasses import dataclass, field
from typing import Any

EVERY_RESOURCE: list[dict[str, Any]] = [
    {"name": "schemas", "type": "reference", "multiValued": True, "mutability": "readOnly", "required": True},
    {"name": "id", "type": "string", "caseExact": True, "mutability": "readOnly"},
    {
        "name": "meta",
        "type": "complex",
        "mutability": "readOnly",
        "subAttributes": [
            {"name": "resourceType", "type": "string", "caseExact": True, "mutability": "readOnly"},
            {"name": "created", "type": "dateTime", "mutability": "readOnly"},
            {"name": "lastModified", "type": "dateTime", "mutability": "readOnly"},
            {"name": "location", "type": "reference", "mutability": "readOnly"},
            {"name": "version", "type": "string", "caseExact": True, "mutability": "readOnly"},
        ],
    },
]
"""The attributes of RFC 7643 §3.1 that no schema need list."""


@dataclass(frozen=True)
class Attr:
    """One attribute; ``subs`` by lower-case name."""

    name: str
    type: str
    many: bool
    required: bool
    exact: bool
    mutability: str
    returned: str
    subs: dict[str, "Attr"]

    @property
    def read_only(self) -> bool:
        return self.mutability == "readOnly"

    @property
    def is_reference_to_a_resource(self) -> bool:
        return {"value", "$ref"} <= self.subs.keys()


@dataclass(frozen=True)
class Known:
    """The core schema and the extensions of one resource type."""

    core: dict[str, Any]
    extensions: list[dict[str, Any]] = field(default_factory=list)
    _read: dict[int, dict[str, Attr]] = field(default_factory=dict)

    def schemas(self) -> list[dict[str, Any]]:
        return [self.core, *self.extensions]

    def schema(self, urn: str) -> dict[str, Any] | None:
        return next((schema for schema in self.schemas() if schema["id"].lower() == urn.lower()), None)

    def attributes(self, schema: dict[str, Any]) -> dict[str, Attr]:
        if id(schema) not in self._read:
            documents = (EVERY_RESOURCE if schema is self.core else []) + list(schema["attributes"])
            self._read[id(schema)] = {each["name"].lower(): _attribute(each) for each in documents}
        return self._read[id(schema)]

    def find(self, uri: str | None, name: str) -> tuple[dict[str, Any], Attr] | None:
        """Return the schema and the attribute; without a URI, of the core schema."""
        schema = self.core if uri is None else self.schema(uri)
        attribute = None if schema is None else self.attributes(schema).get(name.lower())
        return None if schema is None or attribute is None else (schema, attribute)


def _attribute(document: dict[str, Any]) -> Attr:
    return Attr(
        name=document["name"],
        type=document["type"],
        many=document.get("multiValued", False),
        required=document.get("required", False),
        exact=document.get("caseExact", False) or document["type"] in ("reference", "binary"),
        mutability=document.get("mutability", "readWrite"),
        returned=document.get("returned", "default"),
        subs={sub["name"].lower(): _attribute(sub) for sub in document.get("subAttributes", ())},
    )
