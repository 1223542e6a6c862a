"""The interoperability profile, sentence by sentence, and what the IPSIE account-lifecycle profile asks beyond it."""

from typing import Any
from urllib.parse import quote

import pytest

from identity.model.connection import Dialect
from tests.scim.sources import ENTERPRISE, GROUP, PATCH, USER, Source, Sources

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@pytest.fixture
def interop(sources: Sources) -> Source:
    return sources.make("acme", "interop")


def patched(source: Source, user: str, *operations: dict[str, Any]) -> tuple[int, Any]:
    answer = source.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": list(operations)})
    body = answer.get_json() if answer.data else {}
    return answer.status_code, body.get("scimType") if answer.status_code >= 400 else body


def found(source: Source, endpoint: str, text: str) -> list[str]:
    return [resource["id"] for resource in source.get(f"/{endpoint}?filter={quote(text)}")["Resources"]]


def test_conformance_is_denied_to_its_connections_and_not_spoken_of_to_others(sources: Sources) -> None:
    for dialect in Dialect:
        source = sources.make("acme", dialect.value)
        config = source.answer("GET", "/ServiceProviderConfig", Accept="application/scim+json")
        assert config.get("interopProfileConformant") == (False if dialect is Dialect.INTEROP else None), dialect


def test_the_schemas_are_what_is_enforced_and_types_are_called_by_their_ids(interop: Source) -> None:
    for type_ in interop.get("/ResourceTypes")["Resources"]:
        assert type_["id"] == type_["name"]
    [user] = [one for one in interop.get("/Schemas")["Resources"] if one["id"] == USER]
    exact = {one["name"]: one.get("caseExact") for one in user["attributes"]}
    assert (exact["externalId"], exact["userName"]) == (True, False)


def test_case_means_the_same_in_filters_and_in_uniqueness(interop: Source) -> None:
    sam = interop.user("Sam", externalId="Ext")
    assert interop.post("/Users", {"schemas": [USER], "userName": "SAM"}, 409)["scimType"] == "uniqueness"
    assert found(interop, "Users", 'userName eq "sAM"') == [sam]
    other = interop.user("other", externalId="EXT")  # another value: it is exact
    assert found(interop, "Users", 'externalId eq "EXT"') == [other]
    assert (
        interop.post("/Users", {"schemas": [USER], "userName": "x", "externalId": "Ext"}, 409)["scimType"]
        == "uniqueness"
    )
    assert found(interop, "Users", f'id eq "{sam.upper()}"') in ([], [sam])


def test_what_no_schema_defines_is_an_invalid_filter(interop: Source) -> None:
    for text in ('shoeSize eq "43"', 'urn:example:x:y eq "z"', 'name.nick eq "x"', 'userName eq "a" and shoeSize pr'):
        assert interop.get(f"/Users?filter={quote(text)}", 400)["scimType"] == "invalidFilter"
    assert found(interop, "Users", f'userName eq "a" and {ENTERPRISE}:department eq "b"') == []


def test_every_operation_has_a_path_and_one_that_is_known(interop: Source) -> None:
    sam = interop.user("sam", title="VP")
    for operation in (
        {"op": "replace", "value": {"title": "x"}},
        {"op": "add", "value": {"title": "x"}},
        {"op": "replace", "path": "", "value": {"title": "x"}},
        {"op": "replace", "path": "shoeSize", "value": "43"},
        {"op": "replace", "path": "department", "value": "x"},
        {"op": "replace", "path": "name.nick", "value": "x"},
        {"op": "replace", "path": "name", "value": {"nick": "x"}},
    ):
        assert patched(interop, sam, operation) == (400, "invalidSyntax"), operation
    assert interop.get(f"/Users/{sam}")["meta"]["version"] == 'W/"1"'


def test_add_and_replace_are_one_for_a_single_value_and_two_for_a_whole_complex_one(interop: Source) -> None:
    sam = interop.user("sam", title="VP", name={"givenName": "Sam", "familyName": "S"})
    for op in ("add", "replace"):
        assert patched(interop, sam, {"op": op, "path": "title", "value": op})[1]["title"] == op
        after = patched(interop, sam, {"op": op, "path": "name.givenName", "value": op})[1]
        assert after["name"] == {"givenName": op, "familyName": "S"}
    merged = patched(interop, sam, {"op": "add", "path": "name", "value": {"middleName": "M"}})[1]["name"]
    assert merged == {"givenName": "replace", "familyName": "S", "middleName": "M"}
    replaced = patched(interop, sam, {"op": "replace", "path": "name", "value": {"givenName": "N"}})[1]["name"]
    assert replaced == {"givenName": "N"}


def test_a_selection_is_of_one_value_and_names_the_part_that_changes(interop: Source) -> None:
    sam = interop.user("sam", emails=[{"value": "w@x", "type": "work"}, {"value": "h@x", "type": "home"}])
    status, after = patched(interop, sam, {"op": "replace", "path": 'emails[type eq "work"].value', "value": "n@x"})
    assert (status, after["emails"][0]["value"]) == (200, "n@x")
    one = {"value": "x@x", "type": "work"}
    assert patched(interop, sam, {"op": "replace", "path": 'emails[type eq "work"]', "value": one})[0] == 400
    assert patched(interop, sam, {"op": "replace", "path": 'emails[type eq "none"].value', "value": "x"}) == (
        400,
        "noTarget",
    )


def test_a_delete_is_one_and_frees_the_name(interop: Source) -> None:
    sam = interop.user("sam", externalId="7")
    interop.delete(f"/Users/{sam}")
    interop.get(f"/Users/{sam}", 404)
    assert interop.user("sam", externalId="7") != sam


def test_no_version_is_wanted_of_a_client(interop: Source) -> None:
    sam = interop.user("sam")
    for n in range(2):
        assert interop.put(f"/Users/{sam}", {"schemas": [USER], "userName": f"sam{n}"})["userName"] == f"sam{n}"
    interop.delete(f"/Users/{sam}")


# --- IPSIE ---


@pytest.mark.parametrize("dialect", ["rfc", "interop", "entra", "okta"])
def test_fifty_members_come_and_go_in_one_patch_of_fifty_operations(sources: Sources, dialect: str) -> None:
    source = sources.make("acme", dialect)
    made = [{"method": "POST", "path": "/Users", "bulkId": str(n), "data": {"schemas": [USER], "userName": f"u{n}"}}
            for n in range(50)]  # fmt: skip
    reports = source.post("/Bulk", {"schemas": [BULK], "Operations": made}, status=200)["Operations"]
    people = [report["location"].rsplit("/", 1)[1] for report in reports]
    group = source.post("/Groups", {"schemas": [GROUP], "displayName": "G"})["id"]
    joins = [{"op": "add", "path": "members", "value": [{"value": one}]} for one in people]
    assert source.ask("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": joins}).status_code == 204
    assert source.members(group) == set(people)
    leaves = [{"op": "remove", "path": f'members[value eq "{one}"]'} for one in people[1:]]
    assert source.ask("PATCH", f"/Groups/{group}", {"schemas": [PATCH], "Operations": leaves}).status_code == 204
    assert source.members(group) == {people[0]}


def test_the_filters_of_the_account_lifecycle_profile_are_answered(interop: Source, rival: Source) -> None:
    mails = [{"value": "Sam@Example.com", "type": "work"}, {"value": "home@example.com", "type": "home"}]
    sam, group = interop.user("sam", emails=mails), ""
    group = interop.group("Finance", sam)
    rival.user("sam", emails=mails)
    for text in ('emails[value eq "sam@example.com"]', 'emails[type eq "work" and value eq "sam@example.com"]',
                 'emails.value eq "home@example.com"', 'userName eq "sam" and active eq true'):  # fmt: skip
        assert found(interop, "Users", text) == [sam], text
    assert found(interop, "Users", 'emails[type eq "home" and value eq "sam@example.com"]') == []
    assert found(interop, "Groups", f'members[value eq "{sam}"]') == [group]
    assert len(interop.get("/Users?count=1000")["Resources"]) == 1
