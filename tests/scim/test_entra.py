"""What Entra ID sends, byte for byte, without and with the flag aadOptscim062020."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.scim.sources import BASE_URL, ENTERPRISE, PATCH, USER, Source

OPERATIONS = f'{{"schemas":["{PATCH}"],"Operations":[%s]}}'
FLAG = "aadOptscim062020"

CREATE_USER = b"""{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
  "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "Test_User_ab6490ee@example.com", "active": true,
  "addresses": null, "phoneNumbers": null, "department": null, "manager": null,
  "emails": [{"primary": true, "type": "work", "value": "Test_User_fd0ea19b@example.com"}],
  "meta": {"resourceType": "User"},
  "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"}, "roles": []}"""

CREATE_MISSPELT = b"""{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"],
  "userName": "misspelt@example.com",
  "urn:ietf:params:scim:schemas:extension:enterprise:2.0User": {"department": "Tour", "manager": null}}"""

CREATE_GROUP = b"""{
  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
              "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
  "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "displayName",
  "meta": {"resourceType": "Group"}}"""


def patch(source: Source, path: str, *operations: str, status: int = 200) -> Any:
    return source.answer("PATCH", path, (OPERATIONS % ",".join(operations)).encode(), status=status)


@pytest.fixture
def dana(entra: Source) -> str:
    return str(entra.post("/Users", CREATE_USER)["id"])


@pytest.mark.rfc("7644", "3.4.2", "3.4.2-7")
def test_the_connection_test_finds_an_empty_list(entra: Source) -> None:
    found = entra.get("/Users?filter=userName%20eq%20%22ef0e0e0c-70a5-4cc6-8ae8-1d8dd9f3c3d4%22")
    assert (found["totalResults"], found["Resources"]) == (0, [])


@pytest.mark.parametrize("suffix", ["", f"&{FLAG}", f"&{FLAG}=true"])
def test_matching_queries_find_the_user_that_was_created(entra: Source, dana: str, suffix: str) -> None:
    queries = [
        'userName eq "test_user_AB6490EE@example.com"',
        'externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"',
        'emails[type eq "work"].value eq "Test_User_fd0ea19b@example.com"',
        'userName eq "test_user_AB6490EE@example.com" and active eq "True"',
    ]
    for query in queries:
        found = entra.get(f"/Users?filter={quote(query)}{suffix}")
        assert [user["id"] for user in found["Resources"]] == [dana], query


@pytest.mark.rfc("7644", "3.1", "3.1-4")
def test_nulls_and_unknown_attributes_of_a_create_are_absent(entra: Source, dana: str) -> None:
    user = entra.get(f"/Users/{dana}")
    assert user["schemas"] == [USER]
    assert not user.keys() & {"addresses", "phoneNumbers", "department", "manager", "roles"}
    assert user["meta"]["location"] == f"{BASE_URL}/t/acme/scim/v2/Users/{dana}"


def test_the_misspelt_enterprise_urn_of_the_documentation_is_read(entra: Source) -> None:
    assert entra.post("/Users", CREATE_MISSPELT)[ENTERPRISE] == {"department": "Tour"}


def test_a_second_create_is_a_conflict_that_says_uniqueness(entra: Source, dana: str) -> None:
    refused = entra.post("/Users", CREATE_USER, status=409)
    assert (refused["scimType"], refused["status"]) == ("uniqueness", "409")
    assert entra.get("/Users")["totalResults"] == 1
    assert entra.get(f"/Users/{dana}")["id"] == dana


MANAGER = f"{ENTERPRISE}:manager"


@pytest.mark.parametrize(
    ("operation", "path", "value"),
    [
        ('{"op":"Replace","path":"active","value":"False"}', ["active"], False),
        ('{"op":"Add","path":"nickName","value":"Babs"}', ["nickName"], "Babs"),
        ('{"op":"Replace","path":"emails[type eq \\"work\\"].value","value":"x@y"}', ["emails", 0, "value"], "x@y"),
        ('{"op":"Replace","path":"emails[type eq \\"home\\"].value","value":"h@y"}', ["emails", 1],
         {"type": "home", "value": "h@y"}),
        ('{"op":"Add","path":"phoneNumbers[type eq \\"mobile\\"].value","value":"1"}', ["phoneNumbers"],
         [{"type": "mobile", "value": "1"}]),
        ('{"op":"Add","path":"emails[type eq \\"work\\"].primary","value":"true"}', ["emails", 0, "primary"], True),
        (f'{{"op":"Replace","path":"{ENTERPRISE}:employeeNumber","value":"E"}}', [ENTERPRISE, "employeeNumber"], "E"),
        (f'{{"op":"Add","path":"{MANAGER}","value":"271"}}', [ENTERPRISE, "manager", "value"], "271"),
        (f'{{"op":"Replace","path":"{MANAGER}","value":{{"value":"271"}}}}', [ENTERPRISE, "manager", "value"], "271"),
        ('{"op":"Add","path":"manager","value":[{"$ref":"http://h/scim/Users/2","value":"2"}]}',
         [ENTERPRISE, "manager", "value"], "2"),
        ('{"op":"Add","path":"roles[primary eq \\"True\\"].value","value":"ADMIN"}', ["roles"],
         [{"value": "ADMIN", "primary": True}]),
        ('{"op":"Add","path":"roles","value":[{"value":"{\\"id\\":\\"1\\",\\"value\\":\\"Admin\\",'
         '\\"displayName\\":\\"Administrator\\"}"}]}', ["roles"], [{"value": "Admin", "display": "Administrator"}]),
        ('{"op":"replace","path":"active","value":false}', ["active"], False),
        ('{"op":"replace","value":{"displayName":"Bjfe","name.givenName":"Kkom",'
         f'"{ENTERPRISE}:employeeNumber":"Aklq"}}}}', ["name", "givenName"], "Kkom"),
        ('{"op":"replace","value":{"displayName":"Bjfe","name.givenName":"Kkom",'
         f'"{ENTERPRISE}:employeeNumber":"Aklq"}}}}', [ENTERPRISE, "employeeNumber"], "Aklq"),
    ],
)  # fmt: skip
def test_an_operation_as_entra_sends_it_has_its_effect(
    entra: Source, dana: str, operation: str, path: list[Any], value: Any
) -> None:
    patch(entra, f"/Users/{dana}", operation)
    found = entra.get(f"/Users/{dana}")
    for key in path:
        found = found[key]
    assert found == value


@pytest.mark.parametrize(
    "operation",
    [
        f'{{"op":"Replace","path":"{MANAGER}","value":""}}',
        f'{{"op":"Add","path":"{MANAGER}","value":null}}',
        f'{{"op":"Replace","path":"{MANAGER}","value":{{"value":""}}}}',
        f'{{"op":"Remove","path":"{MANAGER}"}}',
        '{"op":"Remove","path":"manager"}',
    ],
)
def test_a_manager_is_taken_away_in_every_spelling(entra: Source, dana: str, operation: str) -> None:
    patch(entra, f"/Users/{dana}", f'{{"op":"Add","path":"{MANAGER}","value":"271"}}')
    assert ENTERPRISE not in patch(entra, f"/Users/{dana}", operation)


def test_the_quirks_are_the_dialects_and_not_the_standards(rfc: Source) -> None:
    babs = rfc.user("babs")
    for operation in (
        '{"op":"replace","path":"active","value":"False"}',
        f'{{"op":"add","path":"{MANAGER}","value":"271"}}',
        '{"op":"replace","path":"emails[type eq \\"work\\"].value","value":"x"}',
        '{"op":"replace","value":{"name.givenName":"x"}}',
    ):
        patch(rfc, f"/Users/{babs}", operation, status=400)
    assert rfc.get(f"/Users/{babs}")["active"] is True


def test_soft_delete_keeps_the_user_readable_and_reactivation_brings_them_back(entra: Source, dana: str) -> None:
    assert patch(entra, f"/Users/{dana}", '{"op":"Replace","path":"active","value":"False"}')["active"] is False
    assert entra.get(f"/Users/{dana}")["active"] is False
    assert patch(entra, f"/Users/{dana}", '{"op":"Replace","path":"active","value":"True"}')["active"] is True


@pytest.mark.rfc("7644", "3.6", "3.6-1", "3.6-4", "3.6-5")
def test_hard_delete_answers_204_then_404_and_frees_the_name(entra: Source, dana: str) -> None:
    entra.delete(f"/Users/{dana}")
    entra.delete(f"/Users/{dana}", status=404)
    entra.get(f"/Users/{dana}", status=404)
    assert entra.post("/Users", CREATE_USER)["id"] != dana


@pytest.fixture
def finance(entra: Source) -> str:
    return str(entra.post("/Groups", CREATE_GROUP)["id"])


def test_groups_are_found_by_display_name_without_their_members(entra: Source, finance: str, dana: str) -> None:
    link = f'{{"op":"Add","path":"members","value":[{{"$ref":null,"value":"{dana}"}}]}}'
    patch(entra, f"/Groups/{finance}", link, status=204)
    found = entra.get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22DISPLAYNAME%22")
    assert [group["id"] for group in found["Resources"]] == [finance]
    assert "members" not in found["Resources"][0]
    assert "members" not in entra.get(f"/Groups/{finance}?excludedAttributes=members")
    assert entra.members(finance) == {dana}


@pytest.mark.parametrize("with_flag", [False, True], ids=["default", FLAG])
def test_members_come_and_go_and_the_answer_is_204(entra: Source, finance: str, dana: str, with_flag: bool) -> None:
    others = [entra.user(f"user-{n}") for n in range(2)]
    path = f"/Groups/{finance}" + (f"?{FLAG}" if with_flag else "")
    links = ",".join(f'{{"$ref":null,"value":"{id_}"}}' for id_ in [dana, *others])
    patch(entra, path, f'{{"op":"Add","path":"members","value":[{links}]}}', status=204)
    assert entra.members(finance) == {dana, *others}
    remove = (
        f'{{"op":"remove","path":"members[value eq \\"{dana}\\"]"}}'
        if with_flag
        else f'{{"op":"Remove","path":"members","value":[{{"$ref":null,"value":"{dana}"}}]}}'
    )
    patch(entra, path, remove, status=204)
    assert entra.members(finance) == set(others)
    patch(entra, path, remove, status=204)
    assert entra.members(finance) == set(others)


def test_a_group_is_renamed_and_answers_with_a_body_when_attributes_are_asked_for(entra: Source, finance: str) -> None:
    patch(entra, f"/Groups/{finance}", '{"op":"Replace","path":"displayName","value":"Renamed"}', status=204)
    rename = '{"op":"Replace","value":{"displayName":"Again","externalId":"other"}}'
    answer = patch(entra, f"/Groups/{finance}?attributes=displayName", rename)
    assert answer["displayName"] == "Again"
    assert entra.get(f"/Groups/{finance}")["externalId"] == "other"
    entra.delete(f"/Groups/{finance}")
    entra.get(f"/Groups/{finance}", status=404)


def test_a_taken_user_name_is_a_conflict_in_a_patch_too(entra: Source, dana: str) -> None:
    sam = entra.user("sam@example.com")
    taken = '{"op":"Replace","path":"userName","value":"TEST_user_ab6490ee@example.com"}'
    assert patch(entra, f"/Users/{sam}", taken, status=409)["scimType"] == "uniqueness"
    assert entra.get(f"/Users/{sam}")["userName"] == "sam@example.com"
    assert dana
