"""What OneLogin, JumpCloud and SailPoint are known to send, and a whole import as Okta does it."""

from typing import Any

import pytest

from tests.scim.sources import ENTERPRISE, GROUP, PATCH, USER, Source, Sources

BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


def patch(source: Source, path: str, *operations: dict[str, Any]) -> int:
    return source.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}).status_code


def fill(source: Source, endpoint: str, schema: str, name: str, number: int) -> None:
    """Create many at once, as a first import of a directory would find them."""
    made = [{"method": "POST", "path": f"/{endpoint}", "bulkId": str(n),
             "data": {"schemas": [schema], name: f"{endpoint}-{n:03}"}} for n in range(number)]  # fmt: skip
    reports = source.post("/Bulk", {"schemas": [BULK], "Operations": made}, status=200)["Operations"]
    assert {report["status"] for report in reports} == {"201"}


@pytest.mark.parametrize(
    ("endpoint", "schema", "name"), [("Users", USER, "userName"), ("Groups", GROUP, "displayName")]
)
def test_okta_imports_page_by_page_of_a_hundred_until_the_total(
    okta: Source, rival: Source, endpoint: str, schema: str, name: str
) -> None:
    fill(okta, endpoint, schema, name, 250)
    rival.user("eve")
    seen: list[str] = []
    sizes: list[int] = []
    total = 1
    while len(seen) < total:
        page = okta.get(f"/{endpoint}?startIndex={len(seen) + 1}&count=100")
        for number in ("totalResults", "startIndex", "itemsPerPage"):
            assert type(page[number]) is int
        assert (page["totalResults"], page["startIndex"]) == (250, len(seen) + 1)
        seen += [resource[name] for resource in page["Resources"]]
        sizes.append(page["itemsPerPage"])
        total = page["totalResults"]
    assert sizes == [100, 100, 50]
    assert seen == [f"{endpoint}-{n:03}" for n in range(250)]


def test_okta_deactivates_with_a_put_of_what_it_read_and_never_deletes(okta: Source) -> None:
    user = okta.get(f"/Users/{okta.user('dana', displayName='Dana', emails=[{'value': 'd@x', 'primary': True}])}")
    off = okta.put(f"/Users/{user['id']}", {**user, "groups": [], "active": False})
    assert {**off, "meta": None} == {**user, "active": False, "meta": None}
    on = okta.put(f"/Users/{user['id']}", {**off, "active": True})
    assert on["active"] is True


ONE = {
    "schemas": ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:enterprise:1.0"],
    "userName": "dana@example.com",
    "externalId": "10",
    "active": True,
    "name": {"givenName": "Dana", "familyName": "Scully"},
    "emails": [{"value": "dana@example.com", "type": "work", "primary": True}],
    "urn:scim:schemas:extension:enterprise:1.0": {"department": "Files", "employeeNumber": "7"},
}


def test_onelogins_stock_template_lives_a_users_life(sources: Sources) -> None:
    source = sources.make("acme", "onelogin")
    assert source.get("/Users?filter=userName%20eq%20%22dana%40example.com%22")["Resources"] == []
    made = source.post("/Users", ONE)
    assert made["schemas"] == [USER, ENTERPRISE]
    path = f"/Users/{made['id']}"
    changed = source.put(
        path, {**ONE, "active": False, "urn:scim:schemas:extension:enterprise:1.0": {"department": "X"}}
    )
    assert (changed["active"], changed[ENTERPRISE]) == (False, {"department": "X"})
    group = source.post("/Groups", {"schemas": ["urn:scim:schemas:core:1.0"], "displayName": "Role"})["id"]
    join = {"op": "add", "path": "members", "value": [{"value": made["id"]}]}
    assert patch(source, f"/Groups/{group}", join) == 204
    assert source.members(group) == {made["id"]}
    source.delete(path)
    source.get(path, 404)


def test_jumpcloud_tries_out_a_connection_with_a_user_and_a_group_that_it_deletes_again(sources: Sources) -> None:
    source = sources.make("acme", "jumpcloud")
    body = {"schemas": [USER], "userName": "jumpcloud-test@example.com", "name": {"givenName": "Test"}, "active": True}
    user = source.post("/Users", {**body, "emails": [{"value": "jumpcloud-test@example.com", "primary": True}]})["id"]
    changed = source.put(f"/Users/{user}", {**body, "active": False})
    assert changed["active"] is False
    group = source.post("/Groups", {"schemas": [GROUP], "displayName": "jumpcloud-test", "members": []})["id"]
    one = [{"value": user}]
    assert patch(source, f"/Groups/{group}", {"op": "add", "path": "members", "value": one}) == 204
    assert patch(source, f"/Groups/{group}", {"op": "remove", "path": "members", "value": one}) == 204
    assert source.members(group) == set()
    source.delete(f"/Groups/{group}")
    source.delete(f"/Users/{user}")
    assert source.get("/Users")["totalResults"] == source.get("/Groups")["totalResults"] == 0
    again = {"schemas": [USER], "userName": "jumpcloud-test@example.com"}
    assert source.post("/Users", again)["id"] != user  # activation is tried again, with the same name


@pytest.mark.parametrize("with_path", [True, False])
def test_sailpoint_replaces_a_part_and_leaves_the_rest(sources: Sources, with_path: bool) -> None:
    source = sources.make("acme", "sailpoint")
    boss = source.user("boss")
    user = source.user(
        "dana",
        name={"givenName": "Dana", "familyName": "Scully", "middleName": "K"},
        **{ENTERPRISE: {"department": "Files", "division": "X", "manager": {"value": boss}}},
    )
    parts: dict[str, Any] = {"name": {"familyName": "Mulder"}, ENTERPRISE: {"department": "Tour"}}
    operations = (
        [{"op": "replace", "path": path, "value": value} for path, value in parts.items()]
        if with_path
        else [{"op": "replace", "value": parts}]
    )
    assert patch(source, f"/Users/{user}", *operations) == 200
    found = source.get(f"/Users/{user}")
    assert found["name"] == {"givenName": "Dana", "familyName": "Mulder", "middleName": "K"}
    assert (found[ENTERPRISE]["department"], found[ENTERPRISE]["division"]) == ("Tour", "X")
    assert found[ENTERPRISE]["manager"]["value"] == boss
