"""The path of a PATCH operation (RFC 7644 §3.5.2): an attribute, a selection of its values, and a sub-attribute."""

from dataclasses import dataclass
from typing import Any

from scim2_filter_parser import ast

from identity.model.query import AnyElement, Condition
from identity.model.schema import Attribute, Schema
from scim.errors import ScimType, refuse
from scim.filter.grammar import parse_attribute_path
from scim.filter.resolve import ResolvedAttribute, Resolver
from scim.schema.resource_types import ResourceType


@dataclass(frozen=True, slots=True)
class Path:
    """The target of an operation. Without ``attribute``, the whole core schema or the whole ``extension`` (its URN)."""

    extension: str | None
    attribute: Attribute | None
    selection: Condition | None = None
    sub: Attribute | None = None


def parse_path(text: str, type_: ResourceType, unknown: ScimType = ScimType.INVALID_PATH) -> Path:
    """Return the target of a path. ``unknown`` is the ``scimType`` for an attribute that no schema has.

    Raises ``InvalidRequest`` (``invalidPath``, ``invalidFilter`` for its selection).
    """
    if schema := type_.schema_of(text):  # the grammar may read the end of a URN as a number
        return _whole(schema, type_)
    path = parse_attribute_path(text, ScimType.INVALID_PATH, has_selection=True)
    if path is None:
        refuse(ScimType.INVALID_PATH, "path must name one attribute")
    if isinstance(path.attr_name, ast.Filter):
        return _selecting(path.attr_name, type_, unknown)
    found = Resolver(type_, unknown).find(path)
    if isinstance(found, Schema):
        return _whole(found, type_)
    return _path(found)


def _whole(schema: Schema, type_: ResourceType) -> Path:
    return Path(None if schema is type_.schema else schema.id, None)


def _path(found: ResolvedAttribute, selection: Condition | None = None) -> Path:
    return Path(found.prefix[0] if found.prefix else None, found.attribute, selection, found.sub)


def _selecting(selection: Any, type_: ResourceType, unknown: ScimType) -> Path:
    container = selection.namespace
    if container is None or isinstance(container.attr_name, ast.Filter):
        refuse(ScimType.INVALID_PATH, "path must not have two value filters")
    found = Resolver(type_, unknown).find(container)
    if isinstance(found, Schema):
        refuse(ScimType.INVALID_PATH, "path must have a value filter after an attribute, not after a schema URN")
    plain = ast.Filter(selection.expr, False, ast.AttrPath(container.attr_name, None, container.uri))
    condition = Resolver(type_, ScimType.INVALID_FILTER).condition(plain)
    if not isinstance(condition, AnyElement):
        raise TypeError("the condition of a value path is about an element")
    return _path(found, condition.condition)
