"""A source that floods is told to wait, and nobody else is."""

import dataclasses
import json

import pytest
from sqlalchemy import create_engine, text

from identity.edge.runtime import Runtime
from identity.model.rate import Rate
from tests.scim.sources import Source

BURST = 5


@pytest.fixture
def runtime(runtime: Runtime) -> Runtime:
    return dataclasses.replace(runtime, scim_rate=Rate(per_s=0.001, burst=BURST))


def flood(source: Source) -> list[int]:
    return [source.ask("GET", "/Users").status_code for _ in range(BURST + 2)]


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
    with create_engine(owner_url).connect() as connection:
        connection.execute(text("SELECT set_config('app.tenant', :tenant, false)"), {"tenant": str(rfc.tenant_id)})
        refused = connection.execute(text("SELECT count(*) FROM events WHERE type = 'scim.refused'")).scalar_one()
    assert refused == 0
