"""Microsoft's SCIM validator: its list of tests, in its order, with bodies of the shapes that it sends.

It is asked twice: as Entra speaks by default, and with the flag aadOptscim062020. Each step says what the validator
expects; all of them are tried, and every one that fails is named.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.scim.microsoft_validator import Json, Validator, operation
from tests.scim.sources import ENTERPRISE, USER, Source, Sources

MANAGER = f"{ENTERPRISE}:manager"


# --- users ---


def user_is_created(run: Validator) -> None:
    id_, body = run.user()
    found = run.get(f"/Users/{id_}")
    for name in body.keys() - {"meta", "roles", "schemas", ENTERPRISE}:
        assert found[name] == body[name], name
    assert found[ENTERPRISE] == {name: value for name, value in body[ENTERPRISE].items() if name != "manager"}
    assert found["roles"] == [{**body["roles"][0], "primary": True}]


def duplicate_user_is_a_conflict(run: Validator) -> None:
    _, body = run.user()
    assert run.source.post(run.path("/Users"), body, 409)["scimType"] == "uniqueness"


def existing_user_is_found(run: Validator) -> None:
    id_, body = run.user()
    for text in (f'userName eq "{body["userName"]}"', f'externalId eq "{body["externalId"]}"',
                 f'emails[type eq "work"].value eq "{body["emails"][0]["value"]}"'):  # fmt: skip
        assert [found["id"] for found in run.filter("Users", text)] == [id_]


def non_existing_user_is_an_empty_list(run: Validator) -> None:
    assert run.filter("Users", f'userName eq "{uuid4()}"') == []


def user_is_found_in_another_case(run: Validator) -> None:
    id_, body = run.user()
    for name in (body["userName"].upper(), body["userName"].lower()):
        assert [found["id"] for found in run.filter("Users", f'userName eq "{name}"')] == [id_]


REPLACED: Json = {
    "displayName": "replaced",
    "title": "Boss",
    "preferredLanguage": "bn",
    "name.givenName": "Given",
    "name.familyName": "Family",
    "name.formatted": "Formatted",
    'emails[type eq "work"].value': "replaced@example.com",
    'emails[type eq "work"].primary': True,
    'addresses[type eq "work"].formatted': "F",
    'addresses[type eq "work"].streetAddress': "S",
    'addresses[type eq "work"].country': "Kenya",
    'phoneNumbers[type eq "work"].value': "1",
    'phoneNumbers[type eq "mobile"].value': "2",
    'phoneNumbers[type eq "fax"].value': "3",
    'roles[primary eq "True"].display': "D",
    'roles[primary eq "True"].value': "V",
    f"{ENTERPRISE}:employeeNumber": "E",
    f"{ENTERPRISE}:department": "Dept",
    f"{ENTERPRISE}:costCenter": "Cost",
}


def has_been_replaced(found: Json) -> None:
    assert (found["displayName"], found["title"], found["preferredLanguage"]) == ("replaced", "Boss", "bn")
    assert (found["name"]["givenName"], found["name"]["familyName"]) == ("Given", "Family")
    assert found["emails"] == [{"type": "work", "value": "replaced@example.com", "primary": True}]
    [address] = found["addresses"]
    assert (address["formatted"], address["streetAddress"], address["country"]) == ("F", "S", "Kenya")
    assert {phone["type"]: phone["value"] for phone in found["phoneNumbers"]} == {
        "work": "1",
        "mobile": "2",
        "fax": "3",
    }
    [role] = found["roles"]
    assert (role["display"], role["value"], role["primary"]) == ("D", "V", True)
    assert {"employeeNumber": "E", "department": "Dept", "costCenter": "Cost"}.items() <= found[ENTERPRISE].items()


def attributes_are_replaced_in_one_value(run: Validator) -> None:
    id_, _ = run.user()
    has_been_replaced(run.patch(f"/Users/{id_}", operation("replace", None, REPLACED)))


def attributes_are_replaced_one_by_one(run: Validator) -> None:
    id_, _ = run.user()
    has_been_replaced(run.patch(f"/Users/{id_}", *(operation("replace", *one) for one in REPLACED.items())))


def attributes_are_added_one_by_one(run: Validator) -> None:
    bare = {"schemas": [USER, ENTERPRISE], "userName": f"bare_{uuid4()}", "active": True}
    id_ = run.create("Users", bare)["id"]
    has_been_replaced(run.patch(f"/Users/{id_}", *(operation("add", *one) for one in REPLACED.items())))


def user_name_is_updated(run: Validator) -> None:
    id_, _ = run.user()
    name = f"new_{uuid4()}@example.com"
    assert run.patch(f"/Users/{id_}", operation("replace", "userName", name))["userName"] == name
    assert [found["id"] for found in run.filter("Users", f'userName eq "{name}"')] == [id_]


def user_is_disabled(run: Validator) -> None:
    id_, _ = run.user()
    off: Any = False if run.flag else "False"
    assert run.patch(f"/Users/{id_}", operation("replace", "active", off))["active"] is False
    on: Any = True if run.flag else "True"
    assert run.patch(f"/Users/{id_}", operation("replace", "active", on))["active"] is True


def manager_is_added(run: Validator) -> None:
    (boss, _), (id_, _) = run.user(), run.user()
    found = run.patch(f"/Users/{id_}", operation("add", MANAGER, boss))
    assert found[ENTERPRISE]["manager"]["value"] == boss


def manager_is_replaced(run: Validator) -> None:
    (boss, _), (other, _), (id_, _) = run.user(), run.user(), run.user()
    for value in (boss, other, {"value": boss}, [{"$ref": f"http://x/Users/{other}", "value": other}]):
        found = run.patch(f"/Users/{id_}", operation("replace", MANAGER, value))
        assert found[ENTERPRISE]["manager"]["value"] in (boss, other)
    assert found[ENTERPRISE]["manager"]["value"] == other


def manager_is_removed(run: Validator) -> None:
    (boss, _), (id_, _) = run.user(), run.user()
    for removal in (operation("remove", MANAGER), {"op": "replace", "path": MANAGER, "value": ""}):
        run.patch(f"/Users/{id_}", operation("add", MANAGER, boss))
        assert "manager" not in run.patch(f"/Users/{id_}", removal)[ENTERPRISE]


def several_operations_change_several_attributes(run: Validator) -> None:
    id_, _ = run.user()
    found = run.patch(
        f"/Users/{id_}",
        operation("remove", "title"),
        operation("add", "displayName", "added"),
        operation("replace", "name.familyName", "replaced"),
        operation("replace", 'emails[type eq "work"].value', "x@example.com"),
        operation("remove", f"{ENTERPRISE}:department"),
    )
    assert (found["displayName"], found["name"]["familyName"], found["emails"][0]["value"]) == (
        "added", "replaced", "x@example.com",
    )  # fmt: skip
    assert "title" not in found
    assert "department" not in found[ENTERPRISE]


def several_operations_change_one_attribute(run: Validator) -> None:
    id_, _ = run.user()
    found = run.patch(
        f"/Users/{id_}",
        operation("remove", "displayName"),
        operation("add", "displayName", "first"),
        operation("replace", "displayName", "second"),
        operation("replace", "displayName", "third"),
    )
    assert found["displayName"] == "third"


def user_is_deleted(run: Validator) -> None:
    id_, body = run.user()
    run.delete(f"/Users/{id_}")
    run.get(f"/Users/{id_}", 404)
    assert run.filter("Users", f'userName eq "{body["userName"]}"') == []


def user_that_is_not_there_is_deleted(run: Validator) -> None:
    run.delete(f"/Users/{uuid4()}", 404)


def user_is_deleted_twice(run: Validator) -> None:
    id_, _ = run.user()
    run.delete(f"/Users/{id_}")
    run.delete(f"/Users/{id_}", 404)


# --- groups ---


def group_is_created(run: Validator) -> None:
    id_, body = run.group()
    found = run.get(f"/Groups/{id_}")
    assert (found["displayName"], found["externalId"]) == (body["displayName"], body["externalId"])


def duplicate_group_is_a_conflict(run: Validator) -> None:
    _, body = run.group()
    assert run.source.post(run.path("/Groups"), body, 409)["scimType"] == "uniqueness"


def group_is_read_without_its_members(run: Validator) -> None:
    member, _ = run.user()
    id_, _ = run.group(member)
    assert "members" not in run.get(f"/Groups/{id_}?excludedAttributes=members")
    assert [link["value"] for link in run.get(f"/Groups/{id_}")["members"]] == [member]


def group_is_found_by_its_name(run: Validator) -> None:
    id_, body = run.group()
    assert [found["id"] for found in run.filter("Groups", f'displayName eq "{body["displayName"]}"')] == [id_]


def group_is_found_without_its_members(run: Validator) -> None:
    member, _ = run.user()
    id_, body = run.group(member)
    [found] = run.filter("Groups", f'displayName eq "{body["displayName"]}"', "&excludedAttributes=members")
    assert (found["id"], "members" in found) == (id_, False)


def group_is_found_in_another_case(run: Validator) -> None:
    id_, body = run.group()
    for name in (body["displayName"].upper(), body["displayName"].lower()):
        found = run.filter("Groups", f'displayName eq "{name}"', "&excludedAttributes=members")
        assert [one["id"] for one in found] == [id_]


def non_existing_group_is_an_empty_list(run: Validator) -> None:
    assert run.filter("Groups", f'displayName eq "{uuid4()}"', "&excludedAttributes=members") == []


def attributes_of_a_group_are_replaced(run: Validator) -> None:
    id_, _ = run.group()
    replaced = {"displayName": f"replaced {id_}", "externalId": f"replaced {id_}"}
    assert replaced.items() <= run.patch(f"/Groups/{id_}", operation("replace", None, replaced)).items()


def name_of_a_group_is_updated(run: Validator) -> None:
    id_, _ = run.group()
    for name in ("displayName", "externalId"):
        assert run.patch(f"/Groups/{id_}", operation("replace", name, f"new {id_}"))[name] == f"new {id_}"


def member_is_added(run: Validator) -> None:
    (member, _), (other, _) = run.user(), run.user()
    id_, _ = run.group()
    for op, who in (("add", member), ("replace", other)):
        found = run.patch(f"/Groups/{id_}", operation(op, "members", [{"$ref": None, "value": who}]))
        assert who in [link["value"] for link in found["members"]]


def member_is_removed(run: Validator) -> None:
    (member, _), (other, _) = run.user(), run.user()
    id_, _ = run.group(member, other)
    removal = (
        {"op": "remove", "path": f'members[value eq "{member}"]'}
        if run.flag
        else {"op": "remove", "path": "members", "value": [{"$ref": None, "value": member}]}
    )
    assert [link["value"] for link in run.patch(f"/Groups/{id_}", removal)["members"]] == [other]


def several_operations_change_one_attribute_of_a_group(run: Validator) -> None:
    (member, _), (other, _) = run.user(), run.user()
    id_, _ = run.group()
    found = run.patch(
        f"/Groups/{id_}",
        operation("add", "members", [{"value": member}]),
        operation("remove", "members", [{"value": member}]),
        operation("add", "members", [{"value": other}]),
        operation("replace", "displayName", f"first {id_}"),
        operation("replace", "displayName", f"second {id_}"),
    )
    assert ([link["value"] for link in found["members"]], found["displayName"]) == ([other], f"second {id_}")


def group_is_deleted(run: Validator) -> None:
    id_, _ = run.group()
    run.delete(f"/Groups/{id_}")
    run.get(f"/Groups/{id_}", 404)


def group_that_is_not_there_is_deleted(run: Validator) -> None:
    run.delete(f"/Groups/{uuid4()}", 404)


def group_is_deleted_twice(run: Validator) -> None:
    id_, _ = run.group()
    run.delete(f"/Groups/{id_}")
    run.delete(f"/Groups/{id_}", 404)


STEPS: list[Callable[[Validator], None]] = [
    user_is_created,
    duplicate_user_is_a_conflict,
    existing_user_is_found,
    non_existing_user_is_an_empty_list,
    user_is_found_in_another_case,
    attributes_are_replaced_in_one_value,
    attributes_are_replaced_one_by_one,
    attributes_are_added_one_by_one,
    user_name_is_updated,
    user_is_disabled,
    manager_is_added,
    manager_is_replaced,
    manager_is_removed,
    several_operations_change_several_attributes,
    several_operations_change_one_attribute,
    user_is_deleted,
    user_that_is_not_there_is_deleted,
    user_is_deleted_twice,
    group_is_created,
    duplicate_group_is_a_conflict,
    group_is_read_without_its_members,
    group_is_found_by_its_name,
    group_is_found_without_its_members,
    group_is_found_in_another_case,
    non_existing_group_is_an_empty_list,
    attributes_of_a_group_are_replaced,
    name_of_a_group_is_updated,
    member_is_added,
    member_is_removed,
    several_operations_change_one_attribute_of_a_group,
    group_is_deleted,
    group_that_is_not_there_is_deleted,
    group_is_deleted_twice,
]


@pytest.mark.parametrize(("dialect", "flag"), [("entra", False), ("entra", True), ("entra-compliant", True)])
def test_the_validators_list_passes_from_its_first_test_to_its_last(
    sources: Sources, rival: Source, dialect: str, flag: bool
) -> None:
    run = Validator(sources.make("acme", dialect), flag)
    failed = {}
    for step in STEPS:
        try:
            step(run)
        except (AssertionError, KeyError, ValueError) as fault:
            failed[step.__name__] = repr(fault)[:400]
    assert failed == {}
    assert rival.get("/Users")["totalResults"] == rival.get("/Groups")["totalResults"] == 0


def test_every_step_that_is_written_is_in_the_list() -> None:
    written = {name for name, made in globals().items() if callable(made) and getattr(made, "__annotations__", {}) == {
        "run": Validator, "return": None}}  # fmt: skip
    assert written == {step.__name__ for step in STEPS}
