"""What the provisioning log may keep: no secret, nothing long, nothing that the database cannot hold."""

import json
from typing import Any

import pytest

from identity.model.difference import differences
from identity.model.provisioning_log import (
    BODY_CHARACTERS_MAX,
    CUT,
    MASK,
    Change,
    masked,
    masked_changes,
    shortened,
    text_of,
)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SECRET = "correct horse battery staple"


@pytest.mark.parametrize(
    "stored",
    [
        {"password": SECRET},
        {"PassWord": {"value": SECRET}},
        {"x": [{"clientSecret": [SECRET, SECRET]}]},
        {"urn:example:User": {"accessToken": SECRET}},
        {"privateKey": SECRET, "apiKey": SECRET, "api_key": SECRET, "credentials": [SECRET]},
    ],
)
def test_a_secret_in_a_known_attribute_is_masked_by_its_name(stored: dict[str, Any]) -> None:
    kept = json.dumps(masked(stored))
    assert SECRET not in kept
    assert MASK in kept


def test_what_is_no_secret_stays() -> None:
    sent = {"userName": "dana", "active": False, "name": {"givenName": None}, "n": 1, "path": "x", "emails": ["a", "b"]}
    assert masked(sent) == sent


def test_long_texts_lists_and_objects_are_cut_and_say_so() -> None:
    assert text_of("x" * 201) == "x" * 200 + CUT
    assert masked(list(range(25)))[19:] == [19, f"{CUT} 5 more"]
    assert masked({str(n): n for n in range(25)})[CUT] == "5 more"


def test_a_body_that_is_too_long_keeps_what_is_short_in_it() -> None:
    kept = shortened({"userName": "dana", "x": [["y" * 200] * 20] * 20})
    assert kept == {"userName": "dana", "x": CUT}
    widest = masked({f"k{n}": "y" * 300 for n in range(30)})
    assert len(json.dumps(shortened(widest))) < BODY_CHARACTERS_MAX


@pytest.mark.parametrize("broken", ["a\0b", "a\ud800b"])
def test_what_the_database_cannot_hold_is_replaced(broken: str) -> None:
    assert masked({broken: broken}) == {"a\ufffdb": "a\ufffdb"}


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"userName": "dana"}, [Change("userName", None, "dana")]),
        ({"a": 1, "b": 2}, {"a": 1}, [Change("b", 2, None)]),
        ({"name": {"givenName": "D", "familyName": "S"}}, {"name": {"givenName": "F", "familyName": "S"}},
         [Change("name.givenName", "D", "F")]),
        ({}, {ENTERPRISE: {"department": "x", "manager": {"value": "1"}}},
         [Change(f"{ENTERPRISE}:department", None, "x"), Change(f"{ENTERPRISE}:manager.value", None, "1")]),
        ({"emails": [{"value": "a"}]}, {"emails": [{"value": "b"}]},
         [Change("emails", [{"value": "a"}], [{"value": "b"}])]),
        ({"active": True}, {"active": None}, [Change("active", True, None)]),
        ({"pin": "1", "clientSecret": "2"}, {"pin": "3"},
         [Change("clientSecret", MASK, None), Change("pin", MASK, MASK)]),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}, []),
    ],
)  # fmt: skip
def test_changes_name_the_attribute_with_its_value_before_and_after(
    before: dict[str, Any], after: dict[str, Any], changes: list[Change]
) -> None:
    assert list(masked_changes(differences(before, after))) == changes
