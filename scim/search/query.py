"""The query of a list or a search, from a URL (RFC 7644 §3.4.2) or from a body (§3.4.3)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from scim.errors import ScimType, refuse
from scim.limits import PAGE_SIZE, PAGE_SIZE_MAX

SEARCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
PROJECTION_NAMES = frozenset({"attributes", "excludedAttributes"})
NAMES = frozenset({
    "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """``start_index`` is 1 or more; ``count`` at most a page; an empty ``cursor`` is that of the first page."""

    filter: str | None
    sort_by: str | None
    descending: bool
    start_index: int
    count: int
    cursor: str | None
    attributes: str | None
    excluded_attributes: str | None


def query_of_url(parameters: MultiDict[str, str]) -> Query:
    """Return the query in a URL. Unknown parameters are no error: Entra's flag is one. Raises ``InvalidRequest``."""
    return _query(single_parameters(parameters, NAMES))


def single_parameters(parameters: MultiDict[str, str], names: Collection[str]) -> Mapping[str, str]:
    """Return the parameters of a URL. Raises ``InvalidRequest`` where one of ``names`` appears twice."""
    for name in names:
        if len(parameters.getlist(name)) > 1:
            refuse(ScimType.INVALID_VALUE, "the parameter appears twice", name)
    return parameters


def query_of_body(body: Mapping[str, Any]) -> Query:
    """Return the query in a SearchRequest. Raises ``InvalidRequest``."""
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or SEARCH_SCHEMA not in schemas:
        refuse(ScimType.INVALID_SYNTAX, f"must contain {SEARCH_SCHEMA}", "schemas")
    return _query({name: _text(name, body[name]) for name in NAMES if body.get(name) is not None})


def _query(parameters: Mapping[str, str]) -> Query:
    cursor = parameters.get("cursor")
    if cursor is not None and "startIndex" in parameters:
        refuse(ScimType.INVALID_VALUE, "startIndex and cursor must not both be given", "cursor")
    # RFC 7644 §3.4.2.4: a negative count means 0. RFC 9865 §2: with a cursor, a text is an error of its own.
    count_error = ScimType.INVALID_VALUE if cursor is None else ScimType.INVALID_COUNT
    return Query(
        filter=parameters.get("filter"),
        sort_by=parameters.get("sortBy") or None,
        descending=_is_descending(parameters.get("sortOrder", "ascending")),
        start_index=max(1, _whole_number(parameters, "startIndex", 1, ScimType.INVALID_VALUE)),
        count=min(PAGE_SIZE_MAX, max(0, _whole_number(parameters, "count", PAGE_SIZE, count_error))),
        cursor=cursor,
        attributes=parameters.get("attributes"),
        excluded_attributes=parameters.get("excludedAttributes"),
    )


def _is_descending(text: str) -> bool:
    match text.lower():
        case "ascending":
            return False
        case "descending":
            return True
    return refuse(ScimType.INVALID_VALUE, "must be ascending or descending", "sortOrder")


def _whole_number(parameters: Mapping[str, str], name: str, default: int, scim_type: ScimType) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not WHOLE_NUMBER.fullmatch(text):
        refuse(scim_type, "must be a whole number", name)
    return int(text)


def _text(name: str, value: Any) -> str:
    match value:
        case str():
            return value
        case int() if name in ("startIndex", "count") and not isinstance(value, bool):
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    return refuse(ScimType.INVALID_VALUE, "has the wrong type", name)
