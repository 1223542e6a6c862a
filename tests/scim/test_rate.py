"""A source that floods is told to wait, and nobody else is."""

import dataclasses
import json
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from identity.edge.runtime import Runtime
from identity.model.ids import TenantId
from identity.model.rate import Rate
from tests.scim.sources import USER, Source

BURST = 5


@pytest.fixture
def runtime(runtime: Runtime) -> Runtime:
    return dataclasses.replace(runtime, scim_rate=Rate(per_s=0.001, burst=BURST))


def flood(source: Source) -> list[int]:
    return [source.ask("GET", "/Users").status_code for _ in range(BURST + 2)]


def refusals(source: Source, owner_url: str) -> int:
    """Return the number of audit events of refused requests."""
    with create_engine(owner_url).connect() as connection:
        connection.execute(text("SELECT set_config('app.tenant', :tenant, false)"), {"tenant": str(source.tenant_id)})
        return int(connection.execute(text("SELECT count(*) FROM events WHERE type = 'scim.refused'")).scalar_one())


def test_a_flood_is_told_to_wait_with_the_protocols_own_error(rfc: Source) -> None:
    assert flood(rfc) == [200] * BURST + [429] * 2
    answer = rfc.ask("GET", "/Users")
    assert int(answer.headers["Retry-After"]) >= 1
    assert json.loads(answer.data)["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert json.loads(answer.data)["status"] == "429"


def test_other_sources_of_the_tenant_and_other_tenants_are_served_meanwhile(
    rfc: Source, entra: Source, rival: Source
) -> None:
    flood(rfc)
    assert [source.ask("GET", "/Users").status_code for source in (entra, rival)] == [200, 200]


def test_a_flood_does_not_fill_the_audit_trail(rfc: Source, owner_url: str) -> None:
    flood(rfc)
    assert refusals(rfc, owner_url) == 0


class ForgetfulTokens(dict[tuple[TenantId, bytes], UUID]):
    """Known tokens of a process that forgets each before the next authentication."""

    def __contains__(self, _key: object) -> bool:
        return False


def test_an_operation_of_a_bulk_beyond_the_rate_is_answered_and_is_no_refused_request(
    runtime: Runtime, rfc: Source, owner_url: str
) -> None:
    rfc.http.application.extensions["identity"] = dataclasses.replace(runtime, known_tokens=ForgetfulTokens())
    created = [
        {"method": "POST", "path": "/Users", "bulkId": name, "data": {"schemas": [USER], "userName": name}}
        for name in ("a", "b", "c", "d", "e", "f")
    ]
    bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": created}
    reports = rfc.post("/Bulk", bulk, status=200)["Operations"]
    assert [report["status"] for report in reports] == ["201"] * (BURST - 1) + ["429"] * 2
    assert refusals(rfc, owner_url) == 0
