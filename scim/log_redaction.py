"""The parts of a request that the provisioning log may keep: values of attributes that a schema knows.

The value of an unknown attribute is masked, for it may be a secret; the name is kept if its syntax is that of a name. A
filter or path keeps its literals when all its attributes are known. A text with a syntax error is masked whole.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from identity.model.errors import InvalidRequest
from identity.model.ids import parse_id
from identity.model.provisioning_log import (
    MASK,
    is_secret_name,
    kept_items,
    kept_members,
    names_a_secret,
    shortened,
    text_of,
)
from identity.model.schema import Attribute, Returned, Schema
from scim.bulk.request import BULK_ID, METHODS, PATH
from scim.dialects import (
    Operation,
    enterprise_urn_misspelt,
    extension_attributes_unqualified,
    window_spelt_flat,
)
from scim.errors import ScimType, is_name
from scim.filter.grammar import Lexer, parse
from scim.filter.paths import parse_path
from scim.filter.resolve import parse_filter, parse_filter_of_all
from scim.schema.resource_types import ResourceType
from scim.search.query import NAMES, SEARCH_SCHEMA

OPERATION_RULES = (enterprise_urn_misspelt, window_spelt_flat, extension_attributes_unqualified)
LITERALS = frozenset({"COMP_VALUE", "NUMBER"})
NAMED = frozenset({"ATTRNAME", "SCHEMA_URI", "SUBATTR"})
PROTOCOL_URN = "urn:ietf:params:scim:"
WORDS = {"sortOrder": re.compile(r"(?i:ascending|descending)"), "startIndex": re.compile(r"-?[0-9]{1,18}"),
         "count": re.compile(r"-?[0-9]{1,18}")}  # fmt: skip

Types = Sequence[ResourceType]
Target = Attribute | Schema | None


def kept_body(body: Mapping[str, Any], types: Types) -> Any:
    """Return a JSON body as it may be kept: a resource, a PATCH, a search or a Bulk of resources of ``types``."""
    return shortened(_message(body, types))


def kept_query(parameters: Mapping[str, str], types: Types) -> Any:
    """Return the parameters of a URL as they may be kept."""
    return shortened(kept_members(parameters, lambda name, value: _parameter(name, value, types)))


def kept_path(path: str) -> str:
    """Return a path below the base URL as it may be kept: a segment that is no name is masked."""
    parts = path.split("/")
    return text_of("/".join(part if part in ("", "{id}") or is_name(part.lstrip(".")) else MASK for part in parts))


def kept_name(body: Mapping[str, Any], types: Types, names: Iterable[str]) -> str | None:
    """Return the value by which the log is searched: the first of ``names`` that is an attribute with a text."""
    sent = {key.lower(): value for key, value in body.items()}
    texts = (name for name in names if isinstance(sent.get(name), str))
    return next((sent[name] for name in texts if _is_simple(_target(name, types))), None)


def _is_simple(target: Target | bool) -> bool:
    return isinstance(target, Attribute) and not target.is_complex


# --- messages --------------------------------------------------------------------------------------------------


def _message(body: Mapping[str, Any], types: Types) -> dict[str, Any]:
    schemas = next((value for key, value in body.items() if key.lower() == "schemas"), None)
    is_search = isinstance(schemas, list) and SEARCH_SCHEMA in schemas

    def kept(key: str, value: Any) -> tuple[str, Any]:
        match key.lower():
            case "schemas":
                return key, kept_items(value, lambda urn: _urn(urn, types)) if isinstance(value, list) else MASK
            case "operations" if isinstance(value, list):
                return key, kept_items(value, lambda item: _operation(item, types))
            case "failonerrors" if isinstance(value, int):
                return key, value
        return _parameter(key, value, types) if is_search and key in NAMES else _attribute(key, value, types)

    return kept_members(body, kept)


def _urn(urn: Any, types: Types) -> Any:
    is_known = isinstance(urn, str) and (
        (urn.startswith(PROTOCOL_URN) and is_name(urn)) or any(type_.schema_of(urn) for type_ in types)
    )
    return text_of(urn) if is_known else MASK


def _hidden(value: Any) -> Any:
    return None if value is None else MASK


def _unknown(key: str, value: Any) -> tuple[str, Any]:
    return text_of(key) if is_name(key) else MASK, _hidden(value)


# --- resources -------------------------------------------------------------------------------------------------


def _target(path: str, types: Types) -> Target | bool:
    """Return the attribute or schema at a name or path, None for the whole resource, False where no type has it."""
    for type_ in types:
        if (attribute := type_.attribute(path)) is not None:
            return attribute
        operation = Operation("replace", path)
        for rule in OPERATION_RULES:
            operation = rule(type_, operation)
        try:
            found = parse_path(operation.path or "", type_)
        except InvalidRequest:
            continue
        if found.attribute is not None:
            return found.sub or found.attribute
        return type_.schema_of(found.extension) or False if found.extension is not None else None
    return False


def _attribute(key: str, value: Any, types: Types) -> tuple[str, Any]:
    target = _target(key, types) if is_name(key) or "[" in key else False
    return _unknown(key, value) if target is False else (text_of(key), _value_at(target, value, types))


def _value_at(target: Target | bool, value: Any, types: Types) -> Any:
    match target:
        case Attribute():
            return _value(target, value)
        case Schema() if isinstance(value, Mapping):
            return kept_members(value, lambda key, item: _part(target.attribute(key), key, item))
        case None if isinstance(value, Mapping):
            return kept_members(value, lambda key, item: _attribute(key, item, types))
    return _hidden(value)


def _part(attribute: Attribute | None, key: str, value: Any) -> tuple[str, Any]:
    return _unknown(key, value) if attribute is None else (text_of(key), _value(attribute, value))


def _value(attribute: Attribute, value: Any) -> Any:
    if is_secret_name(attribute.name) or attribute.returned is Returned.NEVER:
        return _hidden(value)
    match value:
        case list():
            return kept_items(value, lambda item: _value(attribute, item))
        case Mapping() if names_a_secret(value):
            return kept_members(value, lambda key, item: (key if is_name(key) else MASK, _hidden(item)))
        case Mapping():
            return kept_members(value, lambda key, item: _part(attribute.sub_attribute(key), key, item))
        case str() if attribute.is_complex and not attribute.is_link:
            return MASK
        case str():
            return text_of(value)
    return value


# --- operations ------------------------------------------------------------------------------------------------


def _operation(item: Any, types: Types) -> Any:
    if not isinstance(item, Mapping):
        return _hidden(item)
    members = {key.lower(): value for key, value in item.items()}
    if "method" in members:
        return kept_members(item, lambda key, value: _bulk_member(key, value, members, types))
    return kept_members(item, lambda key, value: _patch_member(key, value, members, types))


def _patch_member(key: str, value: Any, members: Mapping[str, Any], types: Types) -> tuple[str, Any]:
    match key.lower():
        case "op":
            return key, value if str(value).lower() in ("add", "remove", "replace") else _hidden(value)
        case "path":
            return key, _path(value, types)
        case "value":
            return key, _patch_value(value, members, types)
    return _unknown(key, value)


def _patch_value(value: Any, members: Mapping[str, Any], types: Types) -> Any:
    path = members.get("path")
    if names_a_secret(members) or not isinstance(path, str | None):
        return _hidden(value)
    return _value_at(_target(path, types) if path else None, value, types)


def _path(path: Any, types: Types) -> Any:
    if not isinstance(path, str) or path == "":
        return _hidden(path)
    if is_name(path) or (not is_secret_name(path) and _target(path, types) is not False):
        return text_of(path)
    return _without_literals(path, path + " pr")


def _bulk_member(key: str, value: Any, members: Mapping[str, Any], types: Types) -> tuple[str, Any]:
    match key.lower():
        case "method":
            return key, value if str(value).upper() in METHODS else _hidden(value)
        case "path":
            return key, _bulk_path(value, types)
        case "bulkid" | "version" if isinstance(value, str):
            return key, text_of(value)
        case "data":
            return key, _data(value, members, types)
    return _unknown(key, value)


def _endpoint(path: Any, types: Types) -> tuple[Types, re.Match[str] | None]:
    found = PATH.fullmatch(path) if isinstance(path, str) else None
    return [type_ for type_ in types if found and type_.endpoint == f"/{found[1]}"], found


def _bulk_path(path: Any, types: Types) -> Any:
    at, found = _endpoint(path, types)
    if not at or found is None:
        return _hidden(path)
    id_ = found[2]
    if id_ is None or parse_id(id_) is not None or id_.startswith(BULK_ID):
        return text_of(found[0])
    return f"/{found[1]}/{MASK}"


def _data(value: Any, members: Mapping[str, Any], types: Types) -> Any:
    at, _ = _endpoint(members.get("path"), types)
    match value:
        case Mapping():
            return _message(value, at)
        case list():
            return kept_items(value, lambda item: _operation(item, at))
    return _hidden(value)


# --- queries ---------------------------------------------------------------------------------------------------


def _parameter(name: str, value: Any, types: Types) -> tuple[str, Any]:
    texts = value if isinstance(value, list) else [value]
    match name:
        case "filter" if isinstance(value, str):
            return name, _filter(value, types)
        case "attributes" | "excludedAttributes" | "sortBy" if all(isinstance(text, str) for text in texts):
            named = ",".join(texts).split(",")
            return name, text_of(",".join(each if is_name(each.strip()) else MASK for each in named))
        case "sortOrder" | "startIndex" | "count" if WORDS[name].fullmatch(str(value)):
            return name, value
    return _unknown(name, value)


def _filter(text: str, types: Types) -> str:
    if is_secret_name(text) or not types:
        return _without_literals(text, text)
    try:
        parse_filter(text, types[0]) if len(types) == 1 else parse_filter_of_all(text, types)
    except InvalidRequest:
        return _without_literals(text, text)
    return text_of(text)


def _without_literals(text: str, filter_: str) -> str:
    """Return a filter or path with its literals masked; one with a syntax error is masked whole."""
    try:
        parse(filter_, ScimType.INVALID_FILTER)
        tokens = list(Lexer().tokenize(text))
    except (InvalidRequest, ValueError):
        return MASK
    kept = [_token(text[token.index : token.end], token.type) for token in tokens]
    ends = [0, *(token.end for token in tokens)]
    blanks = [text[end : token.index] for end, token in zip(ends, tokens, strict=False)]
    return text_of("".join(blank + each for blank, each in zip(blanks, kept, strict=True)))


def _token(text: str, kind: str) -> str:
    if kind in LITERALS:
        return f'"{MASK}"'
    return text if kind not in NAMED or is_name(text.strip(".:")) else MASK
