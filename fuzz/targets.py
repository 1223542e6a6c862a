"""What is fuzzed: each target takes bytes, and returns a difference in words or None. Any exception is unexpected.

The first byte says whether the others are the input itself, or choices by which one is made that is nearly right.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.errors import InvalidRequest, LimitExceeded, Refusal
from identity.model.ids import TenantId
from identity.model.listing import Position
from scim.bulk.request import BULK_ID, Bulk, components_of, parse_bulk, references_in, resolved
from scim.dialects import DIALECTS, Dialect
from scim.filter.sorting import parse_sort
from scim.json_body import parse_body
from scim.resource.document import read_resource
from scim.resource.projection import parse_projection
from scim.schema.resource_types import ResourceType, resource_types
from scim.search.cursors import Cursor, Cursors
from scim.search.query import SEARCH_SCHEMA, query_of_body
from tests.oracles import differences, making, plain

TENANT = TenantId(UUID(int=7))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DOCUMENTS = [making.a_document(making.chooser(bytes(range(start, 250, step))))
             for start, step in ((1, 1), (2, 3), (5, 7), (11, 3))]  # fmt: skip
RESOURCES = [differences.oracle_resource(document) for document in DOCUMENTS]


def text_of(raw: bytes) -> str:
    """Return bytes as a text; half characters stay such."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def is_made(data: bytes) -> bool:
    return data[0] % 2 == 1


def a_filter(data: bytes) -> str | None:
    text = making.a_filter(making.chooser(data[1:])) if is_made(data) else text_of(data[1:])
    some = slice(data[-1] % 3, data[-1] % 3 + 2)
    documents, resources = DOCUMENTS[some], RESOURCES[some]
    return differences.filter_difference(text, documents) or differences.library_difference(text, documents, resources)


def a_path(data: bytes) -> str | None:
    text = str(making.a_path(making.chooser(data[1:]))) if is_made(data) else text_of(data[1:])
    return differences.path_difference(text) or differences.library_path_difference(text)


def a_patch(data: bytes) -> str | None:
    choose = making.chooser(data[1:])
    if is_made(data):
        document, body, dialect = (
            making.a_document(choose),
            making.a_patch(choose),
            choose(["rfc", *sorted(DIALECTS), "rfc", "rfc", "rfc"]),
        )
    else:
        document, dialect = choose(DOCUMENTS), sorted(DIALECTS)[data[-1] % len(DIALECTS)]
        try:
            body = parse_body(data[2:])
        except (InvalidRequest, LimitExceeded):
            return None  # another target compares bodies
    after = differences.patched(document, body, dialect)
    unreadable = differences.unreadable(after) if isinstance(after, dict) else None
    return unreadable or differences.patch_difference(document, body, after if dialect == "rfc" else None)


def a_body(data: bytes) -> str | None:
    raw = json.dumps(_made_body(making.chooser(data[1:]))).encode() if is_made(data) else data[1:]
    try:
        body = parse_body(raw)
    except (InvalidRequest, LimitExceeded) as refused:
        if plain.is_a_plain_object(raw) and "at most" not in refused.detail:
            return f"refused ({refused.detail}), and nothing is wrong with it"
        return None
    if not plain.is_a_plain_object(raw):
        return "taken, and something is wrong with it"
    types = list(resource_types().values())
    type_ = types[data[-1] % len(types)]
    dialect = DIALECTS[sorted(DIALECTS)[len(raw) % len(DIALECTS)]]
    return _reread(body, type_, dialect)


def _reread(body: dict[str, Any], type_: ResourceType, dialect: Dialect) -> str | None:
    """Say what is stored of a body and would be read otherwise if it were sent again."""
    try:
        sent = read_resource(body, type_, dialect)
    except (InvalidRequest, LimitExceeded):
        return None
    again = read_resource({"schemas": [type_.schema.id], **sent.document}, type_, dialect)
    return None if again.document == sent.document else f"{sent.document} is read as {again.document}"


def _made_body(choose: making.Choose) -> dict[str, Any]:
    urns = [choose([making.USER, type_.schema.id, making.ENTERPRISE]) for type_ in resource_types().values()]
    body: dict[str, Any] = {"schemas": urns, **making.a_document(choose)}
    while choose([False, True]):
        key = choose([*making.KEYS, "owners", "members", "validity", "agentUserName", "validUntil", "protocols"])
        body[key] = making.a_value(choose, key)
    return body


def a_bulk(data: bytes) -> str | None:
    raw = json.dumps(_made_bulk(making.chooser(data[1:]))).encode() if is_made(data) else data[1:]
    try:
        bulk = parse_bulk(parse_body(raw), differences.catalogue())
    except (InvalidRequest, LimitExceeded):
        return None
    return _disorder(bulk)


def _disorder(bulk: Bulk) -> str | None:
    """Say what is wrong with the order of work: each operation once, and none before what it refers to."""
    done: set[str] = set()
    places: list[int] = []
    makers = {op.bulk_id for op in bulk.operations if op.method == "POST" and op.fault is None}
    for unit in components_of(bulk.operations):
        places += [operation.index for operation in unit]
        done |= {operation.bulk_id or "" for operation in unit if operation.method == "POST"}
        for operation in unit:
            if missing := (operation.references & makers) - done:
                return f"operation {operation.index} comes before {missing}"
            names = operation.references
            if list(references_in(resolved(operation.body, dict.fromkeys(names, "id")))):
                return f"a reference of operation {operation.index} is left"
    return None if sorted(places) == list(range(len(bulk.operations))) else f"{places} were done"


def _made_bulk(choose: making.Choose) -> dict[str, Any]:
    operations = []
    while len(operations) < 8 and (not operations or choose([True, True, False])):
        name, other = choose("abcd"), choose("abcdx")
        link: Any = choose([f"{BULK_ID}{other}", {"value": f"{BULK_ID}{other}"}, {"$ref": f"{BULK_ID}{other}"}, "x"])
        operations.append({
            "method": choose(["POST", "POST", "PATCH", "PUT", "DELETE", "post", "GET", None]),
            "path": choose(["/Users", "/Groups", f"/Users/{BULK_ID}{other}", "/Groups/1", "/Nothing", "Users", ""]),
            "bulkId": choose([name, f"{name}{len(operations)}", None, "", 5]),
            "data": choose([{"members": [link]}, {"manager": link}, {"owners": link, "x": [[link]]}, [], None,
                            [{"op": "remove", "path": f'members[value eq "{BULK_ID}{other}"]'}],
                            {"Operations": [{"op": "add", "path": "members", "value": [link]}]}]),
        })  # fmt: skip
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations,
            "failOnErrors": choose([1, None, 0, "1", True])}  # fmt: skip


VALUES = ["a", "", "\u00e9", True, False, Decimal("7.5"), NOW, UUID(int=1), None]


def a_cursor(data: bytes) -> str | None:
    cursors = Cursors(EnvelopeEncryption(bytes(32)), TENANT, ("asked", 1), NOW)
    text = text_of(data[1:])
    expected = None
    if is_made(data):
        choose = making.chooser(data[2:])
        expected = Cursor(Position(choose(VALUES), UUID(int=choose(range(9)))), choose([False, True]))
        text = _damaged(cursors.encrypt(expected), choose)
    try:
        found = cursors.decrypt(text)
    except InvalidRequest as refused:
        return None if refused.reason in ("invalidCursor", "expiredCursor") else f"refused as {refused.reason}"
    return None if found == expected else f"{text} opens as {found}"


def _damaged(text: str, choose: making.Choose) -> str:
    at = choose(range(len(text) // 2)) * 2
    return str(choose([text, text[:at], text + "A", text[:at] + "\u00e9" + text[at:], text[at:] + text[:at],
                       text[:at] + choose("Az-_=+/ ") + text[at + 1 :]]))  # fmt: skip


def a_list(data: bytes) -> str | None:
    """Sorting, projection and pages, of one resource type and of all."""
    choose = making.chooser(data[1:])
    if is_made(data):
        requested = _made_query(choose)
    else:
        parts = [*text_of(data[1:]).split("\n"), "", "", "", ""]
        requested = {"sortBy": parts[0], "attributes": parts[1], "count": parts[2], "startIndex": parts[3]}
    types = [resource_types()["Users"], *resource_types().values()][: 1 + len(data) % 2 * len(resource_types())]
    try:
        query = query_of_body({"schemas": [SEARCH_SCHEMA], **requested})
        if query.sort_by:
            parse_sort(query.sort_by, types, descending=query.descending)
        wanted = query.attributes or query.excluded_attributes
        selected = parse_projection(wanted, None, differences.user_type())
        left_out = parse_projection(None, wanted, differences.user_type())
    except Refusal as refused:
        return None if isinstance(refused, InvalidRequest) else f"refused as {refused!r}"
    whole = {**differences.rendered(choose(DOCUMENTS)), "id": "1"}
    shown, rest = selected.apply(whole), left_out.apply(whole)
    if not (plain.is_part(shown, whole) and plain.is_part(rest, whole)):
        return f"{shown} or {rest} is no part of {whole}"
    missing = {"schemas", "id"} - (shown.keys() & rest.keys())
    both = plain.leaves(shown) | plain.leaves(rest)
    return (
        f"{missing} is missing"
        if missing
        else None
        if both == plain.leaves(whole)
        else f"{shown} and {rest} lose something"
    )


def _made_query(choose: making.Choose) -> dict[str, Any]:
    query: dict[str, Any] = {}
    for name in ("sortBy", "attributes", "excludedAttributes", "count", "startIndex", "sortOrder", "cursor", "filter"):
        if choose([True, False]):
            continue
        paths = [choose([*making.TEXT_PATHS, *making.OTHER_PATHS]) for _ in range(choose([1, 2, 5]))]
        query[name] = choose([",".join(paths), paths[0], paths, 5, -1, 2**63, "9" * 30, None, True, "descending", ""])
    return query


TARGETS: Mapping[str, Callable[[bytes], str | None]] = {
    "filter": a_filter,
    "path": a_path,
    "patch": a_patch,
    "body": a_body,
    "bulk": a_bulk,
    "cursor": a_cursor,
    "list": a_list,
}
