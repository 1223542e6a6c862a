"""Schema documents of a tenant: what one may say, and how the next version may differ."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model.errors import Conflict, InvalidRequest
from identity.model.schema import Type
from identity.model.schema_document import ATTRIBUTES_MAX, check_core, check_document, check_evolution

ID = "urn:example:params:scim:Badge"
NUMBER = {"name": "number", "type": "string"}


def document(*attributes: Any, **members: Any) -> dict[str, Any]:
    return {"id": ID, "attributes": list(attributes) or [NUMBER], **members}


@pytest.mark.rfc("7643", "2.2")
def test_what_a_document_leaves_out_is_the_default_of_the_standard() -> None:
    [written] = check_document(document()).json["attributes"]
    assert written == {
        "name": "number",
        "type": "string",
        "multiValued": False,
        "description": "",
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
    }


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"id": 1}, "/id"),
        ({"id": "Badge"}, "/id"),
        ({"id": "urn:ietf:params:scim:schemas:core:2.0:User"}, "/id"),  # a standard's, not a tenant's
        ({"id": "URN:IETF:params:scim:schemas:core:2.0:User"}, "/id"),
        ({"id": "urn:example:a b"}, "/id"),
        ({"id": 'urn:example:a"'}, "/id"),
        ({"id": "urn:example:" + "x" * 65}, "/id"),
        ({"id": "urn:example:badge:1.0"}, "/id"),  # no filter could say that it is present
        ({"id": "urn:example:and"}, "/id"),
        ({"name": "\n"}, "/name"),
        ({"description": 1}, "/description"),
        ({"attributes": []}, "/attributes"),
        ({"attributes": {}}, "/attributes"),
        ({"attributes": [NUMBER] * 2}, "/attributes"),
        ({"attributes": [NUMBER, NUMBER | {"name": "NUMBER"}]}, "/attributes"),
        ({"attributes": [{"name": f"a{n}", "type": "string"} for n in range(ATTRIBUTES_MAX + 1)]}, "/attributes"),
        ({"attributes": ["number"]}, "/attributes/0"),
    ],
)
def test_a_document_with_one_fault_is_refused_and_the_fault_pointed_at(changed: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_document(document() | changed)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("attribute", "pointer"),
    [
        ({"name": "1st"}, "name"),
        ({"name": "a.b"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "Not"}, "name"),  # a word of the filter grammar
        ({"name": "$ref"}, "name"),  # of references, which are within an attribute
        ({"name": None}, "name"),
        ({"type": "text"}, "type"),
        ({"type": "complex"}, "type"),
        ({"type": []}, "type"),
        ({"subAttributes": [NUMBER]}, "type"),
        ({"type": "complex", "subAttributes": []}, "subAttributes"),
        ({"type": "complex", "subAttributes": [NUMBER | {"type": "complex", "subAttributes": [NUMBER]}]},
         "subAttributes/0/type"),
        ({"type": "reference"}, "referenceTypes"),
        ({"type": "reference", "referenceTypes": "User"}, "referenceTypes"),
        ({"multiValued": "true"}, "multiValued"),
        ({"required": 1}, "required"),
        ({"mutability": "writeOnly"}, "returned"),  # nothing here keeps a secret
        ({"mutability": "readOnly"}, "mutability"),  # and nobody could ever write it
        ({"name": "schemas"}, "name"),
        ({"type": "complex", "subAttributes": [
            {"name": "$ref", "type": "reference", "referenceTypes": ["User"], "required": True}]},
         "subAttributes/0/required"),
        ({"returned": "never"}, "returned"),
        ({"mutability": "sometimes"}, "mutability"),
        ({"uniqueness": "server", "multiValued": True}, "uniqueness"),
        ({"uniqueness": "global", "type": "integer"}, "uniqueness"),
        ({"type": "complex", "subAttributes": [NUMBER | {"uniqueness": "server"}]}, "subAttributes/0/uniqueness"),
        ({"canonicalValues": [1]}, "canonicalValues"),
        ({"multivalued": True}, ""),  # a member that is none: a slip of the pen
    ],
)  # fmt: skip
def test_an_attribute_with_one_fault_is_refused_and_the_fault_pointed_at(
    attribute: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_document(document(NUMBER | attribute))
    assert refused.value.pointer == f"/attributes/0/{pointer}".rstrip("/")


@pytest.mark.parametrize(
    "attribute",
    [
        {"name": "id", "type": "string"},
        {"name": "Meta", "type": "string"},
        {"name": "active", "type": "string"},
        {"name": "externalId", "type": "string"},  # of the standard it is caseExact
        {"name": "displayName", "type": "string", "multiValued": True},
        {"name": "displayname", "type": "string"},
    ],
)
def test_a_core_schema_gives_no_other_meaning_to_what_every_resource_has(attribute: dict[str, Any]) -> None:
    extension = check_document(document(attribute))  # under a URN of its own it may be named so
    with pytest.raises(InvalidRequest):
        check_core(extension)


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        ([NUMBER], [NUMBER | {"description": "printed on it"}], True),
        ([NUMBER], [NUMBER, {"name": "colour", "type": "string"}], True),
        ([NUMBER | {"required": True}], [NUMBER], True),
        ([NUMBER], [NUMBER | {"returned": "request"}], True),
        ([NUMBER], [NUMBER | {"required": True}], False),
        ([NUMBER], [{"name": "colour", "type": "string"}], False),
        ([NUMBER], [NUMBER | {"name": "Number"}], False),
        ([NUMBER], [NUMBER | {"type": "integer"}], False),
        ([NUMBER], [NUMBER | {"multiValued": True}], False),
        ([NUMBER], [NUMBER | {"caseExact": True}], False),
        ([NUMBER], [NUMBER | {"uniqueness": "server"}], False),
        ([NUMBER], [NUMBER, {"name": "colour", "type": "string", "required": True}], False),
        (
            [{"name": "site", "type": "reference", "referenceTypes": ["uri"]}],
            [{"name": "site", "type": "reference", "referenceTypes": ["User"]}],
            False,
        ),
    ],
)
def test_a_version_adds_and_loosens_but_changes_nothing_that_is_stored(
    old: list[dict[str, Any]], new: list[dict[str, Any]], may: bool
) -> None:
    for wrap in (lambda attributes: attributes, _within):
        was, found = check_document(document(*wrap(old))), check_document(document(*wrap(new)))
        if may:
            check_evolution(was, found, is_core=False)
        elif not (wrap is _within and "uniqueness" in str(new)):
            with pytest.raises(Conflict):
                check_evolution(was, found, is_core=False)


def _within(attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = [{key: value for key, value in each.items() if key != "uniqueness"} for each in attributes]
    return [{"name": "badge", "type": "complex", "subAttributes": plain}]


names = st.from_regex(r"[a-z][a-zA-Z0-9]{0,5}", fullmatch=True).filter(
    lambda name: name.lower() not in {"and", "or", "not", "pr", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}
)
simple = st.fixed_dictionaries(
    {"type": st.sampled_from([each for each in Type if each not in (Type.COMPLEX, Type.REFERENCE)])},
    optional={"multiValued": st.booleans(), "required": st.booleans(), "caseExact": st.booleans()},
)


@given(st.dictionaries(names.map(str.lower), simple, min_size=1, max_size=5))
def test_every_accepted_document_is_its_own_next_version_and_says_the_same_when_read_again(
    attributes: dict[str, dict[str, Any]],
) -> None:
    schema = check_document(document(*({"name": name, **rest} for name, rest in attributes.items())))
    again = check_document(schema.json)
    assert again == schema
    check_evolution(schema, again, is_core=False)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["id", "name", "type", "attributes", "subAttributes", "uniqueness", "referenceTypes"]),
                        inner, max_size=4), max_leaves=12))  # fmt: skip
def test_whatever_is_sent_as_attributes_is_a_schema_or_a_refusal(attributes: Any) -> None:
    try:
        check_document({"id": ID, "attributes": attributes})
    except InvalidRequest as refused:
        assert refused.pointer is not None
