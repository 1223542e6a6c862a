"""What a tenant's administrator defines, and what its source then sends and finds."""

from collections.abc import Callable
from typing import Any

from identity.actions.definitions import change_type, define_schema, define_type
from identity.edge.runtime import Runtime
from identity.model.resource_type import Extension
from identity.store.transaction import transaction
from tests.scim.sources import ADMINISTRATOR, Source

BADGE = "urn:example:params:scim:Badge"
DEVICE = "urn:example:params:scim:Device"

BADGE_DOCUMENT = {
    "id": BADGE,
    "attributes": [
        {"name": "number", "type": "string", "uniqueness": "server"},
        {"name": "floors", "type": "integer", "multiValued": True},
        {"name": "issuedOn", "type": "dateTime", "mutability": "immutable",
         "canonicalValues": ["2026-01-01T00:00:00Z"]},
        {"name": "note", "type": "string", "returned": "request"},
        {"name": "title", "type": "string"},
        {"name": "locks", "type": "complex", "multiValued": True, "subAttributes": [
            {"name": "value", "type": "string", "required": True},
            {"name": "location", "type": "string", "caseExact": True},
            {"name": "weight", "type": "decimal"},
        ]},
    ],
}  # fmt: skip
DEVICE_DOCUMENT = {
    "id": DEVICE,
    "attributes": [
        {"name": "serial", "type": "string", "required": True, "uniqueness": "server", "caseExact": True},
        {"name": "displayName", "type": "string"},
        {"name": "externalId", "type": "string", "caseExact": True},
        {"name": "active", "type": "boolean"},
        {"name": "colour", "type": "string", "returned": "always"},
        {"name": "keeper", "type": "complex", "subAttributes": [
            {"name": "value", "type": "string", "caseExact": True},
            {"name": "$ref", "type": "reference", "referenceTypes": ["User"]},
        ]},
        {"name": "members", "type": "string", "multiValued": True},
    ],
}  # fmt: skip


class Defined:
    """A tenant's definitions, made as its administrator makes them."""

    def __init__(self, runtime: Runtime, source: Source) -> None:
        self.runtime, self.source = runtime, source

    def do(self, verb: Callable[..., Any], *positional: Any, **named: Any) -> Any:
        with transaction(self.runtime.engine, self.source.tenant_id) as tx:
            return verb(tx, *positional, **named, caller=ADMINISTRATOR, now=self.runtime.clock())

    def extend(self, name: str, *ids: str, required: bool = False) -> None:
        extensions = [Extension(id_, required) for id_ in ids]
        self.do(change_type, name, {"extensions": extensions}, expected_version=None)

    def badge(self) -> None:
        self.do(define_schema, BADGE_DOCUMENT)
        self.extend("User", BADGE)

    def device(self) -> None:
        self.do(define_schema, DEVICE_DOCUMENT)
        self.do(define_type, name="Device", endpoint="/Devices", description="", core_schema=DEVICE, extensions=[])


def device(source: Source, serial: str, status: int = 201, **more: Any) -> Any:
    return source.post("/Devices", {"schemas": [DEVICE], "serial": serial, **more}, status)


def find(source: Source, where: str, endpoint: str = "/Users") -> list[str]:
    page = source.ask("GET", endpoint, None)
    assert page.status_code == 200
    found = source.answer("POST", f"{endpoint}/.search", {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": where,
    })  # fmt: skip
    return [each.get("userName") or each.get("serial") for each in found["Resources"]]
