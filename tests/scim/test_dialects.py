"""Every rule of every dialect: what it does where it is on, and that it does nothing anywhere else."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from identity.model.connection import Dialect
from scim.dialects import DIALECTS
from tests.scim.sources import ENTERPRISE, GROUP, PATCH, USER, Source, Sources

ALL = {dialect.value for dialect in Dialect}
ENTRA_S = {"entra", "entra-compliant"}
STRICT = {"interop"}
LENIENT = ALL - STRICT
MANAGER = f"{ENTERPRISE}:manager"
WORK_AND_HOME = [{"value": "w@x", "type": "work"}, {"value": "h@x", "type": "home"}]


@dataclass(frozen=True)
class Told:
    """What a user is after one operation, or the refusal of it."""

    status: int
    body: dict[str, Any]

    @property
    def scim_type(self) -> str | None:
        return self.body.get("scimType")


def tell(source: Source, operation: dict[str, Any]) -> Told:
    """Make a user, send one PATCH operation, and read what there is."""
    user = source.user(
        f"dana-of-{source.token}",
        name={"givenName": "Dana", "familyName": "Scully"},
        emails=WORK_AND_HOME,
        phoneNumbers=[{"value": "1", "type": "work"}, {"value": "2", "type": "work"}],
    )
    answer = source.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [operation]})
    body = source.get(f"/Users/{user}") if answer.status_code < 300 else json.loads(answer.data)
    return Told(answer.status_code, body)


def replace(path: str | None, value: Any) -> dict[str, Any]:
    return {"op": "replace", "value": value} | ({} if path is None else {"path": path})


ON: list[tuple[str, dict[str, Any], set[str], Any, str | None]] = [
    # rule, operation, dialects that read it, where it shows, what the others answer
    ("booleans_as_text", replace("active", "False"), {"entra"}, lambda b: b["active"] is False, "invalidValue"),
    ("references_as_text", {"op": "add", "path": MANAGER, "value": "271"}, ENTRA_S,
     lambda b: b[ENTERPRISE]["manager"]["value"] == "271", "invalidValue"),
    ("references_as_text: a list of one", {"op": "add", "path": MANAGER, "value": [{"value": "271"}]}, ENTRA_S,
     lambda b: b[ENTERPRISE]["manager"]["value"] == "271", "invalidValue"),
    ("enterprise_urn_misspelt", replace("urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department", "x"),
     {"entra"}, lambda b: b[ENTERPRISE]["department"] == "x", None),
    ("creates_what_it_selects", replace('emails[type eq "other"].value', "o@x"), ENTRA_S,
     lambda b: {"type": "other", "value": "o@x"} in b["emails"], "noTarget"),
    ("keys_are_paths", replace(None, {"name.givenName": "Fox"}), ENTRA_S,
     lambda b: b["name"]["givenName"] == "Fox", None),
    ("ignores_what_it_cannot_set", replace(None, {"id": "7", "displayName": "Fox"}), {"okta"},
     lambda b: b["displayName"] == "Fox", None),
    ("wants_paths is off", replace(None, {"displayName": "Fox"}), LENIENT,
     lambda b: b["displayName"] == "Fox", "invalidSyntax"),
    ("extension_attributes_unqualified", replace("department", "Files"), LENIENT,
     lambda b: b[ENTERPRISE]["department"] == "Files", "invalidSyntax"),
    ("unknown_path", replace("shoeSize", 43), set(), None, None),
    ("values_hold_nothing_unknown is off", replace("name", {"givenName": "Fox", "nick": "Spooky"}), LENIENT,
     lambda b: b["name"]["givenName"] == "Fox", "invalidSyntax"),
    ("elements_change_by_sub_attributes is off", replace('emails[type eq "work"]', {"value": "n@x", "type": "work"}),
     LENIENT, lambda b: b["emails"][0]["value"] == "n@x", "invalidPath"),
    ("an element is removed", {"op": "remove", "path": 'emails[type eq "work"]'}, ALL,
     lambda b: [email["type"] for email in b["emails"]] == ["home"], None),
    ("selections_are_plain is off", replace('emails[value sw "w"].value', "n@x"), LENIENT,
     lambda b: b["emails"][0]["value"] == "n@x", "invalidSyntax"),
    ("changes_one_element is off", replace('phoneNumbers[type eq "work"].value', "3"), LENIENT,
     lambda b: {phone["value"] for phone in b["phoneNumbers"]} == {"3"}, "invalidFilter"),
    ("many_values_are_an_array is off", {"op": "add", "path": "emails", "value": {"value": "n@x"}}, LENIENT,
     lambda b: len(b["emails"]) == 3, "invalidValue"),
    ("an operation is written in any case", {"op": "Replace", "path": "displayName", "value": "Fox"}, ALL,
     lambda b: b["displayName"] == "Fox", None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "operation", "on_in", "shows", "refusal"), ON, ids=[row[0] for row in ON])
def test_a_rule_reads_an_operation_in_its_dialects_and_in_no_other(
    sources: Sources, rule: str, operation: dict[str, Any], on_in: set[str], shows: Any, refusal: str | None
) -> None:
    for dialect in sorted(ALL):
        told = tell(sources.make("acme", dialect), operation)
        if dialect in on_in:
            assert (told.status, shows(told.body)) == (200, True), dialect
        elif rule == "keys_are_paths" and dialect == "okta":
            assert not shows(told.body)  # it ignores what it cannot set
        else:
            assert told.status == 400, dialect
            assert refusal is None or told.scim_type in (refusal, "invalidSyntax"), dialect


@pytest.mark.rfc("7644", "3.5.2.3", "3.5.2.3-3")
@pytest.mark.parametrize("op", ["add", "replace"])
def test_what_is_not_named_of_a_name_stays_unless_the_profile_replaces_it(sources: Sources, op: str) -> None:
    """SailPoint replaces a part of it, as RFC 7644 §3.5.2.3 says; the profile means the whole."""
    for dialect in sorted(ALL):
        told = tell(sources.make("acme", dialect), {"op": op, "path": "name", "value": {"givenName": "Fox"}})
        lost = dialect in STRICT and op == "replace"
        assert told.body["name"] == ({"givenName": "Fox"} if lost else {"givenName": "Fox", "familyName": "Scully"})


def test_a_role_packed_in_text_is_unpacked_for_entra_only(sources: Sources) -> None:
    packed = '{"id":"1","value":"Admin","displayName":"Administrator"}'
    for dialect in sorted(ALL):
        told = tell(sources.make("acme", dialect), {"op": "add", "path": "roles", "value": [{"value": packed}]})
        role = {"value": "Admin", "display": "Administrator"} if dialect in ENTRA_S else {"value": packed}
        assert told.body["roles"] == [role]


def test_an_emptied_manager_is_nobody_for_entra_only(sources: Sources) -> None:
    for dialect in sorted(ALL):
        source = sources.make("acme", dialect)
        user = source.user(dialect)
        for manager in ({"value": "271"}, {"value": ""}):
            source.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": [replace(MANAGER, manager)]})
        left = source.get(f"/Users/{user}").get(ENTERPRISE, {}).get("manager", {})
        assert (not left) == (dialect in ENTRA_S), dialect


ONE_1 = b"""{"schemas":["urn:scim:schemas:core:1.0","urn:scim:schemas:extension:enterprise:1.0"],"userName":"one@x",
 "name":{"givenName":"One","familyName":"Login"},"emails":[{"value":"one@x","type":"work","primary":true}],
 "urn:scim:schemas:extension:enterprise:1.0":{"department":"Sales"}}"""


def test_the_urns_of_scim_1_1_are_read_for_onelogin_only(sources: Sources) -> None:
    source = sources.make("acme", "onelogin")
    made = source.post("/Users", ONE_1)
    assert made["schemas"] == [USER, ENTERPRISE]
    assert made[ENTERPRISE] == {"department": "Sales"}
    source.put(f"/Users/{made['id']}", {"schemas": ["urn:scim:schemas:core:1.0"], "userName": "two@x"})
    source.post("/Groups", {"schemas": ["urn:scim:schemas:core:1.0"], "displayName": "One"})
    for dialect in sorted(ALL - {"onelogin"}):
        assert sources.make("acme", dialect).post("/Users", ONE_1, status=400)["scimType"] == "invalidSyntax"


UNKNOWN: list[dict[str, Any]] = [
    {"shoeSize": 43},
    {"name": {"nick": "Spooky"}},
    {"emails": [{"value": "a@x", "color": "red"}]},
    {"urn:example:unknown": {"a": 1}},
    {"schemas": [USER, "urn:example:unknown"]},
    {ENTERPRISE: {"shoeSize": 43}},
    {"department": "Files"},
]


@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda unknown: next(iter(unknown)))
def test_what_no_schema_defines_is_refused_by_the_profile_and_left_out_by_all_others(
    sources: Sources, unknown: dict[str, Any]
) -> None:
    for dialect in sorted(LENIENT):
        sources.make("acme", dialect).post("/Users", {"schemas": [USER], "userName": dialect, **unknown})
    strict = sources.make("acme", "interop")
    body = {"schemas": [USER], "userName": "dana", **unknown}
    assert strict.post("/Users", body, status=400)["scimType"] == "invalidSyntax"
    user = strict.user("mulder")
    assert strict.put(f"/Users/{user}", {**body, "userName": "mulder"}, status=400)["scimType"] == "invalidSyntax"


def test_the_profile_takes_back_whatever_it_answered(sources: Sources) -> None:
    source = sources.make("acme", "interop")
    boss = source.user("boss")
    full = source.get(
        "/Users/" + source.user("dana", emails=WORK_AND_HOME, **{ENTERPRISE: {"manager": {"value": boss}}})
    )
    assert source.put(f"/Users/{full['id']}", full)["emails"] == full["emails"]


@pytest.mark.requirement("S4")
@pytest.mark.parametrize("dialect", sorted(ALL))
def test_no_dialect_guesses_a_destructive_reading(sources: Sources, dialect: str) -> None:
    source = sources.make("acme", dialect)
    dana, fox = source.user("dana"), source.user("fox", active=True)
    group = source.group("Files", dana, fox)
    by_value = {"op": "remove", "path": "members", "value": [{"value": dana}]}  # Entra and JumpCloud
    assert source.ask("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [by_value]}).status_code == 204
    assert source.members(group) == {fox}
    null = replace("members", None)
    assert source.ask("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": [null]}).status_code == 400
    source.put(f"/Groups/{group}", {"schemas": [GROUP], "displayName": "Files"})
    assert source.members(group) == {fox}
    source.put(f"/Users/{fox}", {"schemas": [USER], "userName": "fox"})
    assert source.get(f"/Users/{fox}")["active"] is True


@pytest.mark.parametrize("dialect", sorted(ALL))
def test_a_change_of_a_groups_name_answers_204_for_entra_only(sources: Sources, dialect: str) -> None:
    source = sources.make("acme", dialect)
    body = {"schemas": [PATCH], "Operations": [replace("displayName", "Other")]}
    answer = source.ask("PATCH", f"/Groups/{source.group('Files')}", body)
    assert answer.status_code == (204 if dialect in ENTRA_S else 200)


def test_every_dialect_that_a_connection_can_have_is_one_that_the_edge_speaks() -> None:
    assert set(DIALECTS) == ALL
