"""The life of a group, and the end of everybody."""

from urllib.parse import quote

from cli.scim.expectations import expect, expect_error, expect_list, expect_resource, expect_status
from cli.scim.selftest.asking import GROUP, Asking, check
from cli.scim.selftest.users import body_of, create


def members(asking: Asking) -> set[str]:
    """Return the ids of the group's members, as read."""
    answer = asking.ask("GET", asking.path("group"))
    expect_resource(answer, "Group", 200)
    return {str(one.get("value")) for one in answer.member("members") or ()}


def member(asking: Asking, who: str) -> dict[str, str]:
    """Return how a member is named."""
    return {"value": asking.id(who)}


@check("A group is created with a member", "RFC 7644 §3.3")
def created(asking: Asking) -> None:
    create(asking, "fox")
    body = {"schemas": [GROUP], "displayName": f"Group {asking.mark}", "members": [member(asking, "dana")]}
    answer = asking.ask("POST", "/Groups", body)
    if answer.status == 201:
        asking.remember("group", "/Groups", str(answer.member("id")))
    expect_resource(answer, "Group", 201)
    expect(members(asking) == {asking.id("dana")}, "the member is not in it")


@check("A group is found by displayName, without its members where they are excluded", "RFC 7644 §3.9")
def found(asking: Asking) -> None:
    asking.needs("filter")
    text = quote(f'displayName eq "Group {asking.mark}"')
    one = expect_list(asking.ask("GET", f"/Groups?excludedAttributes=members&filter={text}"))
    expect([group.get("id") for group in one] == [asking.id("group")], "the group was not found")
    expect("members" not in one[0], "members are told")


@check("A member is added, twice with no harm", "RFC 7644 §3.5.2.1")
def added(asking: Asking) -> None:
    asking.needs("patch")
    for _ in range(2):
        operation = {"op": "add", "path": "members", "value": [member(asking, "fox")]}
        expect_status(asking.patch(asking.path("group"), operation), 200, 204)
    expect(members(asking) == {asking.id("dana"), asking.id("fox")}, "the members are others")


@check("One member is removed by value, and no other", "Entra ID, JumpCloud", source="entra")
def entra_removes(asking: Asking) -> None:
    asking.needs("patch")
    operation = {"op": "Remove", "path": "members", "value": [{"$ref": None, **member(asking, "fox")}]}
    expect_status(asking.patch(asking.path("group"), operation), 200, 204)
    left = members(asking)
    asking.patch(asking.path("group"), {"op": "add", "path": "members", "value": [member(asking, "dana")]})
    expect(left, "the group was emptied: a rule of RFC 7644 §3.5.2.2 that loses everybody in it")
    expect(left == {asking.id("dana")}, "the member is still in it")


@check("One member is removed by a value path", "RFC 7644 §3.5.2.2")
def removed(asking: Asking) -> None:
    asking.needs("patch")
    both = {"op": "add", "path": "members", "value": [member(asking, "dana"), member(asking, "fox")]}
    expect_status(asking.patch(asking.path("group"), both), 200, 204)
    operation = {"op": "remove", "path": f'members[value eq "{asking.id("fox")}"]'}
    expect_status(asking.patch(asking.path("group"), operation), 200, 204)
    expect(members(asking) == {asking.id("dana")}, "the members are others")


@check("Members are replaced, by nobody too", "RFC 7644 §3.5.2.3")
def replaced(asking: Asking) -> None:
    asking.needs("patch")
    for who in (["fox"], []):
        operation = {"op": "replace", "path": "members", "value": [member(asking, one) for one in who]}
        expect_status(asking.patch(asking.path("group"), operation), 200, 204)
        expect(members(asking) == {asking.id(one) for one in who}, "the members are others")


@check("A new name comes with the group's id", "Okta", source="okta")
def okta_renames(asking: Asking) -> None:
    asking.needs("patch")
    told = {"id": asking.id("group"), "displayName": f"Renamed {asking.mark}"}
    expect_status(asking.patch(asking.path("group"), {"op": "replace", "value": told}), 200, 204)
    name = asking.ask("GET", asking.path("group")).member("displayName")
    expect(name == f"Renamed {asking.mark}", f"displayName is {name!r}")


@check("A group is deleted", "RFC 7644 §3.6")
def deleted(asking: Asking) -> None:
    expect_status(asking.ask("DELETE", asking.path("group")), 204)
    expect_error(asking.ask("GET", asking.path("group")), 404)


@check("A user is deleted, and deleting again is a 404", "RFC 7644 §3.6")
def user_deleted(asking: Asking) -> None:
    path = asking.path("dana")
    expect_status(asking.ask("DELETE", path), 204)
    expect_error(asking.ask("GET", path), 404)
    expect_error(asking.ask("DELETE", path), 404)


@check("The name of a deleted user is free", "RFC 7644 §3.6")
def name_is_free(asking: Asking) -> None:
    gone = asking.id("dana")
    answer = asking.ask("POST", "/Users", body_of(asking, "dana"))
    if answer.status == 201:
        asking.remember("dana again", "/Users", str(answer.member("id")))
    expect(expect_resource(answer, "User", 201) != gone, "the id of a deleted user was used again")
