"""What a request of the token service costs in function calls: no change may make a hot path dearer unnoticed."""

from collections.abc import Callable

import pytest

from tests.call_counter import counted_calls
from tests.fixtures import AGENTS, Tenant, TwoTenants

Request = Callable[[Tenant, str], object]

CALLS_MAX = {"exchange": 8_431, "introspection": 3_265, "client credentials": 5_601}
"""Of one request, when everything is parsed and prepared."""

REQUESTS: dict[str, Request] = {
    "exchange": lambda acme, _: acme.task_token(),
    "introspection": lambda acme, token: acme.introspect(token, acme.seeded.erp),
    "client credentials": lambda acme, _: acme.own_token("ocr-bot"),
}


@pytest.mark.parametrize("name", CALLS_MAX)
def test_a_request_makes_no_more_calls_than_it_is_allowed(two_tenants: TwoTenants, name: str) -> None:
    acme = two_tenants.acme
    token = acme.chain(*AGENTS[:1])[0]
    REQUESTS[name](acme, token)
    with counted_calls(two_tenants.app) as calls:
        for _ in range(3):
            REQUESTS[name](acme, token)
    assert len(calls.of_requests) == 3
    assert calls.least <= CALLS_MAX[name]
