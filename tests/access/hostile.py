"""Requests made from what the application says of itself, /Schemas and openapi.json: nearly right, or hostile."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.oracles.making import Choose, a_filter, a_path

Json = dict[str, Any]


class Raw(str):
    """JSON that is written as it is: what no value of Python becomes."""

    __slots__ = ()


HOSTILE: list[Any] = [
    Raw('"\\u0000"'), Raw('"\\ud800"'), Raw('"a\\udfffb"'), Raw('{"\\ud800": 1}'), Raw("9223372036854775808"),
    Raw("-9223372036854775809"), Raw("9" * 5_000), Raw("1e999"), Raw("-1e-999"), Raw("NaN"), Raw("-0"), Raw("1.0"),
    Raw('{"value": 1, "value": 2}'), Raw('{"value": "a", "VALUE": "b"}'), Raw("[" * 20 + "]" * 20),
    Raw("[" * 60 + "]" * 60), Raw('{"a":' * 40 + "1" + "}" * 40), Raw("[" + "{}," * 300 + "{}]"),
    Raw('"\\u202e\\u200b"'),
    Raw('"' + "x" * 9_000 + '"'), Raw('"%_\\\\%"'), Raw("[1, [2, [3]]]"), Raw("[null, null]"), Raw('{"": ""}'),
    "", "%", "_", "\\", "'", '"', "../..", "${x}", "{{x}}", "bulkId:x", "١", "\x7f", "True", "null", "W/\"1\"",
    0, -1, 1.5, 2**63 - 1, True, False, None, [], {}, [[]], [{}], {"value": None}, {"$ref": "x"},
    {"value": {"value": {}}},
    "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "urn:x",
    "https://x.example/" + "y" * 3_000,
]  # fmt: skip
TEXTS = [
    "", "\0", "%00", "\u202e", "é", "%", "_", "\\",
    "'", '"', "../..", "${x}", "1", "-1", "0", "9" * 30, "1e5", "١", "x" * 5_000,
    "a,b" * 500, "(" * 3_000, "[" * 100, "true", "null", "descending", "userName", "id", "meta.version", "*", ",,,",
    " ",
    'userName eq "\\u0000"', 'title eq "\\ud800"', " or ".join(["title pr"] * 60), 'title co "%_\\\\"',
    "title eq 1e999",
    "title eq 9223372036854775808", 'emails[emails[type eq "x"]]', 'title eq "' + "x" * 9_000 + '"', "not (" * 30,
    "\t\n",
]  # fmt: skip
SEGMENTS = [
    "x",
    "%00",
    "%ff",
    "..%2f..",
    "a" * 3_000,
    "%F0%9F%98%80",
    "-1",
    ".search",
    "01890000-0000-7000-8000-000000000000",
]
HEADERS = [
    ("If-Match", 'W/"1"'), ("If-Match", "*"), ("If-Match", '"' + "9" * 40 + '"'), ("If-Match", "\xff"),
    ("If-None-Match", "\xff"), ("Content-Type", "text/plain"), ("Content-Type", "\xff"), ("Content-Type",
    "application/"),
    ("Idempotency-Key", "\xff"), ("Idempotency-Key", "x" * 300), ("Idempotency-Key", "k"), ("Accept", "\xff"),
    ("Prefer", "\xff"),
    ("Prefer", "respond-async, respond-async"), ("X-Request-Id", "a\tb"), ("Content-Encoding", "gzip"), ("Range",
    "bytes=9-1"),
]  # fmt: skip


def written(value: Any) -> bytes:
    """Return a value as JSON, with what is raw in it as it is."""
    match value:
        case Raw():
            return value.encode()
        case dict():
            return (
                b"{" + b",".join(json.dumps(key).encode() + b":" + written(each) for key, each in value.items()) + b"}"
            )
        case list():
            return b"[" + b",".join(map(written, value)) + b"]"
    return json.dumps(value).encode()


def perhaps(choose: Choose, right: Callable[[], Any]) -> Any:
    """Return what is right or, once in a while, what is hostile."""
    return choose(HOSTILE) if choose([False] * 15 + [True]) else right()


# --- SCIM ------------------------------------------------------------------------------------------------------


def a_value(choose: Choose, attribute: Mapping[str, Any], ids: Sequence[str]) -> Any:
    """Return a value for an attribute of a Schema document."""
    one = perhaps(choose, lambda: _one_value(choose, attribute, ids))
    return [one] * choose([1, 1, 0, 2]) if attribute.get("multiValued") and choose([True, True, True, False]) else one


def _one_value(choose: Choose, attribute: Mapping[str, Any], ids: Sequence[str]) -> Any:
    match attribute["type"]:
        case "complex":
            subs = [sub for sub in attribute["subAttributes"] if choose([False, True])]
            found = {sub["name"]: a_value(choose, sub, ids) for sub in subs}
            return found | (
                {"value": choose(ids)} if "$ref" in {sub["name"] for sub in attribute["subAttributes"]} else {}
            )
        case "boolean":
            return choose([True, False, "True"])
        case "integer" | "decimal":
            return choose([0, 7, -1, 2**63 - 1, 1.5])
        case "dateTime":
            return choose(["2026-11-24T12:00:00Z", "2027-01-01T00:00:00+01:00", "2026-11-24"])
        case "reference":
            return choose(["https://x.example/a", f"https://x.example/Users/{ids[0]}", "x"])
        case "binary":
            return choose(["YQ==", "", "a", "é"])
    return choose(["a", "B", "work", "é", "日本", f"n{choose(range(99))}"])


def a_resource(choose: Choose, schemas: Sequence[Json], ids: Sequence[str]) -> Json:
    """Return a body of a resource type: its core schema first, then its extensions."""
    core, *extensions = schemas
    body: Json = {"schemas": perhaps(choose, lambda: [schema["id"] for schema in schemas])}
    for attribute in core["attributes"]:
        if attribute.get("required") or choose([False, False, True]):
            body[attribute["name"]] = a_value(choose, attribute, ids)
    for extension in extensions:
        if choose([False, True]):
            inner = [attribute for attribute in extension["attributes"] if choose([False, True])]
            body[extension["id"]] = {attribute["name"]: a_value(choose, attribute, ids) for attribute in inner}
    if choose([False, False, False, True]):
        body[choose(["x", "id", "meta", "schemas", "", "urn:x", "Password"])] = choose(HOSTILE)
    return body


def a_patch(choose: Choose, schemas: Sequence[Json], ids: Sequence[str]) -> Json:
    operations = [_operation(choose, schemas, ids) for _ in range(choose([1, 1, 2, 5]))]
    body: Json = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}
    return body | {"Operations": perhaps(choose, lambda: operations)}


def _operation(choose: Choose, schemas: Sequence[Json], ids: Sequence[str]) -> Json:
    schema = choose(schemas)
    attribute = choose(schema["attributes"])
    prefix = choose(["", f"{schema['id']}:"]) if schema is schemas[0] else f"{schema['id']}:"
    tail = choose(["", "", f'[value eq "{choose(ids)}"]', '[type eq "work"].value', ".value", ".type", "[type pr]"])
    path = perhaps(choose, lambda: choose([f"{prefix}{attribute['name']}{tail}"] * 3 + [a_path(choose)]))
    operation = {"op": perhaps(choose, lambda: choose(["add", "replace", "remove"])), "path": path}
    if choose([True, True, True, False]):
        operation["value"] = a_value(choose, attribute, ids)
    if choose([False, False, False, True]):
        del operation["path"]
        operation["value"] = perhaps(choose, lambda: {attribute["name"]: a_value(choose, attribute, ids)})
    return operation


def a_query(choose: Choose) -> Json:
    """Return parameters of a list or a search."""
    asked: Json = {}
    names = ["filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes", "x"]
    for name in names:
        if choose([False, False, True]):
            asked[name] = choose(TEXTS) if name != "filter" or choose([True, False]) else a_filter(choose)
    return asked


def a_search(choose: Choose) -> Json:
    asked = {name: perhaps(choose, lambda value=value: value) for name, value in a_query(choose).items()}  # type: ignore[misc]
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], **asked}


def a_bulk(choose: Choose, types: Mapping[str, Sequence[Json]], ids: Sequence[str]) -> Json:
    operations = [perhaps(choose, lambda: _bulk_operation(choose, types, ids)) for _ in range(choose([1, 2, 3, 5]))]
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "failOnErrors": choose([None, 1, 0, "x", 2**63 - 1]),
        "Operations": perhaps(choose, lambda: operations),
    }


def _bulk_operation(choose: Choose, types: Mapping[str, Sequence[Json]], ids: Sequence[str]) -> Json:
    endpoint, method = choose(list(types)), choose(["POST", "PUT", "PATCH", "DELETE"])
    named = [*ids, "bulkId:a", "bulkId:b", "x"]
    make = a_patch if method == "PATCH" else a_resource
    return {
        "method": perhaps(choose, lambda: method),
        "path": perhaps(choose, lambda: endpoint if method == "POST" else f"{endpoint}/{choose(named)}"),
        "bulkId": choose(["a", "b", "c", None, ""]),
        "version": choose([None, 'W/"1"', "x"]),
        "data": perhaps(choose, lambda: make(choose, types[endpoint], named)),
    }


# --- JSON Schema -----------------------------------------------------------------------------------------------


def an_instance(choose: Choose, schema: Json, document: Json, ids: Sequence[str]) -> Any:
    """Return a value for a schema of an OpenAPI document."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        return an_instance(choose, choose(schema["anyOf"]), document, ids)
    return perhaps(choose, lambda: _instance(choose, schema, document, ids))


def _instance(choose: Choose, schema: Json, document: Json, ids: Sequence[str]) -> Any:
    if "enum" in schema:
        return choose(schema["enum"])
    match schema.get("type"):
        case "object":
            required, members = schema.get("required", ()), schema.get("properties", {})
            asked = [name for name in members if name in required or choose([False, True])]
            return {name: an_instance(choose, members[name], document, ids) for name in asked}
        case "array":
            return [an_instance(choose, schema.get("items", {}), document, ids) for _ in range(choose([1, 0, 2]))]
        case "integer" | "number":
            return choose([1, 0, 60, -1, 2**31, 2**63 - 1])
        case "boolean":
            return choose([True, False])
        case "null":
            return None
    if schema.get("format") == "date-time":
        return choose(["2027-01-01T00:00:00Z", "2026-11-24", "9999-12-31T23:59:59-14:00"])
    return choose([*ids, "read", "a", "https://x.example", f"n{choose(range(99))}", "é"])
