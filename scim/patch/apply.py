"""One PATCH operation on one document (RFC 7644 §3.5.2)."""

from dataclasses import dataclass
from typing import Any

from identity.model.query import matches
from identity.model.schema import Attribute, Mutability
from identity.model.work import Work, units_of
from scim.dialects import Dialect, Operation
from scim.errors import ScimType, refuse, shown_name
from scim.filter.paths import Path
from scim.patch.members import is_members
from scim.patch.multi_valued import element_for, merge_values, remove_values, with_one_primary
from scim.schema.resource_types import ResourceType
from scim.schema.values import canonical_value


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on one document. ``work`` limits its cost."""

    type: ResourceType
    dialect: Dialect
    operation: Operation
    path: Path
    document: dict[str, Any]
    work: Work

    def apply(self) -> None:
        """Change the document. Raises ``InvalidRequest``, ``LimitExceeded``."""
        attribute, extension = self.path.attribute, self.path.extension
        if attribute is None:
            self._change_schema()
            return
        holder = self.document if extension is None else self.document.setdefault(extension, {})
        before = holder.get(attribute.name)
        after = self._after(attribute, before)
        check_change(attribute, before, after)
        if not is_unassigned(after):
            holder[attribute.name] = after
        elif extension is None and attribute.name == "active":
            holder["active"] = None  # unassigned: the lifecycle state stays until the source sends a value
        else:
            holder.pop(attribute.name, None)
        if extension is not None and not holder:
            del self.document[extension]

    def _change_schema(self) -> None:
        """The path is a schema's URN: apply the operation to each attribute of its value."""
        extension, value = self.path.extension, self.operation.value
        schema = self.type.schema if extension is None else self.type.extensions[extension.lower()]
        if extension is not None and (self.operation.op == "remove" or (self.operation.op, value) == ("replace", None)):
            for name, item in self.document.pop(extension, {}).items():
                if (removed := schema.attribute(name)) is not None:
                    check_change(removed, item, None)
            return
        if not isinstance(value, dict):
            refuse(ScimType.INVALID_VALUE, "must be an object", schema.id)
        for key, item in value.items():
            if key.lower() == "schemas":
                continue
            attribute = schema.attribute(key)
            if attribute is None:
                if self.dialect.ignores_what_it_cannot_set:
                    continue
                refuse(self.dialect.unknown_path, f"{schema.id} has no attribute {shown_name(key)}")
            operation, path = Operation(self.operation.op, key, item, True), Path(extension, attribute)
            check_mutability(operation, path)
            if is_members(self.type, path):
                refuse(ScimType.INVALID_PATH, "members must be named without a schema URN")
            Step(self.type, self.dialect, operation, path, self.document, self.work).apply()

    def _after(self, attribute: Attribute, before: Any) -> Any:
        """Return the new value of an attribute; None or an empty value if it is unassigned."""
        sub, operation = self.path.sub, self.operation
        if self.path.selection is not None or (sub is not None and attribute.multi_valued):
            return self._elements(attribute, before or [])
        if sub is not None:
            return self._with_sub(attribute, before or {}, sub)
        if attribute.multi_valued:
            return self._values(attribute, before or [], attribute.name)
        if operation.op == "remove":
            return None
        return self._merged(attribute, before or {}) if attribute.is_complex else self._canonical(attribute)

    def _canonical(self, attribute: Attribute, pointer: str | None = None) -> Any:
        """Return the stored form of the operation's value."""
        value = self.operation.value
        self.work.spend(units_of(value))
        if attribute.multi_valued and value is not None and not isinstance(value, list):
            value = [value]  # RFC 7644 §3.5.2.1 adds "a value" as well as "values"
        return canonical_value(attribute, value, self.dialect.value_rules, pointer or attribute.name)

    def _merged(self, attribute: Attribute, before: dict[str, Any]) -> dict[str, Any] | None:
        """RFC 7644 §3.5.2.3: members that are absent stay; members that are null are unassigned (RFC 7643 §2.5)."""
        sent = self.operation.value
        for rule in self.dialect.value_rules:
            sent = rule(attribute, sent)
        if sent is None:
            return None
        value = self._canonical(attribute) or {}
        if self.dialect.replaces_whole and self.operation.op == "replace":
            return value
        nulls = {key.lower() for key, item in sent.items() if item is None}
        kept = {name: item for name, item in before.items() if name.lower() not in nulls}
        return _checked(attribute, before, kept | value)

    def _values(self, attribute: Attribute, before: list[Any], pointer: str) -> list[Any]:
        """Return the values of a multi-valued attribute or sub-attribute after the operation."""
        operation = self.operation
        if operation.op == "remove" and not operation.has_value:
            return []
        if operation.op == "remove" and operation.value is None:
            refuse(ScimType.INVALID_VALUE, "null is ambiguous: name the values to remove", pointer)
        named = self._canonical(attribute, pointer) or []
        match operation.op:
            case "add":
                return merge_values(before, named, self.work)
            case "replace":
                return list(named)
        # A remove that names values removes those and never all: Entra sends it and means no others.
        return remove_values(before, named, self.work)

    def _with_sub(self, attribute: Attribute, holder: dict[str, Any], sub: Attribute) -> dict[str, Any]:
        """Return a complex value after the operation on one sub-attribute of it."""
        pointer = f"{attribute.name}.{sub.name}"
        part: Any
        if sub.multi_valued:
            part = self._values(sub, holder.get(sub.name, []), pointer)
        else:
            part = None if self.operation.op == "remove" else self._canonical(sub, pointer)
        stored = {} if is_unassigned(part) else self._stored(attribute, {sub.name: part})
        name = "value" if attribute.is_link and sub.name == "$ref" else sub.name
        check_change(sub, holder.get(name), stored.get(name))
        return {key: value for key, value in holder.items() if key != name} | stored

    def _stored(self, attribute: Attribute, members: dict[str, Any]) -> dict[str, Any]:
        """Return members of a value in their stored form: a reference as an id, after the dialect's value rules."""
        self.work.spend(units_of(members))
        value = [members] if attribute.multi_valued else members
        found = canonical_value(attribute, value, self.dialect.value_rules, attribute.name)
        return dict(found[0] if isinstance(found, list) else found) if found else {}

    def _elements(self, attribute: Attribute, before: list[Any]) -> list[Any]:
        """Return the values after the operation on the selected ones, or on all without a selection."""
        elements, selection = list(before), self.path.selection
        spend = self.work.spend
        chosen = [i for i, element in enumerate(elements) if selection is None or matches(selection, element, spend)]
        if not chosen and self.operation.op != "remove":
            elements.append(self._created(attribute))
            chosen = [len(elements) - 1]
        if len(chosen) > 1 and selection is not None and self.dialect.changes_one_element:
            detail = "the value filter matches several values; it must match one"
            refuse(ScimType.INVALID_FILTER, detail, attribute.name)
        for index in chosen:
            spend(2)
            elements[index] = self._changed(attribute, elements[index])
        return [element for element in with_one_primary(before, elements, chosen) if not is_unassigned(element)]

    def _created(self, attribute: Attribute) -> dict[str, Any]:
        """Return the element that the selection describes, if the dialect creates it. Raises ``InvalidRequest``."""
        selection = self.path.selection
        if selection is None:
            return {}
        described = element_for(selection)
        if not self.dialect.creates_what_it_selects or described is None:
            refuse(ScimType.NO_TARGET, "the value filter matches no value", attribute.name)
        return self._stored(attribute, described)

    def _changed(self, attribute: Attribute, element: Any) -> Any:
        """Return a selected element after the operation, or None if it is removed."""
        sub, operation = self.path.sub, self.operation
        if sub is not None:
            return self._with_sub(attribute, element, sub)
        if operation.op == "remove":
            return None
        value = self._canonical(attribute) or []
        if len(value) > 1:
            refuse(ScimType.INVALID_VALUE, "a selected value must be replaced by one value", attribute.name)
        if operation.op == "add" and (not value or isinstance(element, dict)):
            return _checked(attribute, element, {**element, **value[0]}) if value else element
        if not value and operation.value not in (None, []):
            refuse(ScimType.INVALID_VALUE, "the value has no sub-attribute of this attribute", attribute.name)
        return value[0] if value else None


def _checked(attribute: Attribute, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    for sub in attribute.sub_attributes.values():
        check_change(sub, before.get(sub.name), after.get(sub.name))
    return after


def check_change(attribute: Attribute, before: Any, after: Any) -> None:
    """Refuse to unassign a required value, and to change an immutable one once it is set. Raises ``InvalidRequest``."""
    if is_unassigned(before) or before == after:
        return
    if attribute.mutability is Mutability.IMMUTABLE:
        refuse(ScimType.MUTABILITY, "the attribute is immutable and has a value", attribute.name)
    if attribute.required and is_unassigned(after):
        refuse(ScimType.MUTABILITY, "the attribute is required", attribute.name)
    if is_unassigned(after) and isinstance(before, dict):
        for sub in attribute.sub_attributes.values():
            if sub.mutability is Mutability.IMMUTABLE:  # it is removed with the whole
                check_change(sub, before.get(sub.name), None)


def is_unassigned(value: Any) -> bool:
    """Return whether a stored value is null, [] or {}: these are equal (RFC 7643 §2.5)."""
    return value in (None, [], {})


def check_mutability(operation: Operation, path: Path) -> None:
    """Refuse to write a read-only attribute, and to remove a required one. Raises ``InvalidRequest``."""
    for attribute in (path.attribute, path.sub):
        if attribute is not None and attribute.mutability is Mutability.READ_ONLY:
            refuse(ScimType.MUTABILITY, "the attribute is read-only", attribute.name)
    whole = path.sub is None and path.selection is None
    if operation.op == "remove" and path.attribute is not None and whole and path.attribute.required:
        refuse(ScimType.MUTABILITY, "the attribute is required", path.attribute.name)
    if operation.op != "remove" and not operation.has_value:
        refuse(ScimType.INVALID_VALUE, f"is required for {operation.op}", "value")
    if operation.op == "remove" and path.attribute is None and path.extension is None:
        refuse(ScimType.NO_TARGET, "is required for remove", "path")
