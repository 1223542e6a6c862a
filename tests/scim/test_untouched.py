"""What an operation does not speak of stays: parts, values, the primary one, what is immutable (RFC 7644 §3.5.2)."""

from typing import Any

import pytest

from identity.model.errors import InvalidRequest
from scim.dialects import DIALECTS
from scim.patch.request import apply_patch, parse_patch
from scim.schema.resource_types import resource_types
from tests.oracles.differences import user_type
from tests.oracles.making import GAMES
from tests.scim.sources import ENTERPRISE, PATCH

WORK = {"value": "w@x", "type": "work", "primary": True}
HOME = {"value": "h@x", "type": "home"}
PLAY = {"game": "go", "seat": "a", "tags": ["x"]}
SAM: dict[str, Any] = {
    "userName": "sam",
    "active": True,
    "name": {"givenName": "Sam", "familyName": "Lee"},
    "emails": [HOME, WORK],
    ENTERPRISE: {"manager": {"value": "271"}, "department": "Files"},
    GAMES: {"code": "c", "plays": [PLAY], "nicks": ["a"], "lucky": [7], "clan": {"name": "n", "colours": ["red"]}},
}


def patched(*operations: dict[str, Any], dialect: str = "rfc") -> dict[str, Any]:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    return apply_patch(parse_patch(body, user_type(), DIALECTS[dialect]), SAM)[0]


def operation(op: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "path": path} | ({"value": value[0]} if value else {})


@pytest.mark.rfc("7644", "3.5.2")
@pytest.mark.parametrize(
    "unspoken",
    [
        operation("replace", "name", {}),
        operation("replace", "name", {"middleName": None}),
        operation("replace", "name", {"unknown": "x"}),
        operation("add", "name", {"unknown": "x"}),
        operation("replace", f"{ENTERPRISE}:manager", {"displayName": "Dana"}),
        operation("replace", f"{ENTERPRISE}:manager", {"$ref": None}),
        operation("add", 'emails[type eq "home"]', {"unknown": "x"}),
        operation("add", 'emails[type eq "home"]', None),
        operation("add", 'emails[type eq "home"]', []),
        operation("add", "emails", [HOME, HOME, WORK]),
        operation("add", f"{GAMES}:nicks", "a"),
        operation("add", f"{GAMES}:lucky", 7),
        operation("add", f"{GAMES}:clan.colours", "red"),
        operation("add", f'{GAMES}:plays[game eq "go"].tags', ["x"]),
        operation("add", f'{GAMES}:plays[tags eq "x"].tags', ["x"]),
        operation("add", f"{GAMES}:code", "c"),
        operation("replace", f'{GAMES}:plays[game eq "go"].seat', "a"),
        operation("remove", f"{GAMES}:clan.colours", ["blue"]),
        operation("remove", "emails", []),
    ],
    ids=str,
)
def test_an_operation_that_says_nothing_new_changes_nothing(unspoken: dict[str, Any]) -> None:
    assert patched(unspoken) == SAM


@pytest.mark.rfc("7644", "3.5.2.3")
@pytest.mark.parametrize(
    ("spoken", "name"),
    [
        ({"givenName": None}, {"familyName": "Lee"}),
        ({"GIVENNAME": None, "formatted": "S"}, {"familyName": "Lee", "formatted": "S"}),
    ],
)
def test_null_unassigns_the_part_that_it_names(spoken: dict[str, Any], name: dict[str, Any]) -> None:
    assert patched(operation("replace", "name", spoken)) == SAM | {"name": name}


def test_a_part_that_is_sent_beside_a_reference_of_null_is_kept() -> None:
    after = patched(operation("replace", f"{ENTERPRISE}:manager", {"$ref": None, "value": "314"}))
    assert after[ENTERPRISE]["manager"] == {"value": "314"}


@pytest.mark.rfc("7644", "3.5.2")
@pytest.mark.parametrize(
    ("changed", "primary"),
    [
        (operation("replace", "emails.display", "x"), "w@x"),  # of both: the one that was primary stays so
        (operation("replace", 'emails[value co "x"].display', "x"), "w@x"),
        (operation("replace", 'emails[type eq "home"].primary', True), "h@x"),
        (operation("replace", "emails.primary", True), "w@x"),  # of all, the one that was: or twice would not be once
        (operation("add", "emails", {"value": "n@x", "primary": True}), "n@x"),
        (operation("replace", 'emails[type eq "home"]', {"value": "n@x", "primary": True}), "n@x"),
    ],
)
def test_the_primary_value_changes_only_when_another_becomes_it(changed: dict[str, Any], primary: str) -> None:
    assert [email["value"] for email in patched(changed)["emails"] if email.get("primary")] == [primary]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (operation("replace", 'emails[type eq "home"]', {"unknown": "x"}), "invalidValue"),  # would be a removal
        (operation("replace", 'emails[type eq "home"]', {}), "invalidValue"),
        (operation("remove", "emails", None), "invalidValue"),  # null could mean all of them
        (operation("replace", f"{GAMES}:code", "d"), "mutability"),
        (operation("remove", f"{GAMES}:code"), "mutability"),
        (operation("remove", GAMES), "mutability"),
        (operation("replace", GAMES, None), "mutability"),
        (operation("replace", f'{GAMES}:plays[game eq "go"].seat', "b"), "mutability"),
        (operation("remove", f"{GAMES}:plays.seat"), "mutability"),
        (operation("add", f'{GAMES}:plays[game eq "go"]', {"seat": "b"}), "mutability"),
    ],
    ids=str,
)
def test_what_would_take_away_unasked_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        patched(wrong)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changed", "key", "value"),
    [
        (operation("add", f"{GAMES}:clan.colours", "blue"), "clan", {"name": "n", "colours": ["red", "blue"]}),
        (operation("replace", f"{GAMES}:clan.colours", ["blue"]), "clan", {"name": "n", "colours": ["blue"]}),
        (operation("remove", f"{GAMES}:clan.colours"), "clan", {"name": "n"}),
        (operation("add", f"{GAMES}:clan.crest", "lion"), "clan", {"name": "n", "colours": ["red"], "crest": "lion"}),
        (operation("add", f'{GAMES}:plays[tags eq "x"].tags', "y"), "plays", [PLAY | {"tags": ["x", "y"]}]),
        (operation("remove", f"{GAMES}:plays.tags", "x"), "plays", [{"game": "go", "seat": "a"}]),
        (operation("add", f"{GAMES}:lucky", [0]), "lucky", [7, 0]),
        (operation("remove", f'{GAMES}:nicks[value eq "A"]'), "nicks", None),
    ],
    ids=str,
)
def test_a_part_with_several_values_is_changed_like_an_attribute(changed: dict[str, Any], key: str, value: Any) -> None:
    assert patched(changed)[GAMES].get(key) == value


def test_an_agents_part_is_merged_too() -> None:
    agents, window = resource_types()["Agents"], {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
    body = {"schemas": [PATCH], "Operations": [operation("replace", "validity", {"until": None})]}
    after, _ = apply_patch(parse_patch(body, agents, DIALECTS["rfc"]), {"agentUserName": "a", "validity": window})
    assert after["validity"] == {"from": "2026-01-01T00:00:00Z"}


def test_all_values_made_primary_leave_the_one_that_was_so_and_twice_is_once() -> None:
    every = operation("add", "emails.primary", True)
    once = patched(every)
    assert [email["primary"] for email in once["emails"]] == [False, True]
    assert patched(every, every) == once
