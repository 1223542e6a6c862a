"""Bulk requests (RFC 7644 §3.7): their operations, and an order in which these can be done.

A reference ``bulkId:x`` makes an operation follow the POST that creates x, wherever that stands in the request. The
operations of a cycle of references are one strongly connected component: all of them are done, or none.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from identity.model.errors import InvalidRequest, LimitExceeded, Refusal
from scim.errors import ScimType, refuse
from scim.limits import BULK_ID_CHARACTERS_MAX, BULK_OPERATIONS_MAX
from scim.patch.request import PATCH_SCHEMA
from scim.schema.catalogue import Catalogue
from scim.schema.resource_types import ResourceType

REQUEST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
PATH = re.compile(r"/([A-Za-z][A-Za-z0-9]{0,63})(?:/([^/?#]{1,256}))?", re.ASCII)

BULK_ID = "bulkId:"
NAMING = frozenset({"value", "$ref", "members", "owners", "manager"})
"""Keys under which a text can be a reference; anywhere else it is a plain text."""
NAMED_IN_PATH = re.compile(r'"bulkId:([^"\\]+)"')

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation at its index in the request. ``fault`` is the reason why it cannot be done.

    ``references`` are the bulkIds that must be known before it can be done.
    """

    index: int
    method: str
    path: str
    bulk_id: str | None = None
    version: str | None = None
    body: Json = field(default_factory=dict)
    type: ResourceType | None = None
    resource_id: str | None = None
    fault: Refusal | None = None
    references: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bulk:
    """Operations; after ``fail_on_errors`` errors the rest is not tried (RFC 7644 §3.7.3), None sets no limit."""

    operations: tuple[BulkOperation, ...]
    fail_on_errors: int | None


def parse_bulk(body: Mapping[str, Any], catalogue: Catalogue) -> Bulk:
    """Return the operations of a BulkRequest on a tenant's resources, none of them done.

    Raises ``InvalidRequest``, ``LimitExceeded``.
    """
    members = {key.lower(): value for key, value in body.items()}
    schemas, sent = members.get("schemas"), members.get("operations")
    if not isinstance(schemas, list) or REQUEST_SCHEMA not in schemas:
        refuse(ScimType.INVALID_SYNTAX, f"must contain {REQUEST_SCHEMA}", "schemas")
    if not isinstance(sent, list) or not sent:
        refuse(ScimType.INVALID_SYNTAX, "must be an array of operations", "Operations")
    if len(sent) > BULK_OPERATIONS_MAX:
        raise LimitExceeded(f"a Bulk must have at most {BULK_OPERATIONS_MAX} operations")
    operations = tuple(_operation(index, item, catalogue) for index, item in enumerate(sent))
    ids = [operation.bulk_id for operation in operations if operation.bulk_id is not None]
    if len(set(ids)) < len(ids):
        refuse(ScimType.INVALID_VALUE, "a bulkId appears twice", "Operations")
    return Bulk(operations, _fail_on_errors(members.get("failonerrors")))


def _fail_on_errors(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        refuse(ScimType.INVALID_VALUE, "must be a whole number, at least 1", "failOnErrors")
    return value


def _operation(index: int, item: Any, catalogue: Catalogue) -> BulkOperation:
    if not isinstance(item, dict):
        refuse(ScimType.INVALID_SYNTAX, "an operation must be an object", "Operations")
    members = {key.lower(): value for key, value in item.items()}
    texts = {name: members.get(name) for name in ("method", "path", "bulkid", "version")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            refuse(ScimType.INVALID_SYNTAX, "must be a string", f"Operations.{name}")
    method, path = (texts["method"] or "").upper(), texts["path"] or ""
    known = BulkOperation(index, method, path, texts["bulkid"], texts["version"])
    try:
        return _aimed(known, members.get("data"), catalogue)
    except InvalidRequest as fault:
        return replace(known, fault=fault)


def _aimed(known: BulkOperation, data: Any, catalogue: Catalogue) -> BulkOperation:
    """Return the operation with its target and body. Raises ``InvalidRequest``."""
    is_post = known.method == "POST"
    if known.method not in METHODS:
        refuse(ScimType.INVALID_SYNTAX, "must be POST, PUT, PATCH or DELETE", "method")
    found = PATH.fullmatch(known.path)
    type_ = catalogue.types.get(found[1]) if found else None
    if found is None or type_ is None:
        refuse(ScimType.INVALID_PATH, "must be a resource type's endpoint, followed by an ID except for POST", "path")
    if is_post is (found[2] is not None):
        refuse(ScimType.INVALID_PATH, "must be an endpoint for POST, and one resource for any other method", "path")
    if is_post and not known.bulk_id:
        refuse(ScimType.INVALID_SYNTAX, "is required for POST", "bulkId")
    if len(known.bulk_id or "") > BULK_ID_CHARACTERS_MAX:
        refuse(ScimType.INVALID_VALUE, f"must have at most {BULK_ID_CHARACTERS_MAX} characters", "bulkId")
    if known.method == "PATCH" and isinstance(data, list):
        data = {"schemas": [PATCH_SCHEMA], "Operations": data}  # so in the examples of RFC 7644 §3.7.3
    if known.method != "DELETE" and not isinstance(data, dict):
        refuse(ScimType.INVALID_SYNTAX, "must be an object", "data")
    body = {} if known.method == "DELETE" else data
    references = frozenset(references_in({"$ref": found[2], "body": body}))
    return replace(known, type=type_, resource_id=found[2], body=body, references=references)


# --- references ------------------------------------------------------------------------------------------------


def references_in(value: Any, key: str = "") -> Iterator[str]:
    """Return every bulkId that a JSON value refers to."""
    match value:
        case dict():
            for name, item in value.items():
                yield from references_in(item, name)
        case list():
            for item in value:
                yield from references_in(item, key)
        case str() if _is_naming(key) and value.startswith(BULK_ID):
            yield value[len(BULK_ID) :]
        case str() if key.lower() == "path":
            yield from NAMED_IN_PATH.findall(value)


def resolved(value: Any, ids: Mapping[str, str], pending: Collection[str] = (), key: str = "") -> Any:
    """Return a JSON value with ids for references. A pending reference is left out; alone it becomes ``PENDING``."""
    match value:
        case dict():
            found = {name: resolved(item, ids, pending, name) for name, item in value.items()}
            if any(found.get(name) is PENDING for name in ("value", "$ref")):
                return PENDING
            return {name: item for name, item in found.items() if item is not PENDING}
        case list():
            return [item for item in (resolved(item, ids, pending, key) for item in value) if item is not PENDING]
        case str() if _is_naming(key) and value.startswith(BULK_ID):
            name = value[len(BULK_ID) :]
            return PENDING if name in pending else ids[name]
        case str() if key.lower() == "path":
            return NAMED_IN_PATH.sub(lambda named: f'"{ids[named[1]]}"', value)
    return value


PENDING = object()


def _is_naming(key: str) -> bool:
    return re.split("[.:]", key.lower())[-1] in NAMING


# --- order -----------------------------------------------------------------------------------------------------


def components_of(operations: Sequence[BulkOperation]) -> Iterator[tuple[BulkOperation, ...]]:
    """Return the operations in the order of the request, but each behind those that it refers to.

    The operations of a cycle come together: Tarjan's strongly connected components, with a stack of its own instead of
    recursion, for a chain of references may be as long as a Bulk.
    """
    makers = {op.bulk_id: op.index for op in operations if op.method == "POST" and op.fault is None}
    edges = [[makers[name] for name in sorted(op.references) if name in makers] for op in operations]
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    done: set[int] = set()
    for root in range(len(operations)):
        path = [] if root in index else [(root, iter(edges[root]))]
        if path:
            index[root] = low[root] = len(index)
            open_.append(root)
        while path:
            node, rest = path[-1]
            following = next((other for other in rest if other not in done), None)
            if following is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = open_.index(node)
                    component, open_[cut:] = open_[cut:], []
                    done.update(component)
                    yield tuple(operations[member] for member in sorted(component))
            elif following in index:
                low[node] = min(low[node], index[following])
            else:
                index[following] = low[following] = len(index)
                open_.append(following)
                path.append((following, iter(edges[following])))


def unknown_reference(operation: BulkOperation, operations: Sequence[BulkOperation]) -> Refusal | None:
    """Return the refusal of an operation that refers to a bulkId of no POST of the request."""
    if not operation.references:
        return None
    makers = {op.bulk_id for op in operations if op.method == "POST"}
    unknown = sorted(operation.references - makers)
    if not unknown:
        return None
    return InvalidRequest(
        f"no POST of this Bulk has the bulkId {unknown[0]:.64}", pointer="data", reason="invalidValue"
    )
