"""The OpenAPI 3.1 document, generated from the declarations that serve the requests."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from identity.admin.endpoints import NAMES, OPERATIONS, Operation
from identity.admin.errors import KINDS
from identity.admin.responses import Problem

REFERENCE = "#/components/schemas/{model}"
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and request within 24 hours get the same answer, and are done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The version that is to be changed, in double quotes.",
    "schema": {"type": "string"},
}


@cache
def document() -> dict[str, Any]:
    """Return the document. Paths begin with /admin/v1, so that it needs no server entry."""
    paths: dict[str, dict[str, Any]] = {}
    for declared in OPERATIONS:
        paths.setdefault(f"/admin/v1{declared.path}", {})[declared.method.lower()] = _operation(declared)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Identity Foundation: admin API", "version": "1", "license": {"name": "Apache-2.0",
                 "identifier": "Apache-2.0"}},
        "security": [{"administrator": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "responses": {"Problem": {
                "description": "A problem (RFC 9457): " + ", ".join(sorted(KINDS)),
                "content": {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}},
            }},
            "securitySchemes": {"administrator": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def _schemas() -> dict[str, Any]:
    """Return the JSON schema of every request body and response, by name."""
    requests = {declared.body for declared in OPERATIONS if declared.body}
    responses = {declared.response for declared in OPERATIONS if declared.response} | {Problem}
    modes: list[tuple[JsonSchemaMode, set[type]]] = [("validation", requests), ("serialization", responses)]
    _, generated = TypeAdapter.json_schemas(
        [
            (model.__name__, mode, TypeAdapter(model))
            for mode, models in modes
            for model in sorted(models, key=lambda model: model.__name__)
        ],
        ref_template=REFERENCE,
    )
    schemas: dict[str, Any] = generated["$defs"]
    return schemas


def _operation(declared: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": declared.name,
        "summary": declared.summary,
        "parameters": [*map(_path_parameter, declared.parameters), *_query_parameters(declared), *_headers(declared)],
        "responses": {str(declared.status): _response(declared), "default": {"$ref": "#/components/responses/Problem"}},
    }
    if declared.body is not None:
        schema = {"$ref": REFERENCE.format(model=declared.body.__name__)}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if declared.is_public:
        described["security"] = []
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string"} if name in NAMES else {"type": "string", "format": "uuid"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(declared: Operation) -> list[dict[str, Any]]:
    if declared.query is None:
        return []
    schema = declared.query.model_json_schema(ref_template=REFERENCE)
    shared = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _inlined(member, shared),
        }
        for name, member in schema["properties"].items()
    ]


def _inlined(schema: Any, shared: dict[str, Any]) -> Any:
    """Return a schema with each reference replaced by the definition that it names."""
    match schema:
        case {"$ref": str(reference)}:
            return _inlined(shared[reference.rsplit("/", 1)[-1]], shared)
        case dict():
            return {name: _inlined(member, shared) for name, member in schema.items()}
        case list():
            return [_inlined(item, shared) for item in schema]
        case _:
            return schema


def _headers(declared: Operation) -> list[dict[str, Any]]:
    if declared.method == "POST":
        return [IDEMPOTENCY_KEY]
    return [IF_MATCH] if declared.method == "PATCH" else []


def _response(declared: Operation) -> dict[str, Any]:
    if declared.response is None:
        return {"description": "Done; there is nothing to show."}
    schema = {"$ref": REFERENCE.format(model=declared.response.__name__)}
    return {
        "description": (declared.response.__doc__ or declared.summary).strip(),
        "content": {"application/json": {"schema": schema}},
    }
