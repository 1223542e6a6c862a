"""``attributes`` and ``excludedAttributes`` (RFC 7644 §3.9): the part of a resource that an answer contains."""

from dataclasses import dataclass, field
from typing import Any

from identity.model.errors import InvalidRequest
from identity.model.schema import Returned
from scim.errors import ScimType, refuse
from scim.filter.grammar import parse_attribute_path
from scim.filter.resolve import ResolvedAttribute, Resolver
from scim.limits import ATTRIBUTES_MAX
from scim.schema.resource_types import AttributePath, Paths, ResourceType

ALWAYS: Paths = frozenset({("schemas",), ("id",)})


@dataclass(frozen=True, slots=True)
class Projection:
    """Paths into the JSON of a resource, in the schema's spelling. ``requested`` is None if ``attributes`` is absent.

    ``always`` is in every answer. ``excluded`` includes the attributes that are returned only on request.
    """

    requested: Paths | None = None
    excluded: Paths = field(default_factory=frozenset)
    always: Paths = ALWAYS

    def apply(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return the part of a resource that is answered."""
        if self.requested is not None:
            paths = self.requested | self.always
            names = {path[0] for path in paths}
            kept = ((key, _only(value, (key,), paths)) for key, value in resource.items() if key in names)
            return {key: value for key, value in kept if value is not None}
        for path in self.excluded:
            resource = _without(resource, path, self.always)
        return resource

    def shows(self, name: str) -> bool:
        """Return whether a part of an attribute is answered."""
        if self.requested is not None:
            return any(path[0] == name for path in self.requested)
        return (name,) not in self.excluded

    def requests(self, *path: str) -> bool:
        """Return whether ``attributes`` names exactly this path."""
        return self.requested is not None and path in self.requested


EVERYTHING = Projection()


def parse_projection(attributes: str | None, excluded: str | None, type_: ResourceType) -> Projection:
    """Return the projection of two query parameters; unknown names select nothing. Raises ``InvalidRequest``."""
    if attributes and excluded:
        refuse(ScimType.INVALID_VALUE, "attributes and excludedAttributes must not both be given")
    if attributes:
        return Projection(requested=_paths(attributes, type_), always=type_.always)
    hidden = type_.on_request | (_paths(excluded, type_) - type_.always if excluded else frozenset())
    return Projection(excluded=hidden, always=type_.always) if hidden else EVERYTHING


def _paths(text: str, type_: ResourceType) -> Paths:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) > ATTRIBUTES_MAX:
        detail = f"attributes and excludedAttributes must name at most {ATTRIBUTES_MAX} attributes"
        refuse(ScimType.INVALID_VALUE, detail)
    found = (_path(name, type_) for name in names)
    return frozenset(path for path in found if path is not None)


def _path(name: str, type_: ResourceType) -> AttributePath | None:
    if not any(mark in name for mark in ':.[( "'):  # the common case needs no grammar
        attribute = type_.attribute(name)
        return None if attribute is None or attribute.returned is Returned.NEVER else (attribute.name,)
    if schema := type_.schema_of(name):  # the grammar may read the end of a URN as a number
        return None if schema is type_.schema else (schema.id,)
    try:
        path = parse_attribute_path(name, ScimType.INVALID_VALUE)
        found = Resolver(type_, ScimType.INVALID_VALUE).find(path) if path else type_.schema
    except InvalidRequest:
        return None
    if not isinstance(found, ResolvedAttribute):
        return None if found is type_.schema else (found.id,)
    return found.path if found.sub is None else (*found.path, found.sub.name)


def _only(value: Any, path: AttributePath, paths: Paths) -> Any:
    """Return the part of a value at ``path`` that is one of ``paths`` or below one, or None."""
    if path in paths:
        return value
    deeper = frozenset(each for each in paths if each[: len(path)] == path)
    if not deeper:
        return None
    if isinstance(value, list):
        items = (_only(item, path, deeper) for item in value)
        return [item for item in items if item is not None] or None
    if not isinstance(value, dict):
        return None
    kept = {key: _only(item, (*path, key), deeper) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None} or None


def _without(value: Any, path: AttributePath, always: Paths, within: AttributePath = ()) -> Any:
    """Return a value without the part at ``path``, except for the paths of ``always`` in that part.

    A complex value without members is unassigned (RFC 7643 §2.5).
    """
    if isinstance(value, list):
        return [item for item in (_without(each, path, always, within) for each in value) if item != {}]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    here, held = (*within, path[0]), value[path[0]]
    kept = _without(held, path[1:], always, here) if len(path) > 1 else _only(held, here, always)
    if kept not in (None, {}, []):
        return {**value, path[0]: kept}
    return {key: item for key, item in value.items() if key != path[0]}
