"""The life of a user."""

from urllib.parse import quote

from cli.scim.expectations import Answer, expect, expect_error, expect_json, expect_list, expect_resource, expect_status
from cli.scim.selftest.asking import USER, Asking, Json, check

WORK = 'emails[type eq "work"].value'


def body_of(asking: Asking, who: str) -> Json:
    """Return a user whom nobody knows."""
    name = asking.name(who)
    return {
        "schemas": [USER],
        "userName": name,
        "externalId": f"{who}-{asking.mark}",
        "name": {"givenName": who.title(), "familyName": "Check"},
        "displayName": f"{who} of the self-test",
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }


def create(asking: Asking, who: str) -> Answer:
    """Create a user, who will be taken away again."""
    answer = asking.ask("POST", "/Users", body_of(asking, who))
    if answer.status == 201:
        asking.remember(who, "/Users", str(answer.member("id")))
    return answer


def changed(asking: Asking, *operations: Json) -> Answer:
    """Send a PATCH that must be done; return the user as read afterwards (the answer may have no body)."""
    asking.needs("patch")
    expect_status(asking.patch(asking.path("dana"), *operations), 200, 204)
    return asking.ask("GET", asking.path("dana"))


def filtered(asking: Asking, text: str) -> list[str]:
    """Return the ids that a filter finds."""
    asking.needs("filter")
    return [str(one.get("id")) for one in expect_list(asking.ask("GET", f"/Users?filter={quote(text)}"))]


@check("A search that finds nobody is an empty list (Entra's connection test)", "RFC 7644 §3.4.2")
def nobody(asking: Asking) -> None:
    expect(filtered(asking, f'userName eq "{asking.name("nobody")}"') == [], "somebody was found")


@check("A user is created", "RFC 7644 §3.3")
def created(asking: Asking) -> None:
    answer = create(asking, "dana")
    expect_resource(answer, "User", 201)
    expect(answer.member("userName") == asking.name("dana"), f"userName is {answer.member('userName')!r}")
    expect(answer.headers.get("location", "").endswith(asking.path("dana")), "Location is not the user's")


@check("The same userName again is a conflict", "RFC 7644 §3.3")
def conflict(asking: Asking) -> None:
    asking.path("dana")
    answer = create(asking, "dana")
    expect_error(answer, 409, "uniqueness")


@check("A user is read", "RFC 7644 §3.4.1")
def read(asking: Asking) -> None:
    answer = asking.ask("GET", asking.path("dana"))
    expect(expect_resource(answer, "User", 200) == asking.id("dana"), "another id was answered")


@check("What is not there is a 404 in SCIM's words", "RFC 7644 §3.12")
def not_there(asking: Asking) -> None:
    expect_error(asking.ask("GET", f"/Users/none-{asking.mark}"), 404)


@check("A user is found by userName, in any case", "RFC 7643 §4.1.1")
def found(asking: Asking) -> None:
    name = asking.name("dana").upper()
    expect(filtered(asking, f'userName eq "{name}"') == [asking.id("dana")], "the user was not found")


@check("A user is found by externalId, and by and", "RFC 7644 §3.4.2.2")
def found_by_external_id(asking: Asking) -> None:
    text = f'externalId eq "dana-{asking.mark}" and active eq true'
    expect(filtered(asking, text) == [asking.id("dana")], "the user was not found")


@check("A user is found by a value path", "RFC 7644 §3.4.2.2")
def found_by_value_path(asking: Asking) -> None:
    text = f'emails[type eq "work" and value eq "{asking.name("dana")}"]'
    expect(filtered(asking, text) == [asking.id("dana")], "the user was not found")


@check("An unknown attribute in a filter is refused, never dropped", "RFC 7644 §3.4.2.2")
def unknown_attribute(asking: Asking) -> None:
    asking.needs("filter")
    expect_error(asking.ask("GET", "/Users?filter=" + quote('shoeSize eq "43"')), 400, "invalidFilter")


@check("A filter that does not parse is refused", "RFC 7644 §3.12")
def broken_filter(asking: Asking) -> None:
    asking.needs("filter")
    expect_error(asking.ask("GET", "/Users?filter=" + quote('userName eq "x')), 400, "invalidFilter")


@check("attributes and excludedAttributes are heeded", "RFC 7644 §3.9")
def projected(asking: Asking) -> None:
    path = asking.path("dana")
    only = asking.ask("GET", f"{path}?attributes=userName")
    expect_json(only, 200)
    expect(only.member("userName") and only.member("emails") is None, "attributes=userName answered something else")
    expect(only.member("id") == asking.id("dana"), "id is always returned")
    without = asking.ask("GET", f"{path}?excludedAttributes=emails")
    expect(without.member("userName") and without.member("emails") is None, "excludedAttributes=emails has emails")


@check("A list comes in pages", "RFC 7644 §3.4.2.4")
def pages(asking: Asking) -> None:
    asking.path("dana")
    answer = asking.ask("GET", "/Users?startIndex=1&count=1")
    resources = expect_list(answer)
    told = (answer.member("startIndex"), answer.member("itemsPerPage"))
    expect(told == (1, 1) and len(resources) == 1, f"startIndex and itemsPerPage are {told}")
    none = asking.ask("GET", "/Users?count=0")
    expect(expect_list(none) == [] and none.member("totalResults") >= 1, "count=0 answers only how many there are")


@check("PATCH replaces, in any case of op (Entra writes Replace)", "RFC 7644 §3.5.2.3")
def replaced(asking: Asking) -> None:
    answer = changed(asking, {"op": "Replace", "path": "displayName", "value": "Renamed"})
    expect(answer.member("displayName") == "Renamed", f"displayName is {answer.member('displayName')!r}")


@check("PATCH adds and removes", "RFC 7644 §3.5.2.1, §3.5.2.2")
def added_and_removed(asking: Asking) -> None:
    answer = changed(asking, {"op": "add", "path": "nickName", "value": "Dee"})
    expect(answer.member("nickName") == "Dee", "nickName was not added")
    answer = changed(asking, {"op": "remove", "path": "nickName"})
    expect(answer.member("nickName") is None, "nickName was not removed")


@check("PATCH changes one of several values", "RFC 7644 §3.5.2")
def value_path(asking: Asking) -> None:
    answer = changed(asking, {"op": "replace", "path": WORK, "value": f"new-{asking.name('dana')}"})
    values = [email.get("value") for email in answer.member("emails") or ()]
    expect(values == [f"new-{asking.name('dana')}"], f"emails are {values}")


@check("PATCH does all operations or none", "RFC 7644 §3.5.2")
def atomic(asking: Asking) -> None:
    asking.needs("patch")
    good = {"op": "replace", "path": "displayName", "value": "Half done"}
    answer = asking.patch(asking.path("dana"), good, {"op": "replace", "path": "shoeSize", "value": 43})
    expect_error(answer, 400, "invalidPath", "invalidSyntax", "invalidValue", "noTarget")
    now = asking.ask("GET", asking.path("dana")).member("displayName")
    expect(now != "Half done", "the first operation was done, the second refused")


@check("PUT replaces what it names, and the URL says who it is", "RFC 7644 §3.5.1")
def put(asking: Asking) -> None:
    path = asking.path("dana")
    sent = body_of(asking, "dana") | {"id": "somebody-else", "title": "Checker"}
    answer = asking.ask("PUT", path, sent)
    expect(expect_resource(answer, "User", 200) == asking.id("dana"), "another id was answered")
    expect(answer.member("title") == "Checker", "title was not written")


@check("An old version in If-Match is refused", "RFC 7644 §3.14")
def stale(asking: Asking) -> None:
    asking.needs("etag")
    path = asking.path("dana")
    old = asking.ask("GET", path).headers.get("etag")
    expect(old, "there is no ETag")
    changed(asking, {"op": "replace", "path": "title", "value": "Other"})
    body = body_of(asking, "dana")
    expect_status(asking.ask("PUT", path, body, If_Match=str(old)), 412)


@check("A body that is not JSON is refused", "RFC 7644 §3.12")
def not_json(asking: Asking) -> None:
    answer = asking.ask("POST", "/Users", b'{"userName": ', Content_Type="application/scim+json")
    expect_error(answer, 400, "invalidSyntax")


@check("A user without userName is refused", "RFC 7643 §4.1.1")
def no_name(asking: Asking) -> None:
    answer = asking.ask("POST", "/Users", {"schemas": [USER], "displayName": "Nobody"})
    if answer.status == 201:
        asking.remember("nameless", "/Users", str(answer.member("id")))
    expect_error(answer, 400, "invalidValue", "invalidSyntax")


@check("Deactivation without a path, and the user stays readable", "RFC 7644 §3.5.2.3", source="okta")
def okta_deactivates(asking: Asking) -> None:
    answer = changed(asking, {"op": "replace", "value": {"active": False}})
    expect(answer.member("active") is False, "active is not false")
    expect(changed(asking, {"op": "replace", "value": {"active": True}}).member("active") is True, "it is for ever")


@check("An id in the value of an operation without a path", "Okta", source="okta")
def okta_sends_the_id(asking: Asking) -> None:
    told = {"id": asking.id("dana"), "displayName": "Okta"}
    expect(changed(asking, {"op": "replace", "value": told}).member("displayName") == "Okta", "nothing was changed")


@check("A password and empty groups in a PUT, never told again", "Okta", source="okta")
def okta_puts(asking: Asking) -> None:
    secret = f"secret-{asking.mark}"
    answer = asking.ask("PUT", asking.path("dana"), body_of(asking, "dana") | {"groups": [], "password": secret})
    expect_status(answer, 200)
    expect(secret not in answer.text, "the password was answered")


@check('active as the text "False"', "Entra ID", source="entra")
def entra_deactivates(asking: Asking) -> None:
    answer = changed(asking, {"op": "Replace", "path": "active", "value": "False"})
    expect(answer.member("active") is False, "active is not false")
    changed(asking, {"op": "Replace", "path": "active", "value": "True"})


@check("A value path that selects nothing creates what it names", "Entra ID", source="entra")
def entra_creates(asking: Asking) -> None:
    answer = changed(asking, {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "1"})
    values = [(one.get("type"), one.get("value")) for one in answer.member("phoneNumbers") or ()]
    expect(("mobile", "1") in values, f"phoneNumbers are {values}")


@check("Keys of an operation without a path are paths (aadOptscim062020)", "Entra ID", source="entra")
def entra_keys(asking: Asking) -> None:
    answer = changed(asking, {"op": "replace", "value": {"name.givenName": "Entra"}})
    expect((answer.member("name") or {}).get("givenName") == "Entra", f"name is {answer.member('name')!r}")
