"""What a list or a search asks for, from the URL (RFC 7644 §3.4.2) or from a body (§3.4.3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from scim.errors import refuse
from scim.limits import PAGE_SIZE, PAGE_SIZE_MAX

SEARCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
NAMES = frozenset({"filter", "startIndex", "count", "attributes", "excludedAttributes"})


@dataclass(frozen=True, slots=True)
class Query:
    """``start_index`` is 1 or more; ``count`` at most a page."""

    filter: str | None
    start_index: int
    count: int
    attributes: str | None
    excluded_attributes: str | None


def query_of_url(parameters: MultiDict[str, str]) -> Query:
    """Return the query in a URL. Unknown parameters are no error: Entra's flag is one. Raises ``Malformed``."""
    for name in NAMES:
        if len(parameters.getlist(name)) > 1:
            refuse("invalidValue", "this parameter is given twice", name)
    return _query(parameters)


def query_of_body(body: Mapping[str, Any]) -> Query:
    """Return the query in a SearchRequest. Raises ``Malformed``."""
    schemas = body.get("schemas")
    if not isinstance(schemas, list) or SEARCH_SCHEMA not in schemas:
        refuse("invalidSyntax", f"{SEARCH_SCHEMA} is not among them", "schemas")
    return _query({name: _text(name, body[name]) for name in NAMES if body.get(name) is not None})


def _query(parameters: Mapping[str, str]) -> Query:
    return Query(
        filter=parameters.get("filter"),
        start_index=max(1, _whole_number(parameters, "startIndex", 1)),
        count=min(PAGE_SIZE_MAX, max(0, _whole_number(parameters, "count", PAGE_SIZE))),
        attributes=parameters.get("attributes"),
        excluded_attributes=parameters.get("excludedAttributes"),
    )


def _whole_number(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not WHOLE_NUMBER.fullmatch(text):
        refuse("invalidValue", "a whole number is wanted", name)
    return int(text)


def _text(name: str, value: Any) -> str:
    match value:
        case str():
            return value
        case int() if name in ("startIndex", "count") and not isinstance(value, bool):
            return str(value)
        case list() if all(isinstance(item, str) for item in value):
            return ",".join(value)
    return refuse("invalidValue", "this has another type", name)
