"""Preconditions in every method that has a resource: what does not hold changes nothing, and is 412 or 304."""

from typing import Any

import pytest

from scim.conditions import Conditions
from tests.scim.sources import PATCH, USER, Source

NOBODY = "00000000-0000-7000-8000-000000000000"
BODIES: dict[str, Any] = {
    "GET": None,
    "PUT": {"schemas": [USER], "userName": "sam", "title": "new"},
    "PATCH": {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "new"}]},
    "DELETE": None,
}
DONE = {"GET": 200, "PUT": 200, "PATCH": 200, "DELETE": 204}

# The present version is 2. Weak and strong tags are one: a version is the whole resource.
HOLDING = [
    {"If_Match": "*"}, {"If_Match": 'W/"2"'}, {"If_Match": '"2"'}, {"If_Match": 'W/"1", "2" ,W/"9"'},
    {"If_Match": ' "2" '}, {"If_None_Match": 'W/"1"'}, {"If_None_Match": '"1", "3"'},
    {"If_None_Match": "2"}, {"If_None_Match": 'W/"02"'},
    {"If_Match": 'W/"2"', "If_None_Match": 'W/"1"'}, {"If_Match": "*", "If_None_Match": '"x"'},
]  # fmt: skip
STALE = [
    {"If_Match": 'W/"1"'}, {"If_Match": '"3"'}, {"If_Match": 'W/"1", W/"3"'}, {"If_Match": "2"}, {"If_Match": ""},
    {"If_Match": 'W/"2'}, {"If_Match": "nope"}, {"If_Match": 'W/"02"'}, {"If_Match": 'W/"-2"'},
    {"If_Match": f'"{"9" * 40}"'}, {"If_Match": 'W/"1"', "If_None_Match": 'W/"2"'}, {"If_Match": "**"},
]  # fmt: skip
KNOWN = [
    {"If_None_Match": "*"}, {"If_None_Match": 'W/"2"'}, {"If_None_Match": '"2"'}, {"If_None_Match": '"1", W/"2"'},
    {"If_Match": 'W/"2"', "If_None_Match": 'W/"2"'}, {"If_Match": "*", "If_None_Match": "*"},
]  # fmt: skip
CASES = [(200, HOLDING), (412, STALE), (304, KNOWN)]


@pytest.mark.rfc("7644", "3.14")
@pytest.mark.requirement("S18")
@pytest.mark.parametrize("method", BODIES)
def test_a_method_is_done_where_its_preconditions_hold_and_nowhere_else(rfc: Source, method: str) -> None:
    for read, cases in CASES:
        for n, headers in enumerate(cases):
            sam = f"/Users/{rfc.user(f'sam-{read}-{n}', title='first')}"
            before = rfc.patch(sam, {"op": "replace", "path": "title", "value": "second"})
            body = {**BODIES[method], "userName": f"sam-{read}-{n}"} if method == "PUT" else BODIES[method]
            answer = rfc.ask(method, sam, body, **headers)
            expected = read if method == "GET" else DONE[method] if read == 200 else 412
            assert answer.status_code == expected, headers
            if read != 200:
                assert rfc.get(sam) == before, headers
            elif method in ("PUT", "PATCH"):
                assert rfc.get(sam)["title"] == "new", headers


@pytest.mark.parametrize("method", BODIES)
def test_what_is_not_there_is_not_there_under_any_precondition(rfc: Source, rival: Source, method: str) -> None:
    theirs = rival.user("sam")
    for who in (theirs, NOBODY):
        for headers in ({"If_Match": "*"}, {"If_Match": '"1"'}, {"If_None_Match": "*"}, {"If_None_Match": '"1"'}):
            assert rfc.ask(method, f"/Users/{who}", BODIES[method], **headers).status_code == 404
    assert rival.get(f"/Users/{theirs}")["meta"]["version"] == 'W/"1"'


def test_a_group_whose_members_changed_is_another_version(rfc: Source) -> None:
    sam, group = rfc.user("sam"), rfc.group("Finance")
    join = {"op": "add", "path": "members", "value": [{"value": sam}]}
    rfc.patch(f"/Groups/{group}", join, status=412, If_None_Match="*")
    rfc.patch(f"/Groups/{group}", join, status=204, If_Match='W/"1"')
    rfc.delete(f"/Groups/{group}", status=412, If_Match='W/"1"')
    assert rfc.members(group) == {sam}


def test_only_a_single_version_needs_no_look_at_the_present_one() -> None:
    assert Conditions('W/"7"').only_version == 7
    assert Conditions('W/"7", "8"').only_version is None
    assert Conditions('W/"7"', "*").only_version is None
    assert Conditions('"seven"').only_version is None
    assert Conditions("*").is_absent
    assert Conditions().is_absent
