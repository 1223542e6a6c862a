"""What Okta sends, byte for byte."""

import json
from typing import Any

import pytest

from tests.scim.sources import PATCH, Source

CREATE = b"""{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"test.user@okta.local",
 "name":{"givenName":"Test","familyName":"User"},"emails":[{"primary":true,"value":"test.user@okta.local","type":"work"}],
 "displayName":"Test User","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq",
 "active":true}"""


def patch(source: Source, path: str, *operations: str, status: int = 200) -> Any:
    body = f'{{"schemas":["{PATCH}"],"Operations":[{",".join(operations)}]}}'
    return source.answer("PATCH", path, body.encode(), status=status)


@pytest.fixture
def user(okta: Source) -> dict[str, Any]:
    found = okta.get("/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100")
    assert (found["totalResults"], found["startIndex"], found["itemsPerPage"]) == (0, 1, 0)
    return dict(okta.post("/Users", CREATE))


@pytest.mark.rfc("7644", "3.3", "3.3-1", "3.3-2")
def test_a_password_and_read_only_groups_are_accepted_and_never_answered(okta: Source, user: dict[str, Any]) -> None:
    assert "1mz050nq" not in json.dumps(user)
    assert not user.keys() & {"password", "groups"}
    assert "1mz050nq" not in okta.ask("GET", f"/Users/{user['id']}").text
    assert "1mz050nq" not in okta.ask("GET", f"/Users/{user['id']}?attributes=password").text


def test_a_put_carries_the_whole_user_and_the_url_says_who(okta: Source, user: dict[str, Any]) -> None:
    other = okta.user("other")
    sent = {**user, "id": other, "groups": [], "name": {"givenName": "New", "familyName": "User"}, "active": False}
    answer = okta.put(f"/Users/{user['id']}", sent)
    assert (answer["id"], answer["name"]["givenName"], answer["active"]) == (user["id"], "New", False)
    assert okta.get(f"/Users/{other}")["userName"] == "other"


def test_deactivation_and_a_pushed_password_come_without_a_path(okta: Source, user: dict[str, Any]) -> None:
    assert patch(okta, f"/Users/{user['id']}", '{"op":"replace","value":{"active":false}}')["active"] is False
    assert patch(okta, f"/Users/{user['id']}", '{"op":"replace","value":{"active":true}}')["active"] is True
    answer = patch(okta, f"/Users/{user['id']}", '{"op":"replace","value":{"password":"s3cret"}}')
    assert "password" not in answer


def test_a_group_lives_its_life(okta: Source, user: dict[str, Any]) -> None:
    jon, jane = okta.user("jon"), str(user["id"])
    group = okta.post(
        "/Groups",
        b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Test SCIMv2","members":[]}',
    )
    path = f"/Groups/{group['id']}"
    assert not group.get("members")
    renamed = patch(okta, path, f'{{"op":"replace","value":{{"id":"{group["id"]}","displayName":"Renamed"}}}}')
    assert renamed["displayName"] == "Renamed"
    patch(okta, path, f'{{"op":"add","path":"members","value":[{{"value":"{jane}","display":"u@x"}}]}}', status=204)
    patch(
        okta,
        path,
        f'{{"op":"remove","path":"members[value eq \\"{jane}\\"]"}}',
        f'{{"op":"add","path":"members","value":[{{"value":"{jon}","display":"jon@x"}}]}}',
        status=204,
    )
    assert okta.members(group["id"]) == {jon}
    both = f'[{{"value":"{jane}"}},{{"value":"{jon}"}}]'
    patch(okta, path, f'{{"op":"replace","path":"members","value":{both}}}', status=204)
    assert okta.members(group["id"]) == {jon, jane}
    patch(okta, path, '{"op":"replace","path":"members","value":[]}', status=204)
    assert okta.members(group["id"]) == set()
    okta.delete(path)
    okta.get(path, status=404)


def test_an_import_walks_pages_of_one_order_until_the_total(okta: Source) -> None:
    made = [okta.user(f"user-{n:03}") for n in range(25)]
    seen: list[str] = []
    while True:
        page = okta.get(f"/Users?startIndex={len(seen) + 1}&count=10")
        assert isinstance(page["totalResults"], int)
        assert page["startIndex"] == len(seen) + 1
        seen += [user["id"] for user in page["Resources"]]
        if len(seen) >= page["totalResults"]:
            break
    assert seen == made


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"[]"])
def test_an_empty_body_is_an_error(okta: Source, body: bytes) -> None:
    assert okta.post("/Users", body, status=400)["scimType"] == "invalidSyntax"
