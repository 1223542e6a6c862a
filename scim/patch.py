"""PATCH (RFC 7644 §3.5.2) on the stored JSON: all operations or none. Members of a group become set deltas.

The members of a group are never read: an operation on them is a ``MemberChange``, whatever the size of the group.
"""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from identity.model.errors import Malformed, OverLimit
from identity.model.ids import parse_id
from identity.model.membership import MemberChange
from identity.model.query import And, Comparison, Condition, Operator, Or, matches
from scim.dialects import Dialect, Operation, is_known, is_settable
from scim.errors import refuse
from scim.limits import MEMBERS_MAX, OPERATIONS_MAX, STEPS_MAX
from scim.paths import Path, parse_path
from scim.schemas import Attribute, Mutability, ResourceType
from scim.values import canonical_elements, canonical_value

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Patch:
    """The operations of one request, their paths resolved."""

    type: ResourceType
    dialect: Dialect
    steps: tuple[tuple[Operation, Path], ...]

    @property
    def touches_members(self) -> bool:
        """True when an operation names the members of a group."""
        return any(_is_members(self.type, path) for _, path in self.steps)


def parse_patch(body: dict[str, Any], type_: ResourceType, dialect: Dialect) -> Patch:
    """Return what a PATCH request asks for. Raises ``Malformed``, ``OverLimit``; nothing of the resource is needed."""
    members = {key.lower(): value for key, value in body.items()}
    schemas = members.get("schemas")
    if not isinstance(schemas, list) or PATCH_SCHEMA not in schemas:
        refuse("invalidSyntax", f"{PATCH_SCHEMA} is not among them", "schemas")
    sent = members.get("operations")
    if not isinstance(sent, list) or not sent:
        refuse("invalidSyntax", "an array of operations is wanted", "Operations")
    if len(sent) > OPERATIONS_MAX:
        raise OverLimit(f"a PATCH has at most {OPERATIONS_MAX} operations")
    steps: list[tuple[Operation, Path]] = []
    for item in sent:
        for operation in _expanded(_operation(item), type_, dialect):
            for rule in dialect.operation_rules:
                operation = rule(type_, operation)  # noqa: PLW2901 - each rule sees what the one before made of it
            path = parse_path(operation.path or "", type_, dialect.unknown_path)
            _check_mutability(operation, path)
            for check in dialect.path_rules:
                check(operation, path)
            steps.append((operation, path))
            if len(steps) > STEPS_MAX:
                raise OverLimit(f"a PATCH changes at most {STEPS_MAX} attributes")
    return Patch(type_, dialect, tuple(steps))


def apply_patch(patch: Patch, document: dict[str, Any]) -> tuple[dict[str, Any], MemberChange | None]:
    """Return the document after all operations, and what becomes of a group's members. Raises ``Malformed``."""
    document, change = copy.deepcopy(document), MemberChange()
    for operation, path in patch.steps:
        if _is_members(patch.type, path):
            change = change.then(_member_change(operation, path, patch.dialect))
        else:
            _Step(patch, operation, path, document).apply()
    return document, None if change.is_empty else change


# --- reading operations ----------------------------------------------------------------------------------------


def _operation(item: Any) -> Operation:
    if not isinstance(item, dict):
        refuse("invalidSyntax", "an operation is an object", "Operations")
    members = {key.lower(): value for key, value in item.items()}
    op, path = members.get("op"), members.get("path")
    # Entra writes Add and Replace; the case of an operation can mean nothing else, so every dialect reads it.
    match op.lower() if isinstance(op, str) else op:
        case "add" | "remove" | "replace" as verb:
            pass
        case _:
            refuse("invalidSyntax", "op is add, remove or replace", "Operations")
    if path is not None and not isinstance(path, str):
        refuse("invalidPath", "a path is a string")
    return Operation(verb, path or None, members.get("value"), "value" in members)


def _expanded(operation: Operation, type_: ResourceType, dialect: Dialect) -> Iterator[Operation]:
    """An operation without a path is one operation for each key of its value."""
    if operation.path is not None:
        yield operation
        return
    if dialect.wants_paths:
        refuse("invalidSyntax", "every operation has a path", "path")
    if operation.op == "remove":
        refuse("noTarget", "a remove names what it removes", "path")
    if not isinstance(operation.value, dict):
        refuse("invalidValue", "without a path, the value is an object", "value")
    for key, value in operation.value.items():
        if key.lower() == "schemas":
            continue
        if dialect.ignores_what_it_cannot_set and not is_settable(type_, key):
            continue
        if not dialect.keys_are_paths and not is_known(type_, key):
            refuse("invalidPath", f"{type_.name} has no attribute {key[:100]}")
        yield Operation(operation.op, key, value, True)


def _check_mutability(operation: Operation, path: Path) -> None:
    for attribute in (path.attribute, path.sub):
        if attribute is not None and attribute.mutability is Mutability.READ_ONLY:
            refuse("mutability", "this attribute is read-only", attribute.name)
    whole = path.sub is None and path.selection is None
    if operation.op == "remove" and path.attribute is not None and whole and path.attribute.required:
        refuse("mutability", "this attribute is required", path.attribute.name)
    if operation.op != "remove" and not operation.has_value:
        refuse("invalidValue", f"{operation.op} needs a value", "value")
    if operation.op == "remove" and path.attribute is None and path.extension is None:
        refuse("noTarget", "a remove names what it removes", "path")


# --- members ---------------------------------------------------------------------------------------------------


def _is_members(type_: ResourceType, path: Path) -> bool:
    return path.attribute is not None and path.attribute is type_.schema.attribute("members")


def _member_change(operation: Operation, path: Path, dialect: Dialect) -> MemberChange:
    attribute = path.attribute
    assert attribute is not None  # noqa: S101 - _is_members said so
    if path.sub is not None or (path.selection is not None and operation.op != "remove"):
        refuse("mutability", "a member is added or removed, never changed", "members")
    if path.selection is not None:
        return MemberChange(remove=frozenset(_selected_members(path.selection)))
    if operation.op == "remove" and not operation.has_value:
        return MemberChange(replace=True)
    if operation.value is None:
        refuse("invalidValue", "null could mean everybody: say which members, or []", "members")
    ids = member_ids(attribute, operation.value, dialect)
    if operation.op == "remove":  # never more than is named, though RFC 7644 §3.5.2.2 lets the value be ignored
        return MemberChange(remove=ids)
    return MemberChange(replace=operation.op == "replace", add=ids)


def member_ids(attribute: Attribute, value: Any, dialect: Dialect) -> frozenset[UUID]:
    """Return the ids that an array of references names. Raises ``Malformed``."""
    values = value if isinstance(value, list) else [value]
    return frozenset(
        link_id(attribute, link) for link in canonical_elements(attribute, values, dialect.value_rules, attribute.name)
    )


def link_id(attribute: Attribute, link: dict[str, Any]) -> UUID:
    """Return the id in a reference; one that cannot be ours is answered like one that is not there."""
    found = parse_id(str(link.get("value", "")))
    if found is None:
        raise Malformed(f"there is no {link.get('value', 'value')!s:.64}", pointer=attribute.name)
    return found


def _selected_members(selection: Condition) -> Iterator[UUID]:
    match selection:
        case Or(terms):
            for term in terms:
                yield from _selected_members(term)
        case Comparison(operand, Operator.EQ, str() as value) if operand.path == ("value",):
            # What cannot be an id names no member: removing it is done already.
            if (found := parse_id(value)) is not None:
                yield found
        case _:
            refuse("invalidFilter", "members are selected by value eq", "members")


# --- everything else -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation on one document."""

    patch: Patch
    operation: Operation
    path: Path
    document: dict[str, Any]

    def apply(self) -> None:
        attribute, extension = self.path.attribute, self.path.extension
        if attribute is None:
            self._whole_schema()
            return
        place = self.document if extension is None else self.document.setdefault(extension, {})
        self._check_immutable(place, attribute)
        if self.path.selection is not None or (self.path.sub is not None and attribute.multi_valued):
            self._elements(place, attribute)
        elif self.path.sub is not None:
            self._sub(place, attribute, self.path.sub)
        elif self.operation.op == "remove":
            self._remove(place, attribute)
        else:
            self._write(place, attribute)
        if extension is not None and not place:
            del self.document[extension]

    def _whole_schema(self) -> None:
        """The path is a schema's URN: each attribute of it in turn."""
        extension, value = self.path.extension, self.operation.value
        if self.operation.op == "remove":
            self.document.pop(str(extension), None)
            return
        schema = self.patch.type.schema if extension is None else self.patch.type.extensions[extension.lower()]
        if value is None and self.operation.op == "replace" and extension is not None:
            self.document.pop(extension, None)
            return
        if not isinstance(value, dict):
            refuse("invalidValue", "an object is wanted", schema.id)
        for key, item in value.items():
            if key.lower() == "schemas":
                continue
            attribute = schema.attribute(key)
            if attribute is None:
                if self.patch.dialect.ignores_what_it_cannot_set:
                    continue
                refuse(self.patch.dialect.unknown_path, f"{schema.id} has no attribute {key[:100]}")
            operation, path = Operation(self.operation.op, key, item, True), Path(extension, attribute)
            _check_mutability(operation, path)
            if _is_members(self.patch.type, path):
                refuse("invalidPath", "members are named without a schema")
            _Step(self.patch, operation, path, self.document).apply()

    def _check_immutable(self, place: dict[str, Any], attribute: Attribute) -> None:
        if attribute.mutability is not Mutability.IMMUTABLE or attribute.name not in place:
            return
        if self.operation.op == "remove" or self._canonical(attribute, self.operation.value) != place[attribute.name]:
            refuse("mutability", "this attribute never changes once it is set", attribute.name)

    def _canonical(self, attribute: Attribute, value: Any, pointer: str | None = None) -> Any:
        if attribute.multi_valued and isinstance(value, dict | str):
            value = [value]  # RFC 7644 §3.5.2.1 adds "a value" as well as "values"
        return canonical_value(attribute, value, self.patch.dialect.value_rules, pointer or attribute.name)

    def _write(self, place: dict[str, Any], attribute: Attribute) -> None:
        value = self._canonical(attribute, self.operation.value)
        is_add = self.operation.op == "add"
        if value is None:
            if not (is_add and attribute.multi_valued):
                self._remove(place, attribute, everything=True)
        elif attribute.multi_valued:
            place[attribute.name] = _joined(place.get(attribute.name, []), value) if is_add else value
        elif attribute.is_complex and not attribute.is_link:
            self._merge(place, attribute, value)  # RFC 7644 §3.5.2.3: what is not specified is left unchanged
        else:
            place[attribute.name] = value

    def _merge(self, place: dict[str, Any], attribute: Attribute, value: dict[str, Any]) -> None:
        whole = self.patch.dialect.replaces_whole and self.operation.op == "replace"
        merged = dict(value) if whole else {**place.get(attribute.name, {}), **value}
        for key, item in self.operation.value.items():
            sub = attribute.sub_attribute(key)
            if item is None and sub is not None:
                merged.pop(sub.name, None)
        place[attribute.name] = merged

    def _remove(self, place: dict[str, Any], attribute: Attribute, *, everything: bool = False) -> None:
        if attribute.required:
            refuse("mutability", "this attribute is required", attribute.name)
        if self.operation.op == "remove" and self.operation.has_value and attribute.multi_valued and not everything:
            self._remove_values(place, attribute)
        elif attribute.name == "active":
            place["active"] = None  # unassigned: the lifecycle stays where it is until the source says otherwise
        else:
            place.pop(attribute.name, None)

    def _remove_values(self, place: dict[str, Any], attribute: Attribute) -> None:
        """A remove that names values removes those, never all: Entra sends it, and nobody means the rest."""
        named = self._canonical(attribute, self.operation.value) or []
        _keep(place, attribute, [
            element for element in place.get(attribute.name, []) if not any(_is_named(element, n) for n in named)
        ])  # fmt: skip

    def _sub(self, place: dict[str, Any], attribute: Attribute, sub: Attribute) -> None:
        holder: dict[str, Any] = dict(place.get(attribute.name, {}))
        value = None if self.operation.op == "remove" else self.operation.value
        canonical = self._canonical(attribute, {sub.name: value}) if value is not None else None
        if canonical:
            holder.update(canonical)
        else:
            holder.pop("value" if attribute.is_link and sub.name == "$ref" else sub.name, None)
        if holder:
            place[attribute.name] = holder
        else:
            place.pop(attribute.name, None)

    def _elements(self, place: dict[str, Any], attribute: Attribute) -> None:
        elements, selection = list(place.get(attribute.name, [])), self.path.selection
        chosen = [i for i, element in enumerate(elements) if selection is None or matches(selection, element)]
        if not chosen and self.operation.op != "remove":
            elements.append(self._created(attribute))
            chosen = [len(elements) - 1]
        if len(chosen) > 1 and selection is not None and self.patch.dialect.changes_one_element:
            refuse("invalidFilter", "several values are selected", attribute.name)
        for index in chosen:
            elements[index] = self._changed(attribute, elements[index])
        if any(isinstance(elements[i], dict) and elements[i].get("primary") for i in chosen):
            elements = _one_primary(elements, chosen[0])
        _keep(place, attribute, [element for element in elements if element])

    def _created(self, attribute: Attribute) -> dict[str, Any]:
        """Return the element that a selection describes, for a source that expects it to be made."""
        selection = self.path.selection
        if selection is None:
            return {}
        described = _described(selection)
        if not self.patch.dialect.creates_what_it_selects or described is None:
            refuse("noTarget", "no value is selected", attribute.name)
        created = self._canonical(attribute, [described])
        return dict(created[0]) if created else {}

    def _changed(self, attribute: Attribute, element: Any) -> Any:
        sub, operation = self.path.sub, self.operation
        if operation.op == "remove" and sub is None:
            return None
        if sub is None:
            value = self._canonical(attribute, operation.value)
            if value and len(value) > 1:
                refuse("invalidValue", "what is selected is replaced by one value", attribute.name)
            new = value[0] if value else None
            return {**element, **new} if operation.op == "add" and isinstance(new, dict) else new
        wanted = None if operation.op == "remove" else self._canonical(sub, operation.value, self._pointer())
        kept = {key: value for key, value in element.items() if key != sub.name}
        packed = self._canonical(attribute, [{sub.name: wanted}]) if wanted is not None else None
        return {**kept, **packed[0]} if packed else kept

    def _pointer(self) -> str:
        attribute, sub = self.path.attribute, self.path.sub
        return f"{attribute.name}.{sub.name}" if attribute and sub else ""


def _joined(present: list[Any], new: list[Any]) -> list[Any]:
    """Return the present values and those of the new ones that are not among them; a new primary is the only one."""
    joined = present + [value for value in new if value not in present]
    primary = next((i for i in range(len(joined) - 1, -1, -1) if _is_primary(joined[i]) and joined[i] in new), None)
    joined = joined if primary is None else _one_primary(joined, primary)
    if len(joined) > MEMBERS_MAX:
        raise OverLimit(f"a multi-valued attribute has at most {MEMBERS_MAX} values")
    return joined


def _is_primary(element: Any) -> bool:
    return isinstance(element, dict) and element.get("primary") is True


def _one_primary(elements: Iterable[Any], index: int) -> list[Any]:
    """RFC 7644 §3.5.2: a value that becomes primary makes the one that was so not primary."""
    return [
        {**element, "primary": False} if i != index and _is_primary(element) else element
        for i, element in enumerate(elements)
    ]


def _keep(place: dict[str, Any], attribute: Attribute, elements: list[Any]) -> None:
    if elements:
        place[attribute.name] = elements
    else:
        place.pop(attribute.name, None)


def _is_named(element: Any, named: Any) -> bool:
    if isinstance(element, dict) and isinstance(named, dict):
        return all(element.get(key) == value for key, value in named.items())
    return bool(element == named)


def _described(selection: Condition) -> dict[str, Any] | None:
    """Return the element that ``eq`` comparisons joined by ``and`` describe, or None for any other selection."""
    terms = selection.terms if isinstance(selection, And) else (selection,)
    described: dict[str, Any] = {}
    for term in terms:
        if not isinstance(term, Comparison) or term.operator is not Operator.EQ or not term.operand.path:
            return None
        described[term.operand.path[-1]] = _as_json(term.value)
    return described


def _as_json(value: str | bool | Decimal | datetime) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
