"""PATCH on stored JSON: every path shape of RFC 7644 §3.5.2, mutability, and nothing half done."""

import copy
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model.errors import InvalidRequest, LimitExceeded
from identity.model.membership import MemberChange
from scim.dialects import DIALECTS
from scim.limits import MEMBERS_MAX, OPERATIONS_MAX
from scim.patch.request import apply_patch, parse_patch
from scim.schema.resource_types import resource_types
from tests.scim.sources import ENTERPRISE, PATCH, USER
from tests.trials import trials

BABS: dict[str, Any] = {
    "userName": "bjensen@example.com",
    "externalId": "bjensen",
    "name": {"givenName": "Barbara", "familyName": "Jensen", "middleName": "Jane"},
    "nickName": "Babs",
    "active": True,
    "emails": [
        {"value": "bjensen@example.com", "type": "work", "primary": True},
        {"value": "babs@jensen.example", "type": "home"},
    ],
    "addresses": [
        {"type": "work", "streetAddress": "100 Universal City Plaza", "locality": "Hollywood"},
        {"type": "home", "streetAddress": "456 Hollywood Blvd"},
    ],
    ENTERPRISE: {"employeeNumber": "701984", "manager": {"value": "26118915-6090-4610-87e4-49d8ca9f808d"}},
}
ONE, TWO, THREE = (UUID(int=n << 96 | 7 << 76 | 2 << 62) for n in (1, 2, 3))


def patched(*operations: Any, dialect: str = "rfc", kind: str = "Users", document: Any = None) -> dict[str, Any]:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    patch = parse_patch(body, resource_types()[kind], DIALECTS[dialect])
    before = copy.deepcopy(BABS if document is None else document)
    after, change = apply_patch(patch, before)
    assert before == (BABS if document is None else document), "the document handed in is never touched"
    assert change is None
    return after


def members_changed(*operations: Any, dialect: str = "rfc") -> MemberChange | None:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    patch = parse_patch(body, resource_types()["Groups"], DIALECTS[dialect])
    document, change = apply_patch(patch, {"displayName": "Finance"})
    assert document["displayName"]
    return change


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in BABS.items() if key not in keys}


WORK, HOME = BABS["emails"]
OTHER = {"value": "b@other.example", "type": "other"}

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("add a simple attribute", {"op": "add", "path": "title", "value": "VP"}, {"title": "VP"}),
    ("add over a simple attribute", {"op": "add", "path": "nickName", "value": "B"}, {"nickName": "B"}),
    ("replace what is absent", {"op": "replace", "path": "title", "value": "VP"}, {"title": "VP"}),
    ("upper-case path", {"op": "replace", "path": "NICKNAME", "value": "B"}, {"nickName": "B"}),
    ("upper-case op", {"op": "Replace", "path": "nickName", "value": "B"}, {"nickName": "B"}),
    ("core URN", {"op": "replace", "path": f"{USER}:nickName", "value": "B"}, {"nickName": "B"}),
    (
        "sub-attribute",
        {"op": "replace", "path": "name.familyName", "value": "J"},
        {"name": {"givenName": "Barbara", "familyName": "J", "middleName": "Jane"}},
    ),
    (
        "complex: what is not specified is left unchanged",
        {"op": "replace", "path": "name", "value": {"familyName": "J", "middleName": None}},
        {"name": {"givenName": "Barbara", "familyName": "J"}},
    ),
    ("multi-valued: add appends", {"op": "add", "path": "emails", "value": [OTHER]}, {"emails": [WORK, HOME, OTHER]}),
    ("multi-valued: add one value", {"op": "add", "path": "emails", "value": OTHER}, {"emails": [WORK, HOME, OTHER]}),
    ("multi-valued: adding what is there", {"op": "add", "path": "emails", "value": [WORK]}, {}),
    ("multi-valued: replace", {"op": "replace", "path": "emails", "value": [OTHER]}, {"emails": [OTHER]}),
    (
        "a new primary makes the old one not primary",
        {"op": "add", "path": "emails", "value": [{**OTHER, "primary": True}]},
        {"emails": [{**WORK, "primary": False}, HOME, {**OTHER, "primary": True}]},
    ),
    (
        "value path with sub-attribute",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "x@example.com"},
        {"emails": [{**WORK, "value": "x@example.com"}, HOME]},
    ),
    (
        "value path of a primary",
        {"op": "replace", "path": 'emails[type eq "home"].primary', "value": True},
        {"emails": [{**WORK, "primary": False}, {**HOME, "primary": True}]},
    ),
    (
        "value path alone replaces the value (RFC 7644 §3.5.2.3)",
        {
            "op": "replace",
            "path": 'addresses[type eq "work"]',
            "value": {"type": "work", "streetAddress": "911 Universal City Plaza"},
        },
        {"addresses": [{"type": "work", "streetAddress": "911 Universal City Plaza"}, BABS["addresses"][1]]},
    ),
    (
        "value path alone, add merges",
        {"op": "add", "path": 'addresses[type eq "home"]', "value": {"country": "US"}},
        {"addresses": [BABS["addresses"][0], {**BABS["addresses"][1], "country": "US"}]},
    ),
    (
        "sub-attribute of every value",
        {"op": "replace", "path": "addresses.country", "value": "US"},
        {"addresses": [{**address, "country": "US"} for address in BABS["addresses"]]},
    ),
    (
        "extension attribute",
        {"op": "replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "1"},
        {ENTERPRISE: {**BABS[ENTERPRISE], "employeeNumber": "1"}},
    ),
    (
        "sub-attribute of an extension",
        {"op": "replace", "path": f"{ENTERPRISE}:manager.value", "value": "271"},
        {ENTERPRISE: {"employeeNumber": "701984", "manager": {"value": "271"}}},
    ),
    (
        "whole extension",
        {"op": "add", "path": ENTERPRISE, "value": {"department": "Tour"}},
        {ENTERPRISE: {**BABS[ENTERPRISE], "department": "Tour"}},
    ),
    (
        "without a path",
        {"op": "replace", "value": {"nickName": "B", "name": {"middleName": "J"}, ENTERPRISE: {"costCenter": "1"}}},
        {
            "nickName": "B",
            "name": {**BABS["name"], "middleName": "J"},
            ENTERPRISE: {**BABS[ENTERPRISE], "costCenter": "1"},
        },
    ),
]


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-8", "3.5.2-10")
@pytest.mark.rfc("7644", "3.5.2.3", "3.5.2.3-1", "3.5.2.3-2", "3.5.2.3-3")
@pytest.mark.parametrize(("operation", "changed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_operation_changes_what_it_names_and_nothing_else(
    operation: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert patched(operation) == {**BABS, **changed}


@pytest.mark.rfc("7644", "3.5.2.2", "3.5.2.2-1", "3.5.2.2-2", "3.5.2.2-4")
@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ({"op": "remove", "path": "nickName"}, without("nickName")),
        ({"op": "remove", "path": "title"}, BABS),
        ({"op": "replace", "path": "nickName", "value": None}, without("nickName")),
        (
            {"op": "remove", "path": "name.middleName"},
            {**BABS, "name": {"givenName": "Barbara", "familyName": "Jensen"}},
        ),
        ({"op": "remove", "path": "emails"}, without("emails")),
        ({"op": "replace", "path": "emails", "value": []}, without("emails")),
        ({"op": "remove", "path": 'emails[type eq "home"]'}, {**BABS, "emails": [WORK]}),
        ({"op": "remove", "path": 'emails[type eq "nope"]'}, BABS),
        ({"op": "remove", "path": 'emails[type eq "work"].primary'}, {**BABS, "emails": [{**WORK}, HOME]}),
        ({"op": "remove", "path": "emails", "value": [{"value": HOME["value"]}]}, {**BABS, "emails": [WORK]}),
        ({"op": "remove", "path": "emails", "value": []}, BABS),
        ({"op": "remove", "path": ENTERPRISE}, without(ENTERPRISE)),
        (
            {"op": "remove", "path": f"{ENTERPRISE}:manager"},
            {**BABS, ENTERPRISE: {"employeeNumber": "701984"}},
        ),
        ({"op": "remove", "path": "active"}, {**BABS, "active": None}),
    ],
    ids=lambda value: value.get("path") if isinstance(value, dict) and "op" in value else "",
)
def test_a_remove_takes_what_it_names_and_nothing_else(operation: dict[str, Any], after: dict[str, Any]) -> None:
    if "primary" in str(operation.get("path")):
        after = {**after, "emails": [{k: v for k, v in WORK.items() if k != "primary"}, HOME]}
    assert patched(operation) == after


def test_the_last_attribute_of_an_extension_takes_the_extension_with_it() -> None:
    after = patched(
        {"op": "remove", "path": f"{ENTERPRISE}:manager"}, {"op": "remove", "path": f"{ENTERPRISE}:employeeNumber"}
    )
    assert after == without(ENTERPRISE)


def test_operations_are_applied_in_order() -> None:
    after = patched(
        {"op": "remove", "path": "emails"},
        {"op": "add", "path": "emails", "value": [OTHER]},
        {"op": "replace", "path": 'emails[type eq "other"].value', "value": "last@x"},
    )
    assert after["emails"] == [{"value": "last@x", "type": "other"}]


READ_ONLY = ["id", "meta", "meta.created", "groups", "schemas", "ID", f"{USER}:id", "META.CREATED", f"{USER}:groups"]


@pytest.mark.requirement("S3")
@pytest.mark.rfc("7644", "3.5.2", "3.5.2-5", "3.5.2-6")
@pytest.mark.rfc("7644", "3.5.2.2", "3.5.2.2-6")
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
@pytest.mark.parametrize("path", [*READ_ONLY, 'groups[value eq "x"]', "groups.value"])
def test_what_is_read_only_cannot_be_written_by_any_path(op: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        patched({"op": op, "path": path, "value": "x"})
    assert refused.value.reason == "mutability"


@pytest.mark.parametrize("key", ["id", "meta", "groups", "ID", f"{USER}:id", f"{USER}:meta.created"])
@pytest.mark.parametrize("dialect", ["rfc", "entra"])
def test_what_is_read_only_cannot_be_written_without_a_path(key: str, dialect: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        patched({"op": "replace", "value": {"nickName": "B", key: "x"}}, dialect=dialect)
    assert refused.value.reason in ("mutability", "invalidPath")


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-3", "3.5.2-4", "3.5.2-5")
@pytest.mark.rfc("7644", "3.5.2.1", "3.5.2.1-1", "3.5.2.1-2")
@pytest.mark.rfc("7644", "3.5.2.2", "3.5.2.2-6")
@pytest.mark.rfc("7644", "3.5.2.3", "3.5.2.3-1", "3.5.2.3-5")
@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "replace", "path": "userName", "value": None}, "mutability"),
        ({"op": "remove", "path": USER}, "noTarget"),
        ({"op": "add", "path": "title"}, "invalidValue"),
        ({"op": "add", "value": "x"}, "invalidValue"),
        ({"op": "move", "path": "title", "value": "x"}, "invalidSyntax"),
        ({"path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": 5, "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "nope", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "emails.nope", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "userName pr or title", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": "not (title)", "value": "x"}, "invalidPath"),
        ({"op": "add", "path": 'emails[nope eq "x"].value', "value": "x"}, "invalidFilter"),
        ({"op": "add", "path": 'emails[type eq "work"', "value": "x"}, "invalidPath"),
        ({"op": "add", "value": {"nope": "x"}}, "invalidPath"),
        ({"op": "replace", "value": {"name.givenName": "x"}}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type eq "nope"].value', "value": "x"}, "noTarget"),
        ({"op": "replace", "path": "title", "value": 5}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "False"}, "invalidValue"),
        ({"op": "replace", "path": "emails", "value": [{**WORK}, {**OTHER, "primary": True}]}, "invalidValue"),
        ({"op": "replace", "path": "name", "value": "x"}, "invalidValue"),
        ({"op": "add", "path": "name", "value": "x"}, "invalidValue"),
        ({"op": "add", "path": "emails", "value": ["x"]}, "invalidValue"),
        ({"op": "replace", "value": "x"}, "invalidValue"),
        ({"op": "replace", "value": [{"title": "x"}]}, "invalidValue"),
        ({"op": "replace", "path": "displayName", "value": "x" * 257}, "invalidValue"),
        ("nope", "invalidSyntax"),
    ],
)
def test_a_wrong_operation_is_refused_for_its_fault(operation: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        patched({"op": "replace", "path": "nickName", "value": "B"}, operation)
    assert refused.value.reason == reason


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-1", "3.5.2-2")
@pytest.mark.parametrize(
    "body", [{}, {"schemas": [PATCH]}, {"schemas": [PATCH], "Operations": []}, {"Operations": [1]}]
)
def test_a_body_that_is_no_patch_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse_patch(body, resource_types()["Users"], DIALECTS["rfc"])


def test_more_operations_than_the_limit_are_refused_at_once() -> None:
    operation = {"op": "replace", "path": "nickName", "value": "B"}
    patched(*[operation] * OPERATIONS_MAX)
    with pytest.raises(LimitExceeded):
        patched(*[operation] * (OPERATIONS_MAX + 1))


# --- members ---


def link(*ids: UUID) -> list[dict[str, Any]]:
    return [{"$ref": None, "value": str(id_)} for id_ in ids]


@pytest.mark.parametrize(
    ("operations", "change"),
    [
        ([{"op": "add", "path": "members", "value": link(ONE)}], MemberChange(add=frozenset({ONE}))),
        ([{"op": "Remove", "path": "members", "value": link(ONE)}], MemberChange(remove=frozenset({ONE}))),
        ([{"op": "remove", "path": f'members[value eq "{ONE}"]'}], MemberChange(remove=frozenset({ONE}))),
        (
            [{"op": "remove", "path": f'members[value eq "{ONE}" or value eq "{TWO}"]'}],
            MemberChange(remove=frozenset({ONE, TWO})),
        ),
        ([{"op": "remove", "path": "members"}], MemberChange(replace=True)),
        ([{"op": "remove", "path": "members", "value": []}], None),
        ([{"op": "replace", "path": "members", "value": []}], MemberChange(replace=True)),
        ([{"op": "replace", "path": "members", "value": link(ONE)}], MemberChange(replace=True, add=frozenset({ONE}))),
        ([{"op": "replace", "value": {"members": link(ONE)}}], MemberChange(replace=True, add=frozenset({ONE}))),
        ([{"op": "add", "value": {"members": link(ONE, TWO)}}], MemberChange(add=frozenset({ONE, TWO}))),
        (
            [
                {"op": "remove", "path": f'members[value eq "{ONE}"]'},
                {"op": "add", "path": "members", "value": [{"value": str(TWO), "display": "u@x"}]},
            ],
            MemberChange(remove=frozenset({ONE}), add=frozenset({TWO})),
        ),
        (
            [{"op": "add", "path": "members", "value": link(ONE)}, {"op": "remove", "path": "members"}],
            MemberChange(replace=True),
        ),
        ([{"op": "remove", "path": 'members[value eq "no-id-of-ours"]'}], None),
    ],
)
def test_operations_on_members_are_deltas(operations: list[Any], change: MemberChange | None) -> None:
    assert members_changed(*operations) == change
    assert members_changed(*operations, dialect="entra") == change
    assert members_changed(*operations, dialect="okta") == change


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"op": "remove", "path": "members", "value": None}, "invalidValue"),
        ({"op": "replace", "path": "members", "value": None}, "invalidValue"),
        ({"op": "replace", "path": "members.value", "value": str(ONE)}, "mutability"),
        ({"op": "replace", "path": f'members[value eq "{ONE}"].value', "value": str(TWO)}, "mutability"),
        ({"op": "remove", "path": 'members[type eq "User"]'}, "invalidFilter"),
        ({"op": "remove", "path": f'members[not (value eq "{ONE}")]'}, "invalidFilter"),
        ({"op": "add", "path": "members", "value": [{"value": "no-id-of-ours"}]}, "invalid_value"),
        ({"op": "add", "path": "members", "value": [{"type": "User"}]}, "invalid_value"),
        ({"op": "add", "path": "members", "value": ["x"]}, "invalidValue"),
    ],
)
@pytest.mark.parametrize("dialect", ["rfc", "entra", "okta"])
def test_members_are_never_guessed(operation: dict[str, Any], reason: str, dialect: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        members_changed(operation, dialect=dialect)
    assert refused.value.reason == reason


def test_more_members_than_the_limit_are_refused() -> None:
    many = [UUID(int=n << 96 | 7 << 76 | 2 << 62) for n in range(MEMBERS_MAX + 1)]
    members_changed({"op": "add", "path": "members", "value": link(*many[:-1])})
    with pytest.raises(LimitExceeded):
        members_changed({"op": "add", "path": "members", "value": link(*many)})


# --- nothing unexpected ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text('ab"[].:', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "$ref", "userName", "emails", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(
    [
        *(None, "", "userName", "emails", 'emails[type eq "work"]', 'emails[type eq "work"].value', "emails.value"),
        *("name", "name.givenName", "active", "manager", ENTERPRISE, f"{ENTERPRISE}:manager", "roles", "externalId"),
        *('roles[primary eq "True"]', 'x509Certificates[value eq "a"].value', "addresses.type", USER, "nope", "a[b]"),
    ]
)


@settings(max_examples=trials(1500), deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "replace", "remove"]), "path": PATHS}, optional={"value": JSON}
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["rfc", "entra", "okta"]),
)
def test_any_patch_is_applied_or_refused(operations: list[Any], dialect: str) -> None:
    try:
        after = patched(*operations, dialect=dialect)
    except (InvalidRequest, LimitExceeded):
        return
    assert isinstance(after["userName"], str)
    assert all(value not in ([], {}) for value in after.values())
