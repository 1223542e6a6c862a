"""``attributes`` and ``excludedAttributes`` (RFC 7644 §3.9): which part of a resource is answered."""

from dataclasses import dataclass, field
from typing import Any

from identity.model.errors import InvalidRequest
from scim.errors import refuse
from scim.filter.grammar import parse
from scim.filter.resolve import ResolvedAttribute, Resolver
from scim.limits import ATTRIBUTES_MAX
from scim.schema.resource_types import Paths, ResourceType, Returned

ALWAYS: Paths = frozenset({("schemas",), ("id",)})


@dataclass(frozen=True, slots=True)
class Projection:
    """Paths into the JSON of a resource, in the schema's spelling. ``asked`` is None where all is.

    ``always`` is answered whatever is asked for; what is answered on request alone is among the ``excluded`` already.
    """

    asked: Paths | None = None
    excluded: Paths = field(default_factory=frozenset)
    always: Paths = ALWAYS

    def apply(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return what is left of a resource."""
        if self.asked is not None:
            wanted = self.asked | self.always
            names = {path[0] for path in wanted}
            kept = ((key, _only(value, (key,), wanted)) for key, value in resource.items() if key in names)
            return {key: value for key, value in kept if value is not None}
        for path in self.excluded:
            resource = _without(resource, path, self.always)
        return resource

    def shows(self, name: str) -> bool:
        """Return whether anything of an attribute is answered."""
        if self.asked is not None:
            return any(path[0] == name for path in self.asked)
        return (name,) not in self.excluded

    def asks_for(self, *path: str) -> bool:
        """Return whether exactly this was named, so that what is returned on request is."""
        return self.asked is not None and path in self.asked


EVERYTHING = Projection()


def parse_projection(attributes: str | None, excluded: str | None, type_: ResourceType) -> Projection:
    """Return what two query parameters ask for; names that nobody knows ask for nothing. Raises ``InvalidRequest``."""
    if attributes and excluded:
        refuse("invalidValue", "attributes and excludedAttributes must not both be given")
    if attributes:
        return Projection(asked=_paths(attributes, type_), always=type_.always)
    hidden = type_.on_request | (_paths(excluded, type_) - type_.always if excluded else frozenset())
    return Projection(excluded=hidden, always=type_.always) if hidden else EVERYTHING


def _paths(text: str, type_: ResourceType) -> Paths:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) > ATTRIBUTES_MAX:
        refuse("invalidValue", f"attributes and excludedAttributes must name at most {ATTRIBUTES_MAX} attributes")
    found = (_path(name, type_) for name in names)
    return frozenset(path for path in found if path is not None)


def _path(name: str, type_: ResourceType) -> tuple[str, ...] | None:
    if not any(mark in name for mark in ':.[( "'):  # the common case needs no grammar
        attribute = type_.attribute(name)
        return None if attribute is None or attribute.returned is Returned.NEVER else (attribute.name,)
    if schema := type_.schema_of(name):  # whose URN may end in what the grammar takes for a number
        return None if schema is type_.schema else (schema.id,)
    try:
        tree: Any = parse(name + " pr", "invalidValue")
        found = Resolver(type_, "invalidValue").find(tree.expr.attr_path)
    except (InvalidRequest, AttributeError):
        return None
    if not isinstance(found, ResolvedAttribute):
        return None if found is type_.schema else (found.id,)
    path = (*found.prefix, found.attribute.name)
    return path if found.sub is None else (*path, found.sub.name)


def _only(value: Any, path: tuple[str, ...], asked: Paths) -> Any:
    """Return the part of a value at ``path`` that is asked for, or None where nothing of it is."""
    if path in asked:
        return value
    deeper = frozenset(wanted for wanted in asked if wanted[: len(path)] == path)
    if not deeper:
        return None
    if isinstance(value, list):
        items = (_only(item, path, deeper) for item in value)
        return [item for item in items if item is not None] or None
    if not isinstance(value, dict):
        return None
    kept = {key: _only(item, (*path, key), deeper) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None} or None


def _without(value: Any, path: tuple[str, ...], always: Paths, within: tuple[str, ...] = ()) -> Any:
    """Return a value without what is at ``path`` in it, but with whatever of that is always answered.

    A complex value of which nothing is left is absent (RFC 7643 §2.5).
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
