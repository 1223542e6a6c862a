"""What RFC 7644 wants of writing, where no other file says it already: named by section."""

from typing import Any

import pytest

from tests.scim.sources import ENTERPRISE, ERROR, GROUP, PATCH, USER, Source

NOBODY = "00000000-0000-7000-8000-000000000000"
SAM: dict[str, Any] = {
    "schemas": [USER],
    "userName": "sam",
    "title": "VP",
    "emails": [{"value": "s@x", "type": "work"}, {"value": "t@x", "type": "home"}],
}


# --- PUT ---


@pytest.mark.rfc("7644", "3.5.1", "3.5.1-2", "3.5.1-3")
def test_a_put_takes_the_place_of_what_was_there_but_for_what_many_clients_do_not_know(rfc: Source) -> None:
    sam = rfc.post("/Users", {**SAM, "active": False, ENTERPRISE: {"department": "Files"}})["id"]
    group = rfc.group("Files", sam, externalId="7")
    put = rfc.put(f"/Users/{sam}", {"schemas": [USER], "userName": "samuel", "emails": [{"value": "new@x"}]})
    assert put.keys() - {"meta", "groups"} == {"schemas", "id", "userName", "emails", "active"}
    assert (put["userName"], put["emails"], put["active"]) == ("samuel", [{"value": "new@x"}], False)
    assert put["schemas"] == [USER]
    assert rfc.get(f"/Users/{sam}") == put
    assert "externalId" not in rfc.put(f"/Groups/{group}", {"schemas": [GROUP], "displayName": "Cases"})
    assert rfc.members(group) == {sam}


@pytest.mark.rfc("7644", "3.5.1", "3.5.1-8")
@pytest.mark.parametrize("user_name", [..., None, ""])
def test_a_put_without_what_is_required_is_refused(rfc: Source, user_name: Any) -> None:
    sam = rfc.post("/Users", SAM)
    body = {key: value for key, value in {**SAM, "userName": user_name}.items() if value is not ...}
    assert rfc.put(f"/Users/{sam['id']}", body, 400)["scimType"] == "invalidValue"
    assert rfc.get(f"/Users/{sam['id']}") == sam


@pytest.mark.rfc("7644", "3.2", "3.2-3")
@pytest.mark.rfc("7644", "3.5.1", "3.5.1-1")
def test_a_put_creates_nothing(rfc: Source) -> None:
    for path in (f"/Users/{NOBODY}", "/Users/sam"):
        rfc.put(path, {**SAM, "id": NOBODY}, 404)
    rfc.put("/Users", SAM, 405)
    assert rfc.get("/Users")["totalResults"] == 0


# --- PATCH ---


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-1")
def test_patch_op_without_its_schema_is_refused(rfc: Source) -> None:
    sam = rfc.user("sam")
    body = {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    rfc.answer("PATCH", f"/Users/{sam}", body, status=400)
    rfc.answer("PATCH", f"/Users/{sam}", {**body, "schemas": [PATCH]})


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-9")
def test_an_operation_that_brings_in_an_extension_has_done_so_for_those_behind_it(rfc: Source) -> None:
    sam = f"/Users/{rfc.post('/Users', SAM)['id']}"
    there = rfc.patch(
        sam,
        {"op": "add", "path": f"{ENTERPRISE}:department", "value": "Files"},
        {"op": "replace", "value": {ENTERPRISE: {"division": "X"}}},
    )
    assert there["schemas"] == [USER, ENTERPRISE]
    assert there[ENTERPRISE] == {"department": "Files", "division": "X"}
    gone = rfc.patch(sam, {"op": "remove", "path": ENTERPRISE})
    assert gone["schemas"] == [USER]
    for op in ("add", "replace", "remove"):
        rfc.patch(sam, {"op": op, "path": "schemas", "value": [ENTERPRISE]}, status=400)


@pytest.mark.rfc("7644", "3.5.2", "3.5.2-7", "3.5.2-14")
@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "replace", "path": "id", "value": "7"}, "mutability"),
        ({"op": "add", "path": "groups", "value": [{"value": "7"}]}, "mutability"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "replace", "path": "active", "value": "no"}, "invalidValue"),
        ({"op": "replace", "path": "emails", "value": {"value": 5}}, "invalidValue"),
        ({"op": "replace", "path": "shoeSize", "value": 43}, "invalidPath"),
        ({"op": "replace", "path": 'emails[type eq "other"]', "value": {"value": "o@x"}}, "noTarget"),
        ({"op": "remove"}, "noTarget"),
    ],
)
def test_an_operation_that_does_not_fit_is_refused_for_that_and_changes_nothing(
    rfc: Source, operation: dict[str, Any], scim_type: str
) -> None:
    sam = rfc.post("/Users", SAM)
    path = f"/Users/{sam['id']}"
    refused = rfc.patch(path, {"op": "replace", "path": "title", "value": "CEO"}, operation, status=400)
    assert (refused["schemas"], refused["status"], refused["scimType"]) == ([ERROR], "400", scim_type)
    assert refused["detail"]
    assert rfc.get(path) == sam


@pytest.mark.rfc("7644", "3.5.2.1", "3.5.2.1-3", "3.5.2.1-4", "3.5.2.1-5")
def test_adding_what_is_there_succeeds_and_changes_nothing_not_even_when(rfc: Source) -> None:
    sam = rfc.post("/Users", SAM)
    path = f"/Users/{sam['id']}"
    for value in ({"emails": [SAM["emails"][1]]}, {"title": "VP"}, {"emails": SAM["emails"]}):
        assert rfc.patch(path, {"op": "add", "value": value}) == sam
    group = f"/Groups/{rfc.group('Files', sam['id'])}"
    before = rfc.get(group)
    rfc.patch(group, {"op": "add", "path": "members", "value": [{"value": sam["id"]}]}, status=204)
    assert rfc.get(group) == before


@pytest.mark.rfc("7644", "3.5.2.2", "3.5.2.2-2", "3.5.2.2-3", "3.5.2.2-5")
@pytest.mark.parametrize(
    "removes",
    [
        [{"op": "remove", "path": "emails"}],
        [{"op": "remove", "path": 'emails[value ew "@x"]'}],
        [{"op": "remove", "path": 'emails[type eq "work"]'}, {"op": "remove", "path": 'emails[value eq "t@x"]'}],
        [{"op": "remove", "path": "emails.value"}, {"op": "remove", "path": "emails.type"}],
    ],
    ids=["without a filter", "by value", "one after the other", "by sub-attributes"],
)
def test_an_attribute_whose_last_value_is_removed_is_unassigned(rfc: Source, removes: list[Any]) -> None:
    sam = rfc.post("/Users", SAM)["id"]
    assert "emails" not in rfc.patch(f"/Users/{sam}", *removes)
    assert rfc.get("/Users?filter=emails%20pr")["totalResults"] == 0


@pytest.mark.rfc("7644", "3.5.2.3", "3.5.2.3-4")
def test_a_selection_replaces_every_value_that_it_matches(rfc: Source) -> None:
    sam = f"/Users/{rfc.post('/Users', SAM)['id']}"
    typed = rfc.patch(sam, {"op": "replace", "path": "emails[value pr].type", "value": "other"})
    assert typed["emails"] == [{"value": "s@x", "type": "other"}, {"value": "t@x", "type": "other"}]
    whole = rfc.patch(sam, {"op": "replace", "path": 'emails[type eq "other"]', "value": {"value": "n@x"}})
    assert whole["emails"] == [{"value": "n@x"}] * 2
