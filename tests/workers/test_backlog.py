"""A backlog is worked off in batches, and nobody else waits behind it."""

import os
import sys
import time
from contextlib import AbstractContextManager
from subprocess import Popen
from uuid import UUID

import pytest

from tests.workers.plant import Plant, TwoTenants, running, wait_until

ROWS = int(os.environ.get("IDENTITY_PROVE_BACKLOG", "3000"))
IS_PROOF = ROWS > 50_000
CUTS = 30 if IS_PROOF else 3
LEAVE = """
WITH people AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, version, created_at, updated_at)
    SELECT %(tenant)s, id, 'user', 'deprovisioned', id, id, '{}', 3, now(), now()
      FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, %(people)s)) AS made RETURNING id),
agents AS (
    INSERT INTO principals (tenant_id, id, kind, state, name, name_key, document, was_owned, created_at, updated_at)
    SELECT %(tenant)s, gen_random_uuid(), 'agent', 'active', id, id, '{}', true, now(), now() FROM people
    RETURNING id, name),
owned AS (
    INSERT INTO principal_owners (tenant_id, principal_id, owner_id, since)
    SELECT %(tenant)s, agents.id, people.id, now() FROM people JOIN agents ON agents.name = CAST(people.id AS text)),
created AS (
    INSERT INTO outbox (tenant_id, id, principal_id, kind)
    SELECT %(tenant)s, gen_random_uuid(), id, 'reconcile' FROM agents)
INSERT INTO outbox (tenant_id, id, principal_id, kind, priority)
SELECT %(tenant)s, gen_random_uuid(), id, 'reconcile', 0 FROM people RETURNING id
"""


def leave(two_tenants: TwoTenants, people: int) -> list[UUID]:
    """Let so many people leave, each of whom owned an agent: two rows of the outbox each, and a third to come when the
    agent is suspended. Returns the rows of the people.
    """
    with two_tenants.sql() as connection:
        return [
            row[0] for row in connection.execute(LEAVE, {"tenant": two_tenants.tenant_id, "people": people}).fetchall()
        ]


def program(plant: Plant, name: str) -> AbstractContextManager[Popen[bytes]]:
    return running([sys.executable, "-m", "cli", name], plant.environment)


@pytest.mark.promise(1)
@pytest.mark.timeout(60 + ROWS // 50)
@pytest.mark.parametrize("plant", ["pgmq", "redis"], indirect=True)
def test_a_cut_s_consequences_do_not_wait_behind_another_tenant_s_backlog(plant: Plant) -> None:
    neighbour = plant.two_tenants.neighbour()
    leave(neighbour, ROWS // 3)
    took = []
    with program(plant, "worker"), program(plant, "relay"):
        wait_until(lambda: neighbour.count("done_at IS NOT NULL") > 0)
        began, before = time.monotonic(), neighbour.count("done_at IS NOT NULL")
        for _ in range(CUTS):
            leave(plant.two_tenants, 1)
            took.append(wait_until(lambda: plant.two_tenants.count("done_at IS NULL AND priority = 0") == 0))
        assert neighbour.count("done_at IS NULL") > 0, "the backlog is there still"
        wait_until(lambda: neighbour.count("done_at IS NULL") == 0, ROWS / 50, pause=0.5)
        drained = (neighbour.count("done_at IS NOT NULL") - before) / (time.monotonic() - began)
    assert neighbour.suspended() == ROWS // 3
    print(f"behind {ROWS} rows: slowest of {CUTS} cascades {max(took):.2f} s; drained {drained:.0f} rows/s")
    assert not IS_PROOF or max(took) <= 2.0  # where nothing else runs on the machine
