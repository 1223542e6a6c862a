"""What never changes once it is set, in an extension as a tenant may define one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from identity.model.errors import InvalidRequest
from identity.model.lifecycle import State
from identity.model.principal import Kind, Principal, Profile, Resource
from identity.model.schema import read_schema
from scim.dialects import DIALECTS
from scim.patch.request import apply_patch, parse_patch
from scim.resource.document import amended_profile, patchable_document, read_resource, replaced_profile
from scim.resource.projection import parse_projection
from scim.schema.resource_types import resource_types
from tests.scim.sources import PATCH, USER

BADGE = "urn:example:badge:1.0"
SCHEMA = read_schema({
    "id": BADGE,
    "attributes": [
        {"name": "number", "type": "string", "mutability": "immutable"},
        {"name": "doors", "type": "string", "multiValued": True, "mutability": "immutable"},
        {"name": "colour", "type": "string"},
        {"name": "maker", "type": "complex", "subAttributes": [
            {"name": "name", "type": "string", "mutability": "immutable"}, {"name": "phone", "type": "string"},
        ]},
    ],
})  # fmt: skip
USERS = replace(resource_types()["Users"], extensions={BADGE: SCHEMA})
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BARE = {"colour": "red", "maker": {"phone": "1"}}
SET = {"colour": "red", "maker": {"phone": "1", "name": "Acme"}, "number": "7", "doors": ["north", "south"]}
UNCHANGED = {"maker": {"name": "Acme"}, "number": "7", "doors": ["north", "south"]}


def resource(badge: dict[str, Any]) -> Resource:
    document = {"userName": "sam", BADGE: badge} if badge else {"userName": "sam"}
    return Resource(
        Principal(
            id=UUID(int=7), kind=Kind.USER, connection_id=None, state=State.ACTIVE, name="sam", external_id=None,
            display_name=None, document=document, valid_from=None, valid_until=None, version=1, epoch=1,
            end_count=0, was_owned=False, is_held=False, is_protected=False,
            created_at=NOW, updated_at=NOW,
        )
    )  # fmt: skip


def badge_of(profile: Profile) -> dict[str, Any]:
    return dict(profile.document.get(BADGE, {}))


def put(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Return the extension after a PUT."""
    body = {"schemas": [USER], "userName": "sam", **({BADGE: sent} if sent else {})}
    return badge_of(replaced_profile(read_resource(body, USERS, DIALECTS["rfc"]), USERS, resource(stored)))


def patch(stored: dict[str, Any], *operations: dict[str, Any]) -> dict[str, Any]:
    """Return the extension after a PATCH."""
    wanted = parse_patch({"schemas": [PATCH], "Operations": list(operations)}, USERS, DIALECTS["rfc"])
    document, _ = apply_patch(wanted, patchable_document(resource(stored)))
    return badge_of(amended_profile(document, USERS, resource(stored)))


@pytest.mark.rfc("7644", "3.5.1", "3.5.1-4", "3.5.1-6")
@pytest.mark.parametrize(
    ("stored", "sent", "after"),
    [
        (SET, SET, SET),
        (SET, {**SET, "colour": "blue"}, {**SET, "colour": "blue"}),
        (SET, BARE, SET),  # left out, it stays
        (SET, {}, UNCHANGED),
        (BARE, SET, SET),  # it had no value
        (BARE, {}, {}),
    ],
    ids=["the same", "something else changed", "left out", "all left out", "set for the first time", "never set"],
)
def test_a_put_repeats_sets_or_leaves_what_never_changes(
    stored: dict[str, Any], sent: dict[str, Any], after: dict[str, Any]
) -> None:
    assert put(stored, sent) == after


@pytest.mark.rfc("7644", "3.5.1", "3.5.1-4", "3.5.1-5")
@pytest.mark.parametrize(
    "changed", [{"number": "8"}, {"doors": ["north"]}, {"doors": ["south", "north"]}, {"maker": {"name": "Other"}}]
)
def test_a_put_with_another_value_for_it_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        put(SET, {**SET, **changed})
    assert refused.value.reason == "mutability"


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-5")
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": f"{BADGE}:number", "value": "7"},
        {"op": "add", "value": {BADGE: {"number": "7"}}},
        {"op": "replace", "path": f"{BADGE}:number", "value": "7"},
    ],
)
def test_a_patch_may_set_it_once_and_repeat_it(operation: dict[str, Any]) -> None:
    assert patch(BARE, operation, operation) == patch({**BARE, "number": "7"}, operation) == {**BARE, "number": "7"}


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-6")
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": f"{BADGE}:number", "value": "8"},
        {"op": "add", "path": f"{BADGE}:number", "value": "8"},
        {"op": "add", "path": f"{BADGE}:doors", "value": ["west"]},
        {"op": "replace", "value": {BADGE: {"number": "8"}}},
        {"op": "replace", "path": f"{BADGE}:maker.name", "value": "Other"},
        {"op": "replace", "path": f"{BADGE}:maker", "value": {"name": "Other"}},
        {"op": "remove", "path": f"{BADGE}:number"},
        {"op": "remove", "path": f"{BADGE}:maker.name"},
        {"op": "remove", "path": f"{BADGE}:maker"},
        {"op": "remove", "path": BADGE},
        {"op": "replace", "path": BADGE, "value": None},
    ],
)
def test_a_patch_neither_changes_nor_removes_it(operation: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        patch(SET, operation)
    assert refused.value.reason == "mutability"


def test_what_may_change_beside_it_does() -> None:
    assert patch(SET, {"op": "remove", "path": f"{BADGE}:maker.phone"})["maker"] == {"name": "Acme"}
    assert patch({"colour": "red"}, {"op": "remove", "path": BADGE}) == {}


def test_a_urn_that_ends_in_a_number_names_its_schema_in_a_path_and_in_attributes() -> None:
    assert patch({}, {"op": "add", "path": BADGE.upper(), "value": {"colour": "red"}}) == {"colour": "red"}
    shown = {"userName": "sam", BADGE: SET}
    assert parse_projection(BADGE, None, USERS).apply(shown) == {BADGE: SET}
    assert parse_projection(None, BADGE, USERS).apply(shown) == {"userName": "sam"}
