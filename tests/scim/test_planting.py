"""What the benchmark of scale plants is what creating everybody over SCIM would have left; its page keeps sections."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask

from benchmarks.directory import user_document
from benchmarks.planting import CROWD, person, plant_tenant
from benchmarks.report import Section, keep, sections_of
from identity.edge.runtime import Runtime
from tests.scim.sources import USER, Source

USERS = 100
NUMBER = 7
OWN = frozenset({"tenant_id", "id", "principal_id", "subject_id", "connection_id", "caller_id"})  # of each tenant
TIMES = frozenset({"at", "created_at", "updated_at", "duration_ms", "request_id"})
TABLES = {
    "principals": "name = 'user-7@example.com'",
    "principal_emails": "value_key = 'user-7@example.com'",
    "provisioning_requests": "name = 'user-7@example.com'",
    "events": "type = 'user.created' AND subject_id = (SELECT id FROM principals WHERE name = 'user-7@example.com')",
}


@pytest.fixture
def seeded(app: Flask, runtime: Runtime, owner_url: str) -> Source:
    made = plant_tenant(runtime.engine, owner_url, runtime.encryption, USERS, lambda _so_far: None)
    return Source(app.test_client(), made.slug, made.token, made.tenant_id)


def row(owner_url: str, source: Source, table: str) -> dict[str, Any]:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET app.tenant = '{source.tenant_id}'")
        [(found,)] = owner.execute(f"SELECT to_jsonb(t) FROM {table} AS t WHERE {TABLES[table]}").fetchall()
    return {name: value for name, value in found.items() if name not in OWN | TIMES}


@pytest.mark.parametrize("table", TABLES)
def test_a_planted_row_is_the_one_that_a_request_writes(
    rfc: Source, seeded: Source, owner_url: str, table: str
) -> None:
    rfc.post("/Users", {"schemas": [USER], **user_document(NUMBER)})
    assert row(owner_url, seeded, table) == row(owner_url, rfc, table)


def test_who_was_planted_is_found_listed_and_grouped_like_anybody(seeded: Source, rival: Source) -> None:
    name = f"user-{NUMBER}@example.com"
    for asked in (f'userName eq "{name}"', f'externalId eq "ext-{NUMBER}"', f'emails.value eq "{name}"'):
        [found] = seeded.get(f"/Users?filter={asked}")["Resources"]
        assert found["id"] == str(person(NUMBER))
        assert sorted(group["display"] for group in found["groups"]) == ["Crowd", "Team 0"]
    assert seeded.get("/Users?count=1")["totalResults"] == USERS
    assert len(seeded.members(str(CROWD))) == USERS // 10
    assert rival.get("/Users")["totalResults"] == 0


def test_each_command_writes_its_own_section_of_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    keep(page, Section.GROWTH, "grows\n\n| a |\n")
    keep(page, Section.COSTS, "costs")
    keep(page, Section.GROWTH, "grows on")
    assert sections_of(page.read_text()) == {Section.COSTS: "costs", Section.GROWTH: "grows on"}
    assert page.read_text().index("costs") < page.read_text().index("grows on")
