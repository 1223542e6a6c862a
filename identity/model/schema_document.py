"""Schema documents that a tenant defines (RFC 7643 §7): their grammar, and the differences of a new version.

A version may add attributes and loosen rules. It may not change the meaning of a stored value or remove its attribute.
So every valid resource stays valid under the next version, and none has to be rewritten.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from identity.model.errors import Conflict, InvalidRequest
from identity.model.schema import Attribute, Mutability, Returned, Schema, Type, Uniqueness, read_schema

ID = re.compile(
    r"urn:[a-z0-9][a-z0-9-]{0,31}(?::[A-Za-z0-9._-]{1,64}){0,7}:[A-Za-z][A-Za-z0-9_-]{0,63}", re.IGNORECASE | re.ASCII
)
"""It ends in a name, as in ``urn:example:params:scim:Badge``: so a filter can say that it is present."""
ID_CHARACTERS_MAX = 200
RESERVED_IDS = ("urn:ietf:", "urn:identity-foundation:", "urn:scim:")
"""Prefixes that are reserved for standards and for this server."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
NO_NAMES = frozenset({"and", "or", "not", "pr", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le",
                      "true", "false", "null"})  # fmt: skip
"""Words of the filter grammar (RFC 7644 §3.4.2.2): no filter could name such an attribute."""

EVERY_RESOURCE = frozenset({"id", "schemas", "meta"})
"""What every resource has, whatever its schema says (RFC 7643 §3.1)."""

FIXED: Mapping[str, Mapping[str, object]] = {
    "externalid": {"name": "externalId", "type": Type.STRING, "multi_valued": False, "case_exact": True},
    "displayname": {"name": "displayName", "type": Type.STRING, "multi_valued": False, "case_exact": False},
    "active": {"name": "active", "type": Type.BOOLEAN, "multi_valued": False},
}
"""Names whose meaning is the same in every resource type of this server: they have columns and a lifecycle."""

ATTRIBUTES_MAX = 100
SUB_ATTRIBUTES_MAX = 50
TEXT_CHARACTERS_MAX = 1_000
VALUES_MAX = 200  # canonical values or reference types of one attribute
VERSIONS_MAX = 100

MEMBERS = frozenset({"name", "type", "multiValued", "description", "required", "canonicalValues", "caseExact",
                     "mutability", "returned", "uniqueness", "referenceTypes", "subAttributes"})  # fmt: skip
BOOLEANS = ("multiValued", "required", "caseExact")
CLOSED: Mapping[str, type[Type | Mutability | Returned | Uniqueness]] = {
    "type": Type, "mutability": Mutability, "returned": Returned, "uniqueness": Uniqueness,
}  # fmt: skip

Json = dict[str, Any]


def check_document(source: Mapping[str, Any], *, is_extension: bool = True) -> Schema:
    """Return the schema in a document with every default written out.

    ``is_extension`` is False for the core schema of a resource type, where the meaning of some names is fixed. Raises
    ``InvalidRequest`` with a JSON pointer to the fault.
    """
    id_ = source.get("id")
    if not isinstance(id_, str) or not ID.fullmatch(id_) or len(id_) > ID_CHARACTERS_MAX:
        _fail(f"must be a URN of at most {ID_CHARACTERS_MAX} characters, such as urn:example:params:scim:Badge", "/id")
    if id_.lower().rsplit(":", 1)[-1] in NO_NAMES:
        _fail("must not end in a keyword of the filter grammar", "/id")
    if id_.lower().startswith(RESERVED_IDS):
        _fail(f"must not begin with {', '.join(RESERVED_IDS)}: these are reserved", "/id")
    attributes = _attributes(source.get("attributes"), "/attributes", ATTRIBUTES_MAX)
    schema = read_schema({
        "id": id_,
        "name": _text(source.get("name", id_.rsplit(":", 1)[-1]), "/name"),
        "description": _text(source.get("description", ""), "/description"),
        "attributes": [_attribute(item, f"/attributes/{index}") for index, item in enumerate(attributes)],
    })  # fmt: skip
    if not is_extension:
        check_core(schema)
    return schema


def check_core(schema: Schema) -> None:
    """Refuse a core schema that redefines an attribute of every resource. Raises ``InvalidRequest``."""
    for key, attribute in schema.attributes.items():
        pointer = f"/attributes/{list(schema.attributes).index(key)}"
        if key in EVERY_RESOURCE:
            _fail(f"{attribute.name} is a common attribute of every resource; a schema cannot define it", pointer)
        for name, wanted in FIXED.get(key, {}).items():
            if getattr(attribute, name) != wanted:
                _fail(f"{FIXED[key]['name']} is the same in every resource type: its {name} must be {wanted}", pointer)


def check_evolution(old: Schema, new: Schema, *, is_core: bool) -> None:
    """Refuse a new version that changes the meaning of stored values.

    Raises ``Conflict``, ``InvalidRequest``.
    """
    if is_core:
        check_core(new)
    for name, why in _breaks(old.attributes, new.attributes, ""):
        raise Conflict(f"{name}: {why}", reason="schema_incompatible")


def _breaks(old: Mapping[str, Attribute], new: Mapping[str, Attribute], within: str) -> Iterator[tuple[str, str]]:
    for key, before in old.items():
        name, found = within + before.name, new.get(key)
        if found is None:
            yield name, "a new version cannot remove an attribute, because resources may have values of it"
            continue
        for rule in ("name", "type", "multi_valued", "case_exact", "uniqueness", "is_link", "resource_types"):
            if getattr(found, rule) != getattr(before, rule):
                yield name, f"its {rule.replace('_', ' ')} cannot change"
        if found.required and not before.required:
            yield name, "cannot become required, because resources may have no value of it"
        yield from _breaks(before.sub_attributes, found.sub_attributes, f"{before.name}.")
    for key in new.keys() - old.keys():
        if new[key].required:
            yield within + new[key].name, "cannot be required, because existing resources have no value of it"


# --- attributes ------------------------------------------------------------------------------------------------


def _attributes(value: Any, pointer: str, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        _fail(f"must be an array of 1 to {most} attributes", pointer)
    names = [item["name"].lower() for item in value if isinstance(item, dict) and isinstance(item.get("name"), str)]
    for name in names:
        if names.count(name) > 1:
            _fail(f"{name} appears twice; names are compared without case", pointer)
    return value


def _attribute(source: Any, pointer: str, *, within: bool = False) -> Json:
    if not isinstance(source, dict):
        _fail("must be an object", pointer)
    for member in sorted(source.keys() - MEMBERS):
        _fail(f"an attribute definition has no member {member[:64]}", pointer)
    found = _characteristics(source, pointer)
    type_ = Type(found["type"])
    if (type_ is Type.COMPLEX) is not ("subAttributes" in source) or (within and type_ is Type.COMPLEX):
        _fail(
            "a complex attribute must have subAttributes; other attributes and sub-attributes must not",
            f"{pointer}/type",
        )
    if type_ is Type.COMPLEX:
        subs = _attributes(source["subAttributes"], f"{pointer}/subAttributes", SUB_ATTRIBUTES_MAX)
        at = f"{pointer}/subAttributes"
        found["subAttributes"] = [_attribute(sub, f"{at}/{index}", within=True) for index, sub in enumerate(subs)]
    _check_name(found["name"], pointer, within=within)
    _check_sense(found, pointer, within=within)
    return found


def _characteristics(source: Mapping[str, Any], pointer: str) -> Json:
    found: Json = {"name": source.get("name"), "type": source.get("type")}
    found |= {name: source.get(name, False) for name in BOOLEANS}
    found["description"] = _text(source.get("description", ""), f"{pointer}/description")
    found |= {"mutability": source.get("mutability", "readWrite"), "returned": source.get("returned", "default")}
    found["uniqueness"] = source.get("uniqueness", "none")
    for name in BOOLEANS:
        if not isinstance(found[name], bool):
            _fail("must be true or false", f"{pointer}/{name}")
    for name, closed in CLOSED.items():
        if found[name] not in list(closed):
            _fail(f"must be one of {', '.join(closed)}", f"{pointer}/{name}")
    for name in ("canonicalValues", "referenceTypes"):
        if name in source:
            found[name] = _texts(source[name], f"{pointer}/{name}")
    return found


def _check_name(name: Any, pointer: str, *, within: bool) -> None:
    if within and name == "$ref":
        return
    taken = NO_NAMES if within else NO_NAMES | {"schemas"}  # under any URN, a filter takes that for the resource's own
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() in taken:
        _fail(
            "must be a letter, then letters, digits, - and _, and not a keyword of the filter grammar",
            f"{pointer}/name",
        )


def _check_sense(found: Json, pointer: str, *, within: bool) -> None:
    """Refuse combinations that this server cannot implement."""
    if found["returned"] == Returned.NEVER or found["mutability"] == Mutability.WRITE_ONLY:
        _fail("writeOnly and returned never are not supported: this directory stores no secrets", f"{pointer}/returned")
    if found["mutability"] == Mutability.READ_ONLY:
        _fail("readOnly is not supported: no client could write the attribute", f"{pointer}/mutability")
    if found["name"] == "$ref" and found["required"]:
        _fail("$ref must not be required: the server sets it", f"{pointer}/required")
    if found["type"] == Type.REFERENCE and not found.get("referenceTypes"):
        _fail("a reference must have referenceTypes", f"{pointer}/referenceTypes")
    if found["uniqueness"] == Uniqueness.NONE:
        return
    if within or found["multiValued"] or found["type"] not in (Type.STRING, Type.REFERENCE):
        _fail(
            "only a single-valued string or reference at the top level of a schema can be unique",
            f"{pointer}/uniqueness",
        )


def _texts(value: Any, pointer: str) -> list[str]:
    if not isinstance(value, list) or len(value) > VALUES_MAX:
        _fail(f"must be an array of at most {VALUES_MAX} strings", pointer)
    return [_text(item, pointer) for item in value]


def _text(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX or not value.isprintable():
        _fail(f"must be a string of at most {TEXT_CHARACTERS_MAX} characters, without control characters", pointer)
    return value


def _fail(detail: str, pointer: str) -> NoReturn:
    raise InvalidRequest(detail, pointer=pointer, reason="invalid_schema")
