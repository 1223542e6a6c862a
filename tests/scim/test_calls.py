"""What a SCIM request costs in function calls: no change may make a hot path dearer unnoticed."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.call_counter import counted_calls
from tests.scim.sources import USER, Source

Request = Callable[[Source, str, int], object]

CALLS_MAX = {"get": 2_404, "filter": 4_011, "create": 4_288, "patch": 3_988, "list of 100": 7_486}
"""Of one request, when everything is parsed and prepared."""


def full(number: int) -> dict[str, object]:
    """A user as an identity provider sends one."""
    name = f"person{number}@example.com"
    return {
        "schemas": [USER],
        "userName": name,
        "externalId": f"ext-{number}",
        "displayName": f"Person {number}",
        "name": {"givenName": "Person", "familyName": str(number)},
        "emails": [{"value": name, "type": "work", "primary": True}],
        "active": True,
    }


REQUESTS: dict[str, Request] = {
    "get": lambda rfc, id_, _: rfc.get(f"/Users/{id_}"),
    "filter": lambda rfc, _, number: rfc.get(f'/Users?filter=userName eq "person{number}@example.com"'),
    "create": lambda rfc, _, number: rfc.post("/Users", full(1_000 + number)),
    "patch": lambda rfc, id_, number: rfc.patch(
        f"/Users/{id_}", {"op": "replace", "path": "displayName", "value": f"Person {number} renamed"}
    ),
    "list of 100": lambda rfc, _, __: rfc.get("/Users?count=100"),
}


@pytest.mark.parametrize("name", CALLS_MAX)
def test_a_request_makes_no_more_calls_than_it_is_allowed(app: Flask, rfc: Source, name: str) -> None:
    ids = [rfc.post("/Users", full(number))["id"] for number in range(100)]
    REQUESTS[name](rfc, ids[7], 1)
    with counted_calls(app) as calls:
        for number in range(2, 5):
            REQUESTS[name](rfc, ids[7], number)
    assert len(calls.of_requests) == 3
    assert calls.least <= CALLS_MAX[name]
