"""One PATCH operation on one document (RFC 7644 §3.5.2)."""

from dataclasses import dataclass
from typing import Any

from identity.model.query import matches
from identity.model.work import Work, units_of
from scim.dialects import Dialect, Operation
from scim.errors import refuse, shown_name
from scim.filter.paths import Path
from scim.patch.members import is_members
from scim.patch.multi_valued import described, joined, with_one_primary, without
from scim.schema.resource_types import Attribute, Mutability, ResourceType
from scim.schema.values import canonical_value


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on one document. ``work`` is what it may cost."""

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
            self._whole_schema()
            return
        place = self.document if extension is None else self.document.setdefault(extension, {})
        before = place.get(attribute.name)
        after = self._after(attribute, before)
        check_kept(attribute, before, after)
        if not is_nothing(after):
            place[attribute.name] = after
        elif extension is None and attribute.name == "active":
            place["active"] = None  # unassigned: the lifecycle stays where it is until the source says otherwise
        else:
            place.pop(attribute.name, None)
        if extension is not None and not place:
            del self.document[extension]

    def _whole_schema(self) -> None:
        """The path is a schema's URN: each attribute of it in turn."""
        extension, value = self.path.extension, self.operation.value
        schema = self.type.schema if extension is None else self.type.extensions[extension.lower()]
        if extension is not None and (self.operation.op == "remove" or (self.operation.op, value) == ("replace", None)):
            for name, item in self.document.pop(extension, {}).items():
                if (described := schema.attribute(name)) is not None:
                    check_kept(described, item, None)
            return
        if not isinstance(value, dict):
            refuse("invalidValue", "must be an object", schema.id)
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
                refuse("invalidPath", "members must be named without a schema URN")
            Step(self.type, self.dialect, operation, path, self.document, self.work).apply()

    def _after(self, attribute: Attribute, before: Any) -> Any:
        """Return what becomes of an attribute; nothing of it is None or empty."""
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
        """RFC 7644 §3.5.2.3: what is not specified is left unchanged; what is null is unassigned (RFC 7643 §2.5)."""
        meant = self.operation.value
        for rule in self.dialect.value_rules:
            meant = rule(attribute, meant)
        if meant is None:
            return None
        value = self._canonical(attribute) or {}
        if self.dialect.replaces_whole and self.operation.op == "replace":
            return value
        nulls = {key.lower() for key, item in meant.items() if item is None}
        kept = {name: item for name, item in before.items() if name.lower() not in nulls}
        return _joined_parts(attribute, before, kept | value)

    def _values(self, attribute: Attribute, before: list[Any], pointer: str) -> list[Any]:
        """Return the values of a multi-valued attribute or part after they are added, replaced or removed."""
        operation = self.operation
        if operation.op == "remove" and not operation.has_value:
            return []
        if operation.op == "remove" and operation.value is None:
            refuse("invalidValue", "null is ambiguous: name the values to remove", pointer)
        named = self._canonical(attribute, pointer) or []
        match operation.op:
            case "add":
                return joined(before, named, self.work)
            case "replace":
                return list(named)
        # A remove that names values removes those, never all: Entra sends it, and nobody means the rest.
        return without(before, named, self.work)

    def _with_sub(self, attribute: Attribute, holder: dict[str, Any], sub: Attribute) -> dict[str, Any]:
        """Return an object after the operation on one part of it."""
        pointer = f"{attribute.name}.{sub.name}"
        part: Any
        if sub.multi_valued:
            part = self._values(sub, holder.get(sub.name, []), pointer)
        else:
            part = None if self.operation.op == "remove" else self._canonical(sub, pointer)
        packed = {} if is_nothing(part) else self._packed(attribute, {sub.name: part})
        name = "value" if attribute.is_link and sub.name == "$ref" else sub.name
        check_kept(sub, holder.get(name), packed.get(name))
        return {key: value for key, value in holder.items() if key != name} | packed

    def _packed(self, attribute: Attribute, part: dict[str, Any]) -> dict[str, Any]:
        """Return some parts of a value as they are stored: a reference as an id, what a dialect packs unpacked."""
        self.work.spend(units_of(part))
        value = [part] if attribute.multi_valued else part
        found = canonical_value(attribute, value, self.dialect.value_rules, attribute.name)
        return dict(found[0] if isinstance(found, list) else found) if found else {}

    def _elements(self, attribute: Attribute, before: list[Any]) -> list[Any]:
        elements, selection = list(before), self.path.selection
        spend = self.work.spend
        chosen = [i for i, element in enumerate(elements) if selection is None or matches(selection, element, spend)]
        if not chosen and self.operation.op != "remove":
            elements.append(self._created(attribute))
            chosen = [len(elements) - 1]
        if len(chosen) > 1 and selection is not None and self.dialect.changes_one_element:
            refuse("invalidFilter", "the value filter matches several values; it must match one", attribute.name)
        for index in chosen:
            spend(2)
            elements[index] = self._changed(attribute, elements[index])
        return [element for element in with_one_primary(before, elements, chosen) if not is_nothing(element)]

    def _created(self, attribute: Attribute) -> dict[str, Any]:
        """Return the element that a selection describes, for a source that expects it to be made."""
        selection = self.path.selection
        if selection is None:
            return {}
        wanted = described(selection)
        if not self.dialect.creates_what_it_selects or wanted is None:
            refuse("noTarget", "the value filter matches no value", attribute.name)
        return self._packed(attribute, wanted)

    def _changed(self, attribute: Attribute, element: Any) -> Any:
        """Return a selected element after the operation; None takes it away."""
        sub, operation = self.path.sub, self.operation
        if sub is not None:
            return self._with_sub(attribute, element, sub)
        if operation.op == "remove":
            return None
        value = self._canonical(attribute) or []
        if len(value) > 1:
            refuse("invalidValue", "a selected value must be replaced by one value", attribute.name)
        if operation.op == "add" and (not value or isinstance(element, dict)):
            return _joined_parts(attribute, element, {**element, **value[0]}) if value else element
        if not value and operation.value not in (None, []):
            refuse("invalidValue", "the value has no sub-attribute of this attribute", attribute.name)
        return value[0] if value else None


def _joined_parts(attribute: Attribute, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    for sub in attribute.sub_attributes.values():
        check_kept(sub, before.get(sub.name), after.get(sub.name))
    return after


def check_kept(attribute: Attribute, before: Any, after: Any) -> None:
    """Refuse to take away what is required, and to change what is immutable once it is set.

    Raises ``InvalidRequest``.
    """
    if is_nothing(before) or before == after:
        return
    if attribute.mutability is Mutability.IMMUTABLE:
        refuse("mutability", "the attribute is immutable and has a value", attribute.name)
    if attribute.required and is_nothing(after):
        refuse("mutability", "the attribute is required", attribute.name)
    if is_nothing(after) and isinstance(before, dict):
        for sub in attribute.sub_attributes.values():
            if sub.mutability is Mutability.IMMUTABLE:  # it would go with the whole
                check_kept(sub, before.get(sub.name), None)


def is_nothing(value: Any) -> bool:
    """Return whether a stored value is none: null, [] and {} are one (RFC 7643 §2.5)."""
    return value in (None, [], {})


def check_mutability(operation: Operation, path: Path) -> None:
    """Refuse to write what is read-only, and to take away what is required. Raises ``InvalidRequest``."""
    for attribute in (path.attribute, path.sub):
        if attribute is not None and attribute.mutability is Mutability.READ_ONLY:
            refuse("mutability", "the attribute is read-only", attribute.name)
    whole = path.sub is None and path.selection is None
    if operation.op == "remove" and path.attribute is not None and whole and path.attribute.required:
        refuse("mutability", "the attribute is required", path.attribute.name)
    if operation.op != "remove" and not operation.has_value:
        refuse("invalidValue", f"is required for {operation.op}", "value")
    if operation.op == "remove" and path.attribute is None and path.extension is None:
        refuse("noTarget", "is required for remove", "path")
