"""What failures of other servers taught, each as a requirement that is tried here as it was abused there."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from identity.edge.runtime import Runtime
from scim.limits import PAGE_SIZE_MAX
from tests.scim.sources import AGENT, ENTERPRISE, PATCH, USER, Source, Sources
from tests.statement_counter import round_trips

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
NOBODY = "00000000-0000-7000-8000-000000000000"


def found(source: Source, endpoint: str, text: str, status: int = 200) -> Any:
    return source.get(f"/{endpoint}?filter={quote(text)}", status)


def snapshot(source: Source) -> list[Any]:
    """All that a source can read of its tenant."""
    return [source.get(f"/{endpoint}") for endpoint in ("Users", "Groups", "Agents", "ServiceAccounts")]


# --- S1, S2: whose ids are whose ---

GOOD = {"schemas": [USER], "userName": "x"}


@pytest.mark.requirement("S1")
def test_an_external_id_is_never_taken_for_ours(rfc: Source) -> None:
    sam = rfc.user("sam")
    for n, external in enumerate(["1", "admin", sam]):
        other = rfc.user(f"user-{n}", externalId=external)
        assert other != sam
        rfc.post("/Users", {**GOOD, "externalId": external}, 409)
        if external != sam:
            rfc.get(f"/Users/{external}", 404)
    assert rfc.get(f"/Users/{sam}")["meta"]["version"] == 'W/"1"'
    assert "externalId" not in rfc.get(f"/Users/{sam}")


@pytest.mark.requirement("S2")
@pytest.mark.rfc("7644", "3.3", "3.3-1", "3.3-2")
@pytest.mark.rfc("7644", "3.5.1", "3.5.1-7")
def test_an_id_in_a_body_is_ignored(rfc: Source) -> None:
    sam = rfc.user("sam")
    assert rfc.post("/Users", {**GOOD, "id": NOBODY})["id"] != NOBODY
    dana = rfc.user("dana")
    rfc.put(f"/Users/{dana}", {"schemas": [USER], "id": sam, "userName": "dana2"})
    assert rfc.get(f"/Users/{sam}")["meta"]["version"] == 'W/"1"'


# --- S3: what is read-only stays, however it is named ---

READ_ONLY = {
    "id": "x",
    "meta": {"created": "2020-01-01T00:00:00Z"},
    "meta.created": "2020-01-01T00:00:00Z",
    "meta.version": 'W/"7"',
    "groups": [{"value": NOBODY}],
    "groups.value": NOBODY,
    "schemas": [USER],
}

Way = Callable[[Source, str, dict[str, Any]], tuple[int, Any]]


def alone(source: Source, path: str, operation: dict[str, Any]) -> tuple[int, Any]:
    answer = source.ask("PATCH", path, {"schemas": [PATCH], "Operations": [operation]})
    return answer.status_code, answer.json


def in_bulk(source: Source, path: str, operation: dict[str, Any]) -> tuple[int, Any]:
    one = {"method": "PATCH", "path": path, "data": {"schemas": [PATCH], "Operations": [operation]}}
    [done] = source.post("/Bulk", {"schemas": [BULK], "Operations": [one]}, status=200)["Operations"]
    return int(done["status"]), done.get("response")


SPELLED: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "a path": lambda name, value: {"op": "replace", "path": name, "value": value},
    "a path in capitals": lambda name, value: {"op": "REPLACE", "path": name.upper(), "value": value},
    "a path with the schema's URN": lambda name, value: {"op": "add", "path": f"{USER}:{name}", "value": value},
    "a remove": lambda name, value: {"op": "remove", "path": name},
}


@pytest.mark.requirement("S3")
@pytest.mark.parametrize("way", [alone, in_bulk])
@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("name", READ_ONLY)
def test_no_spelling_of_a_path_writes_what_is_read_only(rfc: Source, way: Way, spelling: str, name: str) -> None:
    sam = rfc.user("sam", title="VP")
    before = snapshot(rfc)
    status, refused = way(rfc, f"/Users/{sam}", SPELLED[spelling](name, READ_ONLY[name]))
    assert (status, refused.get("scimType")) == (400, "mutability")
    assert snapshot(rfc) == before


@pytest.mark.requirement("S3")
@pytest.mark.parametrize("way", [alone, in_bulk])
@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("name", [name for name in READ_ONLY if "." not in name and name != "schemas"])
def test_no_operation_without_a_path_writes_what_is_read_only(
    rfc: Source, okta: Source, way: Way, op: str, name: str
) -> None:
    for source in (rfc, okta):
        user = source.user(f"user-of-{source.token}", title="VP")
        for key in (name, name.upper(), f"{USER}:{name}"):
            before = source.get(f"/Users/{user}")
            status, _ = way(source, f"/Users/{user}", {"op": op, "value": {key: READ_ONLY[name], "title": "CEO"}})
            after = source.get(f"/Users/{user}")
            if source is rfc:
                assert (status, after) == (400, before), key
            else:  # it ignores what it cannot set, and never sets it
                assert status in (200, 400), key
                changed = {attribute for attribute in after if after[attribute] != before.get(attribute)}
                assert changed <= {"title", "meta"}, key
                assert (after["id"], after["meta"]["created"]) == (user, before["meta"]["created"])


@pytest.mark.requirement("S3")
@pytest.mark.parametrize("way", [alone, in_bulk])
def test_what_is_ours_to_say_of_a_reference_is_not_written(rfc: Source, way: Way) -> None:
    boss, other = rfc.user("boss"), rfc.user("other")
    sam = rfc.user("sam", **{ENTERPRISE: {"manager": {"value": boss}}})
    told = rfc.get(f"/Users/{sam}")[ENTERPRISE]["manager"]
    said = {"value": boss, "$ref": f"https://evil.example/Users/{other}", "displayName": "Somebody else"}
    status, _ = way(rfc, f"/Users/{sam}", {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": said})
    assert (status, rfc.get(f"/Users/{sam}")[ENTERPRISE]["manager"]) == (200, told)


# --- S5: what a source may not read, no filter and no order tells ---


@pytest.mark.requirement("S5")
@pytest.mark.promise(4)
def test_a_filter_tells_as_much_of_the_rivals_as_of_nobody(rfc: Source, rival: Source) -> None:
    boss = rival.user("boss", emails=[{"value": "boss@x"}], externalId="hidden")
    theirs = rival.user("eve", **{ENTERPRISE: {"manager": {"value": boss}}})
    group = rival.group("Hidden", theirs)
    rival.post("/Agents", {"schemas": [AGENT], "name": "bot", "owners": [{"value": theirs}]})
    rfc.group("Ours", rfc.user("sam"))
    asked = {
        "Users": ["groups.value eq {group}", "groups[value eq {group}]", "id eq {theirs}", "id ne {theirs}",
                  f"{ENTERPRISE}:manager.value eq {{boss}}", "not (groups.value eq {group})"],
        "Groups": ["members.value eq {theirs}", "members[value eq {theirs}]", "id ge {group}"],
        "Agents": ["owners.value eq {theirs}"],
    }  # fmt: skip
    for endpoint, texts in asked.items():
        for text in texts:
            hidden = {"group": f'"{group}"', "theirs": f'"{theirs}"', "boss": f'"{boss}"'}
            nobodys = {name: f'"{uuid4()}"' for name in hidden}
            if "ge" in text:
                nobodys["group"] = f'"{group[:-1]}{"0" if group[-1] != "0" else "1"}"'
            answers = [found(rfc, endpoint, text.format(**names)) for names in (hidden, nobodys)]
            assert answers[0] == answers[1], text
    for text in ('groups.display eq "Hidden"', 'externalId eq "hidden"', 'emails.value eq "boss@x"'):
        assert found(rfc, "Users", text)["totalResults"] == 0


@pytest.mark.requirement("S5")
@pytest.mark.requirement("S17")
def test_nothing_is_filtered_sorted_or_shown_by_what_is_never_returned(rfc: Source) -> None:
    rfc.user("sam", password="correct horse battery staple")
    for text in ('password sw "c"', "password pr", 'not (password eq "x")', f'{USER}:PASSWORD co "horse"'):
        assert found(rfc, "Users", text, 400)["scimType"] == "invalidFilter", text
        unknown = text.replace("password", "passw0rd").replace("PASSWORD", "PASSW0RD")
        assert found(rfc, "Users", unknown, 400)["scimType"] == "invalidFilter"
    assert rfc.get("/Users?sortBy=password", 400)["scimType"] == "invalidValue"
    for parameters in ("attributes=password", f"attributes={USER}:password", "attributes=userName,PASSWORD"):
        assert "horse" not in json.dumps(rfc.get(f"/Users?{parameters}"))
    asked = {"schemas": [SEARCH], "attributes": ["password"], "filter": 'password sw "c"'}
    rfc.post("/.search", asked, status=400)


# --- S7: a list costs a fixed number of statements ---


def emails(number: int) -> list[dict[str, Any]]:
    return [{"value": f"{n}@x", "type": f"t{n}"} for n in range(number)]


@pytest.mark.requirement("S7")
@pytest.mark.promise(10)
def test_a_full_page_of_people_in_groups_costs_five_statements_at_most(rfc: Source, runtime: Runtime) -> None:
    made = [{"method": "POST", "path": "/Users", "bulkId": f"b{n}",
             "data": {"schemas": [USER], "userName": f"u{n}", "emails": emails(2),
                      ENTERPRISE: {"manager": {"value": "bulkId:b0"}}} if n else
                     {"schemas": [USER], "userName": "u0"}} for n in range(PAGE_SIZE_MAX)]  # fmt: skip
    rfc.post("/Bulk", {"schemas": [BULK], "Operations": made}, status=200)
    people = [user["id"] for user in rfc.get(f"/Users?count={PAGE_SIZE_MAX}")["Resources"]]
    for n in range(3):
        rfc.group(f"G{n}", *people)
    for path in ("/Users", "/Groups", "/Users?sortBy=name.familyName", "/Users?filter=emails%20pr", "/Users?cursor="):
        mark = "&" if "?" in path else "?"
        with round_trips(runtime.engine) as seen:
            page = rfc.get(f"{path}{mark}count={PAGE_SIZE_MAX}")
        assert page["Resources"]
        assert len(seen) <= 5, (path, seen.statements)


# --- S9: a value is a value ---

VALUES = ["%", "_", "\\\\", "x' OR 1=1--", "x'; DROP TABLE principals;--", "%%", "a_", "\\\\%", "$1", ":tenant", "{0}",
          "%(tenant)s", "\\u0025", ".*", "(?i)a"]  # fmt: skip


@pytest.mark.requirement("S9")
@pytest.mark.parametrize("attribute", [
    "userName", "title", "emails.value", "displayName", "externalId", "id", "name.givenName", "groups.display",
    f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value", "roles.value", "meta.resourceType", "schemas",
])  # fmt: skip
def test_no_value_of_a_filter_means_anything_but_itself(rfc: Source, attribute: str) -> None:
    full = {"title": "VP", "displayName": "Sam", "externalId": "7", "emails": [{"value": "s@x"}],
            "name": {"givenName": "Sam"}, "roles": [{"value": "r"}], ENTERPRISE: {"department": "D"}}  # fmt: skip
    rfc.group("Finance", rfc.user("sam", **full))
    for operator in ("eq", "co", "sw", "ew"):
        for value in [*VALUES, "x" * 1_900]:
            assert found(rfc, "Users", f'{attribute} {operator} "{value}"')["totalResults"] == 0, (operator, value)
        for value in ("\\u0000", "\0", "\\ud800", "x" * 1_000_000):
            asked = {"schemas": [SEARCH], "filter": f'{attribute} {operator} "{value}"'}
            assert rfc.ask("POST", "/Users/.search", asked).status_code in (400, 413), (operator, value[:9])


@pytest.mark.requirement("S9")
def test_a_wildcard_finds_whoever_has_it_in_the_name(rfc: Source) -> None:
    odd, other = rfc.user("100%_sure\\", title='a"b%'), rfc.user("100xysure", title="axb")
    for text in (
        'userName co "%_"',
        'userName sw "100%"',
        'userName ew "\\\\"',
        'title eq "a\\"b%"',
        'title co "\\u0025"',
    ):
        assert [user["id"] for user in found(rfc, "Users", text)["Resources"]] == [odd], text
    assert other


# --- S12, S13: ids are ours, and nobody is adopted ---


@pytest.mark.requirement("S12")
@pytest.mark.promise(5)
def test_an_id_that_was_used_is_never_given_again_in_any_tenant(rfc: Source, rival: Source) -> None:
    body = {"schemas": [USER], "userName": "sam", "externalId": "7"}
    first = rfc.post("/Users", body)["id"]
    rfc.delete(f"/Users/{first}")
    seen = {first}
    for source in (rival, rfc):
        again = source.post("/Users", {**body, "id": first, "meta": {"location": f"https://x/Users/{first}"}})["id"]
        assert again not in seen
        seen.add(again)
        assert source.ask("PUT", f"/Users/{first}", body).status_code == 404  # nor does a PUT create it
        source.get(f"/Users/{first}", 404)


@pytest.mark.requirement("S13")
def test_nobody_is_adopted_by_address_name_or_external_id(rfc: Source, sources: Sources) -> None:
    said = {"emails": [{"value": "a@x", "type": "work", "primary": True}], "externalId": "7", "displayName": "Admin"}
    admin = rfc.user("admin", **said)
    before = rfc.get(f"/Users/{admin}")
    other = sources.make("acme", "entra", "other")
    for name in ("admin", "ADMIN", "\uff21dmin"):  # the last begins with a full-width letter
        assert other.post("/Users", {"schemas": [USER], "userName": name, **said}, 409)["scimType"] == "uniqueness"
    somebody = other.user("somebody", **said)  # an address is no key: this is somebody else
    assert somebody != admin
    taken = {"op": "replace", "path": "userName", "value": "Admin"}
    assert other.patch(f"/Users/{somebody}", taken, status=409)["scimType"] == "uniqueness"
    other.delete(f"/Users/{somebody}")
    assert rfc.get(f"/Users/{admin}") == before


# --- S16: a group is its id ---


@pytest.mark.requirement("S16")
def test_a_group_of_the_same_name_is_another_group(rfc: Source, sources: Sources) -> None:
    other = sources.make("acme", "entra", "other")
    sam, eve = rfc.user("sam"), other.user("eve")
    ours = rfc.group("admin", sam, externalId="1")
    theirs = other.group("admin", eve, externalId="1")
    assert ours != theirs
    assert (rfc.members(ours), rfc.members(theirs)) == ({sam}, {eve})
    assert [group["value"] for group in rfc.get(f"/Users/{eve}")["groups"]] == [theirs]
    operation = {"op": "add", "path": "members", "value": [{"value": eve}]}
    other.patch(f"/Groups/{ours}", operation, status=403)
    assert rfc.members(ours) == {sam}


# --- S21: what a tenant writes is text ---


@pytest.mark.requirement("S21")
def test_what_looks_like_code_is_stored_found_and_answered_as_it_is(rfc: Source) -> None:
    for n, text in enumerate(
        ["{{7*7}}", "${7*7}", "{0.__class__}", "%(tenant)s", "__import__('os').getpid()", "#{1+1}"]
    ):
        name = f"user-{n}"
        user = rfc.user(name, title=text, displayName=text, externalId=text, roles=[{"value": text}])
        shown = rfc.get(f"/Users/{user}")
        assert (shown["title"], shown["displayName"], shown["roles"]) == (text, text, [{"value": text}])
        assert [one["id"] for one in found(rfc, "Users", f'title eq "{text}"')["Resources"]] == [user]
        group = rfc.group(text, user)
        assert rfc.get(f"/Users/{user}")["groups"][0]["display"] == text
        assert rfc.get(f"/Groups/{group}")["displayName"] == text
