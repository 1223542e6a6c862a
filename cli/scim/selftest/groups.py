"""The checks of one group, and of the deletion of users and groups."""

from cli.scim.expectations import expect, expect_error, expect_list, expect_resource, expect_status
from cli.scim.selftest.run import GROUP, Json, Run, check
from cli.scim.selftest.users import body_of, create


def expect_members(run: Run, *members: str, fault: str = "the members are others") -> None:
    """Read the group, and compare its members with these users."""
    expect(members_of(run) == {run.id(one) for one in members}, fault)


def members_of(run: Run) -> set[str]:
    """Return the ids of the group's members, as read."""
    answer = run.get(run.path("group"))
    expect_resource(answer, "Group", 200)
    return {str(one.get("value")) for one in answer.member("members") or ()}


def change_members(run: Run, op: str, *members: str) -> None:
    """Send a PATCH of the group's members, which must succeed."""
    operation = {"op": op, "path": "members", "value": [{"value": run.id(one)} for one in members]}
    patch_group(run, operation)


def patch_group(run: Run, operation: Json) -> None:
    """Send a PATCH of the group, which must succeed."""
    expect_status(run.patch("group", operation), 200, 204)


@check("A group is created with a member", "RFC 7644 §3.3")
def created(run: Run) -> None:
    create(run, "fox")
    body = {"schemas": [GROUP], "displayName": f"Group {run.mark}", "members": [{"value": run.id("dana")}]}
    expect_resource(run.create("group", "/Groups", body), "Group", 201)
    expect_members(run, "dana", fault="the member is not in it")


@check("A group is found by displayName, without its members where they are excluded", "RFC 7644 §3.9")
def found(run: Run) -> None:
    run.require("filter")
    one = expect_list(run.get("/Groups", excludedAttributes="members", filter=f'displayName eq "Group {run.mark}"'))
    expect([group.get("id") for group in one] == [run.id("group")], "the group was not found")
    expect("members" not in one[0], "members are told")


@check("A member is added, twice with no harm", "RFC 7644 §3.5.2.1")
def added(run: Run) -> None:
    for _ in range(2):
        change_members(run, "add", "fox")
    expect_members(run, "dana", "fox")


@check("One member is removed by value, and no other", "Entra ID, JumpCloud", source="entra")
def entra_removes(run: Run) -> None:
    patch_group(run, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": run.id("fox")}]})
    left = members_of(run)
    run.patch("group", {"op": "add", "path": "members", "value": [{"value": run.id("dana")}]})
    expect(left, "the group was emptied: a rule of RFC 7644 §3.5.2.2 that loses everybody in it")
    expect(left == {run.id("dana")}, "the member is still in it")


@check("One member is removed by a value path", "RFC 7644 §3.5.2.2")
def removed(run: Run) -> None:
    change_members(run, "add", "dana", "fox")
    patch_group(run, {"op": "remove", "path": f'members[value eq "{run.id("fox")}"]'})
    expect_members(run, "dana")


@check("Members are replaced, by nobody too", "RFC 7644 §3.5.2.3")
def replaced(run: Run) -> None:
    for members in (["fox"], []):
        change_members(run, "replace", *members)
        expect_members(run, *members)


@check("A new name comes with the group's id", "Okta", source="okta")
def okta_renames(run: Run) -> None:
    renamed = f"Renamed {run.mark}"
    value = {"id": run.id("group"), "displayName": renamed}
    name = run.patched("group", {"op": "replace", "value": value}).member("displayName")
    expect(name == renamed, f"displayName is {name!r}")


@check("A group is deleted", "RFC 7644 §3.6")
def deleted(run: Run) -> None:
    expect_status(run.request("DELETE", run.path("group")), 204)
    expect_error(run.get(run.path("group")), 404)


@check("A user is deleted, and deleting again is a 404", "RFC 7644 §3.6")
def user_deleted(run: Run) -> None:
    path = run.path("dana")
    expect_status(run.request("DELETE", path), 204)
    expect_error(run.get(path), 404)
    expect_error(run.request("DELETE", path), 404)


@check("The name of a deleted user is free", "RFC 7644 §3.6")
def name_is_free(run: Run) -> None:
    gone = run.id("dana")
    answer = run.create("dana again", "/Users", body_of(run, "dana"))
    expect(expect_resource(answer, "User", 201) != gone, "the id of a deleted user was used again")
