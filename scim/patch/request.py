"""PATCH (RFC 7644 §3.5.2) on the stored JSON: all operations or none.

The members of a group are never read: an operation on them becomes a ``MemberChange``, a set delta.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from identity.model.errors import LimitExceeded
from identity.model.membership import MemberChange
from identity.model.work import Work, units_of_text
from scim.dialects import Dialect, Operation, is_known, is_settable
from scim.errors import ScimType, refuse, shown_name
from scim.filter.paths import Path, parse_path
from scim.limits import OPERATIONS_MAX, PATCH_WORK_MAX, STEPS_MAX
from scim.patch.apply import Step, check_mutability
from scim.patch.members import is_members, member_change
from scim.schema.resource_types import ResourceType

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PATH_COST = 16  # of each unit of a path's text: parsing costs more than comparing
TOO_MUCH = (
    f"a PATCH does at most {PATCH_WORK_MAX} units of work: operations times comparisons times values; send it in parts"
)


@dataclass(frozen=True, slots=True)
class Patch:
    """The operations of one request, with resolved paths. ``work`` limits their cost together."""

    type: ResourceType
    dialect: Dialect
    steps: tuple[tuple[Operation, Path], ...]
    work: Work

    @property
    def touches_members(self) -> bool:
        """True when an operation names the members of a group."""
        return any(is_members(self.type, path) for _, path in self.steps)


def parse_patch(body: dict[str, Any], type_: ResourceType, dialect: Dialect, within: Work | None = None) -> Patch:
    """Return the operations of a PATCH request. The resource is not needed.

    ``within`` limits the cost of the request that contains the PATCH. Raises ``InvalidRequest``, ``LimitExceeded``.
    """
    members = {key.lower(): value for key, value in body.items()}
    schemas = members.get("schemas")
    if not isinstance(schemas, list) or PATCH_SCHEMA not in schemas:
        refuse(ScimType.INVALID_SYNTAX, f"must contain {PATCH_SCHEMA}", "schemas")
    sent = members.get("operations")
    if not isinstance(sent, list) or not sent:
        refuse(ScimType.INVALID_SYNTAX, "must be an array of operations", "Operations")
    if len(sent) > OPERATIONS_MAX:
        raise LimitExceeded(f"a PATCH must have at most {OPERATIONS_MAX} operations")
    work = Work(PATCH_WORK_MAX, TOO_MUCH, within)
    steps: list[tuple[Operation, Path]] = []
    for item in sent:
        for operation in _expanded(_operation(item), type_, dialect):
            for rule in dialect.operation_rules:
                operation = rule(type_, operation)  # noqa: PLW2901 - each rule changes the result of the one before
            work.spend(PATH_COST * units_of_text(operation.path or ""))
            path = parse_path(operation.path or "", type_, dialect.unknown_path)
            check_mutability(operation, path)
            for check in dialect.path_rules:
                check(operation, path)
            steps.append((operation, path))
            if len(steps) > STEPS_MAX:
                raise LimitExceeded(f"a PATCH must change at most {STEPS_MAX} attributes")
    return Patch(type_, dialect, tuple(steps), work)


def apply_patch(patch: Patch, document: dict[str, Any]) -> tuple[dict[str, Any], MemberChange | None]:
    """Return a new document after all operations, and the change of a group's members.

    Raises ``InvalidRequest``, ``LimitExceeded``.
    """
    # A step creates new values and changes none. It writes them to the document and to the objects of extensions.
    document = {name: dict(value) if isinstance(value, dict) else value for name, value in document.items()}
    change = MemberChange()
    for operation, path in patch.steps:
        if is_members(patch.type, path):
            change = change.then(member_change(operation, path, patch.dialect))
        else:
            Step(patch.type, patch.dialect, operation, path, document, patch.work).apply()
    return document, None if change.is_empty else change


# --- reading operations ----------------------------------------------------------------------------------------


def _operation(item: Any) -> Operation:
    if not isinstance(item, dict):
        refuse(ScimType.INVALID_SYNTAX, "an operation must be an object", "Operations")
    members = {key.lower(): value for key, value in item.items()}
    op, path = members.get("op"), members.get("path")
    # Entra writes Add and Replace. Every dialect reads any case, because it has no other meaning.
    match op.lower() if isinstance(op, str) else op:
        case "add" | "remove" | "replace" as verb:
            pass
        case _:
            refuse(ScimType.INVALID_SYNTAX, "op must be add, remove or replace", "Operations")
    if path is not None and not isinstance(path, str):
        refuse(ScimType.INVALID_PATH, "path must be a string")
    return Operation(verb, path or None, members.get("value"), "value" in members)


def _expanded(operation: Operation, type_: ResourceType, dialect: Dialect) -> Iterator[Operation]:
    """An operation without a path is one operation for each key of its value."""
    if operation.path is not None:
        yield operation
        return
    if dialect.wants_paths:
        refuse(ScimType.INVALID_SYNTAX, "is required for every operation", "path")
    if operation.op == "remove":
        refuse(ScimType.NO_TARGET, "is required for remove", "path")
    if not isinstance(operation.value, dict):
        refuse(ScimType.INVALID_VALUE, "must be an object when path is absent", "value")
    for key, value in operation.value.items():
        if key.lower() == "schemas":
            continue
        if dialect.ignores_what_it_cannot_set and not is_settable(type_, key):
            continue
        if not dialect.keys_are_paths and not is_known(type_, key):
            refuse(ScimType.INVALID_PATH, f"{type_.name} has no attribute {shown_name(key)}")
        yield Operation(operation.op, key, value, True)
