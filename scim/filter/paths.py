"""The path of a PATCH operation (RFC 7644 §3.5.2): the attribute, the values of it, and the part of them."""

from dataclasses import dataclass
from typing import Any

from scim2_filter_parser import ast

from identity.model.query import AnyElement, Condition
from scim.errors import refuse
from scim.filter.grammar import parse
from scim.filter.resolve import ResolvedAttribute, Resolver
from scim.schema.resource_types import Attribute, ResourceType, Schema


@dataclass(frozen=True, slots=True)
class Path:
    """What an operation targets. Without an attribute, the whole of the extension that ``extension`` names."""

    extension: str | None
    attribute: Attribute | None
    selection: Condition | None = None
    sub: Attribute | None = None


def parse_path(text: str, type_: ResourceType, unknown: str = "invalidPath") -> Path:
    """Return what a path targets; ``unknown`` is the ``scimType`` for what no schema knows.

    Raises ``InvalidRequest`` (``invalidPath``, ``invalidFilter`` for its selection).
    """
    if schema := type_.schema_of(text):  # whose URN may end in what the grammar takes for a number
        return Path(None if schema is type_.schema else schema.id, None)
    tree: Any = parse(text + " pr", "invalidPath")
    if tree.negated or tree.namespace is not None or not isinstance(tree.expr, ast.AttrExpr):
        refuse("invalidPath", "path must name one attribute")
    path = tree.expr.attr_path
    if tree.expr.value != "pr" or tree.expr.comp_value is not None:
        refuse("invalidPath", "path must name one attribute")
    if isinstance(path.attr_name, ast.Filter):
        return _selecting(path.attr_name, type_, unknown)
    found = Resolver(type_, unknown).find(path)
    if isinstance(found, Schema):
        return Path(None if found is type_.schema else found.id, None)
    return Path(_extension(found), found.attribute, None, found.sub)


def _selecting(selection: Any, type_: ResourceType, unknown: str) -> Path:
    container = selection.namespace
    if container is None or isinstance(container.attr_name, ast.Filter):
        refuse("invalidPath", "path must not have two value filters")
    found = Resolver(type_, unknown).find(container)
    if isinstance(found, Schema):
        refuse("invalidPath", "path must have a value filter after an attribute, not after a schema URN")
    plain = ast.Filter(selection.expr, False, ast.AttrPath(container.attr_name, None, container.uri))
    condition = Resolver(type_, "invalidFilter").condition(plain)
    if not isinstance(condition, AnyElement):
        raise TypeError("a value path asks for an element")
    return Path(_extension(found), found.attribute, condition.condition, found.sub)


def _extension(found: ResolvedAttribute) -> str | None:
    return found.prefix[0] if found.prefix else None
