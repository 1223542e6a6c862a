"""PATCH by the text of RFC 7644 §3.5.2 alone: a document in, a document out or a refusal with its scimType.

It is naive on purpose and knows nothing of the code under test. What the RFC leaves open it reads in one way only, and
those places are marked with the name that they have in docs/divergences.md.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracles.filters import TAIL, AttrPath, NoFilterError, Reader, Tree, _or, element_holds, read_path
from tests.oracles.schema import Attr, Known
from tests.oracles.values import RefusedError, linked, normal

URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Target:
    """Where an operation acts: an attribute of a schema, some of its values, a sub-attribute of them."""

    schema: dict[str, Any]
    attribute: Attr | None
    selects: Tree | None = None
    sub: Attr | None = None


def patch(known: Known, document: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """Return the document after all operations (§3.5.2: all or none). Raises ``RefusedError``."""
    members = {name.lower(): value for name, value in body.items()}
    if not isinstance(members.get("schemas"), list) or URN not in members["schemas"]:
        raise RefusedError("invalidSyntax", "no PatchOp")
    operations = members.get("operations")
    if not isinstance(operations, list) or not operations:
        raise RefusedError("invalidSyntax", "no operations")
    steps = [step for operation in operations for step in _steps(known, operation)]
    after = copy.deepcopy(document)
    for op, target, value in steps:
        _apply(known, after, op, target, value)
    return after


ABSENT = object()


def _steps(known: Known, operation: Any) -> list[tuple[str, Target, Any]]:
    if not isinstance(operation, dict):
        raise RefusedError("invalidSyntax", "no object")
    members = {name.lower(): value for name, value in operation.items()}
    op, path, value = members.get("op"), members.get("path"), members.get("value", ABSENT)
    op = op.lower() if isinstance(op, str) else op  # "op in any case"
    if op not in ("add", "remove", "replace"):
        raise RefusedError("invalidSyntax", "no such op")
    if path is not None and not isinstance(path, str):
        raise RefusedError("invalidPath", "a path is a string")
    if path:
        return [_step(known, op, path, value)]
    if op == "remove":
        raise RefusedError("noTarget", "§3.5.2.2")
    if not isinstance(value, dict):
        raise RefusedError("invalidValue", "a set of attributes is wanted")
    return [_step(known, op, _key(known, key), each) for key, each in value.items() if key.lower() != "schemas"]


def _key(known: Known, key: str) -> str:
    """Without a path, the value is part of a resource: its keys are names of attributes and of extensions."""
    if known.schema(key) is None and _named(known, key) is None:
        raise RefusedError("invalidPath", f"there is no {key}")
    return key


def _named(known: Known, name: str) -> tuple[dict[str, Any], Attr] | None:
    """ "attributes of one extension": found without its URN."""
    if (found := known.find(None, name)) is not None:
        return found
    others = [(each, known.attributes(each)[name.lower()])
              for each in known.extensions if name.lower() in known.attributes(each)]  # fmt: skip
    return others[0] if len(others) == 1 else None


def _step(known: Known, op: str, path: str, value: Any) -> tuple[str, Target, Any]:
    target = read_target(known, path)
    for attribute in (target.attribute, target.sub):
        if attribute is not None and attribute.read_only:
            raise RefusedError("mutability", "read-only")
    whole = target.sub is None and target.selects is None
    if op == "remove":
        if target.attribute is None and target.schema is known.core:
            raise RefusedError("noTarget", "everything is no target")
        if whole and target.attribute is not None and target.attribute.required:
            raise RefusedError("mutability", "§3.5.2.2: required")
    elif value is ABSENT:
        raise RefusedError("invalidValue", "§3.5.2.1: a value is wanted")
    return op, target, value


def read_target(known: Known, text: str, *, strict: bool = False) -> Target:
    """PATH = attrPath / valuePath [subAttr]; ``strict`` takes an extension's attribute with its URN only.

    Raises ``RefusedError``.
    """
    try:
        path, selects, sub = _read(Reader(text))
    except NoFilterError as fault:
        raise RefusedError("invalidPath", str(fault)) from None
    return _resolved(known, path, selects, sub, strict=strict)


def _read(reader: Reader) -> tuple[AttrPath, Tree | None, str | None]:
    path = read_path(reader.word())
    selects = sub = None
    if reader.next_is("["):
        if path.sub is not None:
            raise NoFilterError("a sub-attribute has no values to select")
        reader.take("[")
        selects = _or(reader)
        reader.take("]")
        if tail := TAIL.match(reader.text, reader.at):
            sub, reader.at = tail[1], tail.end()
    if not reader.at_end():
        raise NoFilterError("something follows the path")
    return path, selects, sub


def _resolved(known: Known, path: AttrPath, selects: Tree | None, sub: str | None, *, strict: bool) -> Target:
    if path.uri is not None and path.sub is None and (schema := known.schema(f"{path.uri}:{path.name}")):
        if selects is not None:
            raise RefusedError("invalidPath", "a schema has no values to select")
        return Target(schema, None)
    found = known.find(path.uri, path.name) if strict or path.uri is not None else _named(known, path.name)
    if found is None or found[1].returned == "never":
        raise RefusedError("invalidPath", f"there is no {path.name}")
    schema, attribute = found
    name = path.sub or sub
    inner = None if name is None else attribute.subs.get(name.lower())
    if name is not None and inner is None:
        raise RefusedError("invalidPath", f"{attribute.name} has no {name}")
    if selects is not None:
        _check_selection(attribute, selects)
    return Target(schema, attribute, selects, inner)


def _check_selection(attribute: Attr, selects: Tree) -> None:
    if not attribute.many:
        raise RefusedError("invalidFilter", "brackets select values of a multi-valued attribute")
    try:
        element_holds(selects, attribute, {} if attribute.subs else None)
    except NoFilterError as fault:
        raise RefusedError("invalidFilter", str(fault)) from None


# --- acting ----------------------------------------------------------------------------------------------------


def _apply(known: Known, document: dict[str, Any], op: str, target: Target, value: Any) -> None:
    if target.attribute is None:
        _apply_to_schema(known, document, op, target.schema, value)
        return
    is_core = target.schema is known.core
    place = document if is_core else document.setdefault(target.schema["id"], {})
    before = copy.deepcopy(place.get(target.attribute.name))
    _act(place, op, target.attribute, target, value)
    _check_kept(target.attribute, before, place.get(target.attribute.name))
    if not is_core and not place:
        del document[target.schema["id"]]


def _apply_to_schema(known: Known, document: dict[str, Any], op: str, schema: dict[str, Any], value: Any) -> None:
    """ "a schema as a target": every attribute of it that is named, as without a path."""
    if schema is not known.core and (op == "remove" or (op == "replace" and value is None)):
        for name, before in document.pop(schema["id"], {}).items():
            _check_kept(known.attributes(schema)[name.lower()], before, None)
        return
    if not isinstance(value, dict):
        raise RefusedError("invalidValue", "an object is wanted")
    for key, each in value.items():
        if key.lower() == "schemas":
            continue
        attribute = known.attributes(schema).get(key.lower())
        if attribute is None:
            raise RefusedError("invalidPath", f"there is no {key}")
        if attribute.read_only:
            raise RefusedError("mutability", "read-only")
        _apply(known, document, op, Target(schema, attribute), each)


def _check_kept(attribute: Attr, before: Any, after: Any) -> None:
    """§3.5.2: required stays assigned, immutable stays what it is once it is something."""
    if attribute.required and before is not None and after is None:
        raise RefusedError("mutability", "required")
    if attribute.mutability == "immutable" and before is not None and before != after:
        raise RefusedError("mutability", "immutable")
    if after is None and isinstance(before, dict):  # what is immutable would go with the whole
        for part in attribute.subs.values():
            if part.mutability == "immutable":
                _check_kept(part, before.get(part.name), None)


def _act(place: dict[str, Any], op: str, attribute: Attr, target: Target, value: Any) -> None:
    if attribute.many:
        elements = list(place.get(attribute.name) or [])
        after = _many(elements, op, attribute, target, value)
        _assign(place, attribute, [each for each in after if each not in (None, {})] or None)
    elif target.sub is not None:
        _assign(place, attribute, _with_sub(place.get(attribute.name) or {}, op, attribute, target.sub, value) or None)
    elif op == "remove" or value is None:
        _assign(place, attribute, None)
    elif attribute.subs:
        _assign(place, attribute, _merged(place.get(attribute.name) or {}, attribute, value) or None)
    else:
        _assign(place, attribute, normal(attribute, value, attribute.name))


def _assign(place: dict[str, Any], attribute: Attr, value: Any) -> None:
    if value is None:
        place.pop(attribute.name, None)
    else:
        place[attribute.name] = value


def _merged(before: dict[str, Any], attribute: Attr, value: Any) -> dict[str, Any]:
    """§3.5.2.3: sub-attributes that are not specified are left unchanged; null unassigns one (RFC 7643 §2.5)."""
    if not isinstance(value, dict):
        raise RefusedError("invalidValue", "sub-attributes are wanted")
    after = dict(before)
    for key, each in value.items():
        sub = attribute.subs.get(key.lower())
        if sub is not None and not sub.read_only and each is None:
            after.pop(sub.name, None)
    return _kept_parts(attribute, before, {**after, **(normal(attribute, value, attribute.name) or {})})


def _kept_parts(attribute: Attr, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    for sub in attribute.subs.values():
        _check_kept(sub, before.get(sub.name), after.get(sub.name))
    return after


def _with_sub(before: dict[str, Any], op: str, attribute: Attr, sub: Attr, value: Any) -> dict[str, Any]:
    pointer = f"{attribute.name}.{sub.name}"
    if sub.many:
        new = _values(before.get(sub.name) or [], op, sub, value, pointer) or None
    else:
        new = None if op == "remove" or value is None else normal(sub, value, pointer)
    added = {} if new is None else linked(attribute, {sub.name: new})
    name = "value" if sub.name == "$ref" and attribute.is_reference_to_a_resource else sub.name
    _check_kept(sub, before.get(name), added.get(name))
    return {**{key: each for key, each in before.items() if key != name}, **added}


def _many(elements: list[Any], op: str, attribute: Attr, target: Target, value: Any) -> list[Any]:
    if target.selects is not None or target.sub is not None:
        return _chosen(elements, op, attribute, target, value)
    return _values(elements, op, attribute, value, attribute.name)


def _values(elements: list[Any], op: str, attribute: Attr, value: Any, pointer: str) -> list[Any]:
    if op == "remove":
        return _without(elements, attribute, value, pointer)
    new = normal(attribute, value, pointer) or []
    return list(new) if op == "replace" else _one_primary(elements, _joined(elements, new))


def _joined(elements: list[Any], new: list[Any]) -> list[Any]:
    """§3.5.2.1: new values are added; one that is there already changes nothing."""
    after = list(elements)
    for each in new:
        if each not in after:
            after.append(each)
    return after


def _without(elements: list[Any], attribute: Attr, value: Any, pointer: str) -> list[Any]:
    """§3.5.2.2 removes all. "a remove that names values": only those."""
    if value is ABSENT:
        return []
    if value is None:
        raise RefusedError("invalidValue", "null could mean everything")
    named = normal(attribute, value, pointer) or []
    return [each for each in elements if not any(_is_named(each, one) for one in named)]


def _is_named(element: Any, named: Any) -> bool:
    if isinstance(named, dict):
        return all(element.get(key) == value for key, value in named.items())
    return bool(element == named)


def _chosen(elements: list[Any], op: str, attribute: Attr, target: Target, value: Any) -> list[Any]:
    """Values that a filter selects, or all of them; a sub-attribute of each, or each as a whole."""
    selects = target.selects
    chosen = [selects is None or element_holds(selects, attribute, each) for each in elements]
    if not any(chosen) and op == "remove":
        return elements
    if not any(chosen):
        if selects is not None:
            raise RefusedError("noTarget", "§3.5.2.3")  # of an add: "an add that selects nothing"
        elements, chosen = [*elements, {}], [*(False for _ in elements), True]
    after = [
        _changed(each, op, attribute, target, value) if hit else each
        for each, hit in zip(elements, chosen, strict=True)
    ]
    return _one_primary(elements, after, [index for index, hit in enumerate(chosen) if hit])


def _changed(element: Any, op: str, attribute: Attr, target: Target, value: Any) -> Any:
    if target.sub is not None:
        return _with_sub(element, op, attribute, target.sub, value)
    if op == "remove":
        return None
    new = normal(attribute, value, attribute.name) or []
    if len(new) > 1:
        raise RefusedError("invalidValue", "one value is replaced by one")
    if op == "add":
        if not new:
            return element
        return _kept_parts(attribute, element, {**element, **new[0]}) if isinstance(element, dict) else new[0]
    if not new and value not in (None, []):
        raise RefusedError("invalidValue", "the value says nothing")
    return new[0] if new else None


def _one_primary(before: list[Any], after: list[Any], said: Sequence[int] = ()) -> list[Any]:
    """§3.5.2: a value that becomes primary makes the others not primary. Of several, that which was, or the first."""

    def is_primary(element: Any) -> bool:
        return isinstance(element, dict) and element.get("primary") is True

    new = [i for i, each in enumerate(after) if is_primary(each) and not (i < len(before) and is_primary(before[i]))]
    if not new:
        return after
    stays = [i for i in said if i < len(before) and is_primary(before[i]) and is_primary(after[i])]
    only = (stays or new)[0]
    return [
        {**each, "primary": False} if is_primary(each) and i != only else each for i, each in enumerate(after)
    ]  # of several: "several values made primary at once"
