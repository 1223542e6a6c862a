"""The checks of one user, from creation to the PATCHes of each source."""

from functools import partial
from typing import Any

from cli.scim.expectations import Answer, expect, expect_error, expect_json, expect_list, expect_resource, expect_status
from cli.scim.selftest.run import USER, Json, Run, check

WORK = 'emails[type eq "work"].value'


def body_of(run: Run, who: str) -> Json:
    """Return a user with unused names."""
    name = run.name(who)
    return {
        "schemas": [USER],
        "userName": name,
        "externalId": f"{who}-{run.mark}",
        "name": {"givenName": who.title(), "familyName": "Check"},
        "displayName": f"{who} of the self-test",
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }


def create(run: Run, who: str) -> Answer:
    """Create a user."""
    return run.create(who, "/Users", body_of(run, who))


def filtered(run: Run, text: str) -> list[str]:
    """Return the ids that a filter finds."""
    run.require("filter")
    return [str(one.get("id")) for one in expect_list(run.get("/Users", filter=text))]


def expect_patched(run: Run, operation: Json, member: str, wanted: Any, fault: str | None = None) -> None:
    """Send a PATCH and compare one member of the user with the value that it must have afterwards."""
    found = run.patched("dana", operation).member(member)
    expect(found == wanted, fault or f"{member} is {found!r}")


@check("A search that finds nobody is an empty list (Entra's connection test)", "RFC 7644 §3.4.2")
def unused_name(run: Run) -> None:
    expect(filtered(run, f'userName eq "{run.name("nobody")}"') == [], "somebody was found")


@check("A user is created", "RFC 7644 §3.3")
def created(run: Run) -> None:
    answer = create(run, "dana")
    expect_resource(answer, "User", 201)
    expect(answer.member("userName") == run.name("dana"), f"userName is {answer.member('userName')!r}")
    expect(answer.headers.get("location", "").endswith(run.path("dana")), "Location is not the user's")


@check("The same userName again is a conflict", "RFC 7644 §3.3")
def conflict(run: Run) -> None:
    run.path("dana")
    expect_error(create(run, "dana"), 409, "uniqueness")


@check("A user is read", "RFC 7644 §3.4.1")
def read(run: Run) -> None:
    answer = run.get(run.path("dana"))
    expect(expect_resource(answer, "User", 200) == run.id("dana"), "another id was answered")


@check("What is not there is a 404 in SCIM's words", "RFC 7644 §3.12")
def not_there(run: Run) -> None:
    expect_error(run.get(f"/Users/none-{run.mark}"), 404)


def found(run: Run, filter_: str) -> None:
    """Expect that a filter finds the user; it may contain the user's name and the run's mark."""
    text = filter_.format(NAME=run.name("dana").upper(), name=run.name("dana"), mark=run.mark)
    expect(filtered(run, text) == [run.id("dana")], "the user was not found")


for title, section, text in (
    ("A user is found by userName, in any case", "RFC 7643 §4.1.1", 'userName eq "{NAME}"'),
    ("A user is found by externalId, and by and", "RFC 7644 §3.4.2.2",
     'externalId eq "dana-{mark}" and active eq true'),
    ("A user is found by a value path", "RFC 7644 §3.4.2.2", 'emails[type eq "work" and value eq "{name}"]'),
):  # fmt: skip
    check(title, section)(partial(found, filter_=text))


def refused(run: Run, filter_: str) -> None:
    """Expect that a filter is refused."""
    run.require("filter")
    expect_error(run.get("/Users", filter=filter_), 400, "invalidFilter")


for title, section, text in (
    ("An unknown attribute in a filter is refused, never dropped", "RFC 7644 §3.4.2.2", 'shoeSize eq "43"'),
    ("A filter that does not parse is refused", "RFC 7644 §3.12", 'userName eq "x'),
):
    check(title, section)(partial(refused, filter_=text))


@check("attributes and excludedAttributes are heeded", "RFC 7644 §3.9")
def projected(run: Run) -> None:
    path = run.path("dana")
    only = run.get(path, attributes="userName")
    expect_json(only, 200)
    expect(only.member("userName") and only.member("emails") is None, "attributes=userName answered something else")
    expect(only.member("id") == run.id("dana"), "id is always returned")
    without = run.get(path, excludedAttributes="emails")
    expect(without.member("userName") and without.member("emails") is None, "excludedAttributes=emails has emails")


@check("A list comes in pages", "RFC 7644 §3.4.2.4")
def pages(run: Run) -> None:
    run.path("dana")
    answer = run.get("/Users", startIndex="1", count="1")
    resources = expect_list(answer)
    numbers = (answer.member("startIndex"), answer.member("itemsPerPage"))
    expect(numbers == (1, 1) and len(resources) == 1, f"startIndex and itemsPerPage are {numbers}")
    none = run.get("/Users", count="0")
    expect(expect_list(none) == [] and none.member("totalResults") >= 1, "count=0 answers only how many there are")


@check("PATCH replaces, in any case of op (Entra writes Replace)", "RFC 7644 §3.5.2.3")
def replaced(run: Run) -> None:
    expect_patched(run, {"op": "Replace", "path": "displayName", "value": "Renamed"}, "displayName", "Renamed")


@check("PATCH adds and removes", "RFC 7644 §3.5.2.1, §3.5.2.2")
def added_and_removed(run: Run) -> None:
    added = {"op": "add", "path": "nickName", "value": "Dee"}
    expect_patched(run, added, "nickName", "Dee", "nickName was not added")
    expect_patched(run, {"op": "remove", "path": "nickName"}, "nickName", None, "nickName was not removed")


@check("PATCH changes one of several values", "RFC 7644 §3.5.2")
def value_path(run: Run) -> None:
    value = f"new-{run.name('dana')}"
    answer = run.patched("dana", {"op": "replace", "path": WORK, "value": value})
    values = [email.get("value") for email in answer.member("emails") or ()]
    expect(values == [value], f"emails are {values}")


@check("PATCH does all operations or none", "RFC 7644 §3.5.2")
def atomic(run: Run) -> None:
    good = {"op": "replace", "path": "displayName", "value": "Half done"}
    answer = run.patch("dana", good, {"op": "replace", "path": "shoeSize", "value": 43})
    expect_error(answer, 400, "invalidPath", "invalidSyntax", "invalidValue", "noTarget")
    now = run.get(run.path("dana")).member("displayName")
    expect(now != "Half done", "the first operation was done, the second refused")


@check("PUT replaces what it names, and the URL says who it is", "RFC 7644 §3.5.1")
def put(run: Run) -> None:
    sent = body_of(run, "dana") | {"id": "somebody-else", "title": "Checker"}
    answer = run.request("PUT", run.path("dana"), sent)
    expect(expect_resource(answer, "User", 200) == run.id("dana"), "another id was answered")
    expect(answer.member("title") == "Checker", "title was not written")


@check("An old version in If-Match is refused", "RFC 7644 §3.14")
def stale(run: Run) -> None:
    run.require("etag")
    path = run.path("dana")
    old = run.get(path).headers.get("etag")
    expect(old, "there is no ETag")
    run.patched("dana", {"op": "replace", "path": "title", "value": "Other"})
    expect_status(run.request("PUT", path, body_of(run, "dana"), If_Match=str(old)), 412)


@check("A body that is not JSON is refused", "RFC 7644 §3.12")
def not_json(run: Run) -> None:
    answer = run.request("POST", "/Users", b'{"userName": ', Content_Type="application/scim+json")
    expect_error(answer, 400, "invalidSyntax")


@check("A user without userName is refused", "RFC 7643 §4.1.1")
def no_name(run: Run) -> None:
    answer = run.create("nameless", "/Users", {"schemas": [USER], "displayName": "Nobody"})
    expect_error(answer, 400, "invalidValue", "invalidSyntax")


@check("Deactivation without a path, and the user stays readable", "RFC 7644 §3.5.2.3", source="okta")
def okta_deactivates(run: Run) -> None:
    expect_patched(run, {"op": "replace", "value": {"active": False}}, "active", False, "active is not false")
    expect_patched(run, {"op": "replace", "value": {"active": True}}, "active", True, "it is for ever")


@check("An id in the value of an operation without a path", "Okta", source="okta")
def okta_sends_the_id(run: Run) -> None:
    value = {"id": run.id("dana"), "displayName": "Okta"}
    expect_patched(run, {"op": "replace", "value": value}, "displayName", "Okta", "nothing was changed")


@check("A password and empty groups in a PUT, never told again", "Okta", source="okta")
def okta_puts(run: Run) -> None:
    secret = f"secret-{run.mark}"
    answer = run.request("PUT", run.path("dana"), body_of(run, "dana") | {"groups": [], "password": secret})
    expect_status(answer, 200)
    expect(secret not in answer.text, "the password was answered")


@check('active as the text "False"', "Entra ID", source="entra")
def entra_deactivates(run: Run) -> None:
    deactivation = {"op": "Replace", "path": "active", "value": "False"}
    expect_patched(run, deactivation, "active", False, "active is not false")
    run.patched("dana", deactivation | {"value": "True"})


@check("A value path that selects nothing creates what it names", "Entra ID", source="entra")
def entra_creates(run: Run) -> None:
    answer = run.patched("dana", {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"})
    values = [(one.get("type"), one.get("value")) for one in answer.member("phoneNumbers") or ()]
    expect(("mobile", "1") in values, f"phoneNumbers are {values}")


@check("Keys of an operation without a path are paths (aadOptscim062020)", "Entra ID", source="entra")
def entra_keys(run: Run) -> None:
    answer = run.patched("dana", {"op": "replace", "value": {"name.givenName": "Entra"}})
    expect((answer.member("name") or {}).get("givenName") == "Entra", f"name is {answer.member('name')!r}")
