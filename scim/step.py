"""One PATCH operation on one document (RFC 7644 §3.5.2)."""

from dataclasses import dataclass
from typing import Any

from identity.model.query import matches
from scim.dialects import Dialect, Operation
from scim.elements import described, is_named, joined, keep, one_primary
from scim.errors import refuse
from scim.members import is_members
from scim.paths import Path
from scim.schemas import Attribute, Mutability, ResourceType
from scim.values import canonical_value


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on one document."""

    type: ResourceType
    dialect: Dialect
    operation: Operation
    path: Path
    document: dict[str, Any]

    def apply(self) -> None:
        """Change the document. Raises ``Malformed``, ``OverLimit``."""
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
        schema = self.type.schema if extension is None else self.type.extensions[extension.lower()]
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
                if self.dialect.ignores_what_it_cannot_set:
                    continue
                refuse(self.dialect.unknown_path, f"{schema.id} has no attribute {key[:100]}")
            operation, path = Operation(self.operation.op, key, item, True), Path(extension, attribute)
            check_mutability(operation, path)
            if is_members(self.type, path):
                refuse("invalidPath", "members are named without a schema")
            Step(self.type, self.dialect, operation, path, self.document).apply()

    def _check_immutable(self, place: dict[str, Any], attribute: Attribute) -> None:
        if attribute.mutability is not Mutability.IMMUTABLE or attribute.name not in place:
            return
        if self.operation.op == "remove" or self._canonical(attribute, self.operation.value) != place[attribute.name]:
            refuse("mutability", "this attribute never changes once it is set", attribute.name)

    def _canonical(self, attribute: Attribute, value: Any, pointer: str | None = None) -> Any:
        if attribute.multi_valued and not isinstance(value, list | None):
            value = [value]  # RFC 7644 §3.5.2.1 adds "a value" as well as "values"
        return canonical_value(attribute, value, self.dialect.value_rules, pointer or attribute.name)

    def _write(self, place: dict[str, Any], attribute: Attribute) -> None:
        value = self._canonical(attribute, self.operation.value)
        is_add = self.operation.op == "add"
        if value is None:
            if not (is_add and attribute.multi_valued):
                self._remove(place, attribute, everything=True)
        elif attribute.multi_valued:
            place[attribute.name] = joined(place.get(attribute.name, []), value) if is_add else value
        elif attribute.is_complex and not attribute.is_link:
            self._merge(place, attribute, value)  # RFC 7644 §3.5.2.3: what is not specified is left unchanged
        else:
            place[attribute.name] = value

    def _merge(self, place: dict[str, Any], attribute: Attribute, value: dict[str, Any]) -> None:
        whole = self.dialect.replaces_whole and self.operation.op == "replace"
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
        keep(place, attribute, [
            element for element in place.get(attribute.name, []) if not any(is_named(element, n) for n in named)
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
        if len(chosen) > 1 and selection is not None and self.dialect.changes_one_element:
            refuse("invalidFilter", "several values are selected", attribute.name)
        for index in chosen:
            elements[index] = self._changed(attribute, elements[index])
        if any(isinstance(elements[i], dict) and elements[i].get("primary") for i in chosen):
            elements = one_primary(elements, chosen[0])
        keep(place, attribute, [element for element in elements if element])

    def _created(self, attribute: Attribute) -> dict[str, Any]:
        """Return the element that a selection describes, for a source that expects it to be made."""
        selection = self.path.selection
        if selection is None:
            return {}
        wanted = described(selection)
        if not self.dialect.creates_what_it_selects or wanted is None:
            refuse("noTarget", "no value is selected", attribute.name)
        created = self._canonical(attribute, [wanted])
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


def check_mutability(operation: Operation, path: Path) -> None:
    """Refuse to write what is read-only, and to take away what is required. Raises ``Malformed``."""
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
