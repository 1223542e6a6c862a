"""Where the code under test and an oracle part: each function returns the difference in words, or None."""

from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from scim2_models import EnterpriseUser, Extension, Path, Schema, ScimFilter
from scim2_models import User as OracleUser
from scim2_models.exceptions import SCIMException

from identity.model.errors import InvalidRequest, LimitExceeded
from identity.model.query import Condition, matches
from identity.model.schema import read_schema
from scim.dialects import DIALECTS
from scim.filter.paths import parse_path
from scim.filter.resolve import parse_filter
from scim.patch.request import apply_patch, parse_patch
from scim.schema.catalogue import Catalogue
from scim.schema.resource_types import ResourceType, resource_types
from scim.schema.values import canonical_object
from tests.oracles import filters, patches
from tests.oracles.making import EXTENSION, GAMES
from tests.oracles.schema import Attr, Known
from tests.oracles.values import RefusedError

LIMITS = "at most"  # "limits": what is refused for its size alone


@cache
def user_type() -> ResourceType:
    """Return users with one extension more, which has attributes of every type."""
    users = resource_types()["Users"]
    return replace(users, extensions={**users.extensions, GAMES.lower(): read_schema(EXTENSION)})


@cache
def catalogue() -> Catalogue:
    """Return the resource types with that extension."""
    return Catalogue({**resource_types(), "Users": user_type()})


@cache
def known() -> Known:
    """Return what the oracles know of the same: the documents that ``/Schemas`` answers, and no more."""
    type_ = user_type()
    return Known(dict(type_.schema.json), [dict(extension.json) for extension in type_.extensions.values()])


def rendered(document: dict[str, Any]) -> dict[str, Any]:
    """Return a stored document as a client reads it."""
    extensions = [schema["id"] for schema in known().extensions if schema["id"] in document]
    return {**document, "schemas": [known().core["id"], *extensions]}


# --- filters ---------------------------------------------------------------------------------------------------


def filter_difference(text: str, documents: list[dict[str, Any]]) -> str | None:
    """Compare the meaning of a filter with that which the naive evaluator finds in it."""
    try:
        expected: list[bool] | None = _naive_answers(text, documents)
    except filters.NoFilterError:
        expected = None
    try:
        condition = _condition(text)
    except InvalidRequest as refused:
        if refused.reason != "invalidFilter":
            return f"refused as {refused.reason}"
        if expected is None or LIMITS in refused.detail:
            return None
        return f"refused ({refused.detail}), and it is a filter"
    if expected is None:
        return "taken, and it is no filter"
    found = [matches(condition, document) for document in documents]
    return None if found == expected else f"{found}, and {expected} was expected"


@lru_cache(1)
def _condition(text: str) -> Condition:
    return parse_filter(text, user_type())


@lru_cache(1)
def _tree(text: str) -> filters.Tree:
    return filters.parse(text)


def _naive_answers(text: str, documents: list[dict[str, Any]]) -> list[bool]:
    tree = _tree(text)
    filters.check(tree, known())
    return [filters.holds(tree, known(), rendered(document)) for document in documents]


@cache
def oracle_model() -> Any:
    return OracleUser[EnterpriseUser | Extension.from_schema(Schema.model_validate(EXTENSION))]  # type: ignore[misc]


def oracle_resource(document: dict[str, Any]) -> Any:
    """Return a document as scim2-models holds it."""
    return oracle_model().model_validate(rendered(document))


def library_difference(text: str, documents: list[dict[str, Any]], resources: list[Any]) -> str | None:
    """Compare the meaning of a filter with that which scim2-models finds in it, where both take it."""
    try:
        condition = _condition(text)
        if _is_beyond_the_library(_tree(text)):
            return None
        found = [matches(condition, document) for document in documents]
        expected = [ScimFilter[oracle_model()](text).match(resource) for resource in resources]
    except (InvalidRequest, SCIMException):
        return None  # what is refused is compared with the naive evaluator
    return None if found == expected else f"{found}, and scim2-models says {expected}"


def _is_beyond_the_library(tree: filters.Tree, within: Attr | None = None) -> bool:
    """What docs/divergences.md says of scim2-models: questions that it answers otherwise, or with no."""
    match tree:
        case filters.Logic(_, terms):
            return any(_is_beyond_the_library(term, within) for term in terms)
        case filters.Group(path, inner):
            found = known().find(path.uri, path.name)
            return found is None or found[1].name == "schemas" or _is_beyond_the_library(inner, found[1])
    path, found = tree.path, known().find(tree.path.uri, tree.path.name)
    attribute = within or (None if found is None else found[1])
    if attribute is None or attribute.name == "schemas" or (tree.literal is None and tree.op != "pr"):
        return True
    part = attribute.subs.get((path.name if within else path.sub or "").lower())
    last = part or attribute
    lacks_an_offset = last.type == "dateTime" and not str(tree.literal).endswith(("Z", "+01:00"))
    if part is None:
        return lacks_an_offset or (bool(attribute.subs) and not attribute.many)
    return lacks_an_offset or (part.many and attribute.many)


# --- paths -----------------------------------------------------------------------------------------------------


def path_difference(text: str) -> str | None:
    """Compare what a path targets with what the naive reader takes it to target."""
    try:
        expected: Any = _naive_target(text)
    except RefusedError as refused:
        expected = refused.scim_type
    try:
        found: Any = _target(text)
    except InvalidRequest as refused:
        found = refused.reason
        if LIMITS in refused.detail:
            return None
    return None if found == expected or {found, expected} == MALFORMED else f"{found}, and {expected} was expected"


MALFORMED = {"invalidPath", "invalidFilter"}
""" "a malformed selection": the path that holds it is malformed too."""


def _target(text: str) -> tuple[Any, ...]:
    path = parse_path(text, user_type())
    selects = path.selection is not None
    return path.extension, path.attribute and path.attribute.name, selects, path.sub and path.sub.name


def _naive_target(text: str) -> tuple[Any, ...]:
    target = patches.read_target(known(), text, strict=True)
    extension = None if target.schema is known().core else target.schema["id"]
    selects = target.selects is not None
    return extension, target.attribute and target.attribute.name, selects, target.sub and target.sub.name


def library_path_difference(text: str) -> str | None:
    """Compare which attribute a path targets with scim2-models, where both take it."""
    try:
        path, oracle = parse_path(text, user_type()), Path[oracle_model()](text)
    except (InvalidRequest, SCIMException, ValueError):
        return None  # what is refused is compared with the naive reader
    names = [each.name.lower() for each in (path.attribute, path.sub) if each is not None]
    selects, schema = path.selection is not None, (oracle.schema or path.extension or "").lower()
    if path.attribute is None:
        names, schema = [text.rsplit(":", 1)[-1].lower()], f"{schema}:{text.rsplit(':', 1)[-1]}".lower()
    expected = [part.lower() for part in oracle.parts], oracle.value_filter is not None
    if (names, selects) != expected or schema not in ((path.extension or known().core["id"]).lower(), ""):
        return f"{path.extension} {names}, and scim2-models says {oracle.schema} {expected}"
    return None


# --- PATCH -----------------------------------------------------------------------------------------------------


def patch_difference(document: dict[str, Any], body: dict[str, Any], found: Any = None) -> str | None:
    """Compare a PATCH under the dialect ``rfc`` with the naive evaluator; ``found`` is its outcome, if it is known."""
    try:
        expected: Any = patches.patch(known(), document, body)
    except RefusedError as refused:
        expected = refused.scim_type
    found = patched(document, body, "rfc") if found is None else found
    if found == "limit" or same(found, expected):
        return None
    return f"{found}\n  and expected was {expected}"


def patched(document: dict[str, Any], body: dict[str, Any], dialect: str) -> Any:
    """Return the document after a PATCH, or the ``scimType`` of its refusal."""
    before = repr(document)
    try:
        after, _ = apply_patch(parse_patch(body, user_type(), DIALECTS[dialect]), document)
    except InvalidRequest as refused:
        return refused.reason
    except LimitExceeded:
        return "limit"
    finally:
        assert repr(document) == before, "the document handed in is never touched"
    return after


def same(found: Any, expected: Any) -> bool:
    """Return whether two outcomes are one; an ``active`` of null is one that is unassigned."""
    if isinstance(found, str) and isinstance(expected, str) and {found, expected} == MALFORMED:
        return True
    if isinstance(found, dict) and isinstance(expected, dict):
        return _typed(_assigned(found)) == _typed(_assigned(expected))
    return bool(found == expected)


def _assigned(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if not (key == "active" and value is None)}


def _typed(value: Any) -> Any:
    """Return a value in which true is not 1."""
    if isinstance(value, dict):
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    return type(value).__name__, value


def unreadable(after: dict[str, Any]) -> str | None:
    """Say what of a stored document is not canonical: a client could read it, but not send it back."""
    type_ = user_type()
    kept = _assigned(after)
    again = canonical_object(type_.schema.attributes, {k: v for k, v in kept.items() if ":" not in k}, (), "")
    for extension in type_.extensions.values():
        if extension.id in kept:
            again[extension.id] = canonical_object(extension.attributes, kept[extension.id], (), "")
    return None if _typed(again) == _typed(kept) else f"{kept} is read as {again}"
