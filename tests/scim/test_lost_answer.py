"""The answer of a create is lost with the process that should have given it: sent again, it leads to what there is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psycopg
import pytest

from tests.house.sources import ROOT
from tests.scim.killed_web import DIES
from tests.scim.sources import AGENT, GROUP, SERVICE_ACCOUNT, USER, Source

BODIES: dict[str, dict[str, Any]] = {
    "Users": {"schemas": [USER], "userName": "dana", "externalId": "e-1"},
    "Groups": {"schemas": [GROUP], "displayName": "dana", "externalId": "e-1"},
    "Agents": {"schemas": [AGENT], "name": "dana", "externalId": "e-1"},
    "ServiceAccounts": {"schemas": [SERVICE_ACCOUNT], "userName": "dana", "externalId": "e-1"},
}


@contextmanager
def web(database_url: str, source: Source) -> Iterator[tuple[httpx2.Client, "subprocess.Popen[str]"]]:
    """A web process of its own, and a client of the source."""
    command = [sys.executable, "-m", "tests.scim.killed_web", database_url]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        base_url = f"http://127.0.0.1:{process.stdout.readline().strip()}{source.url('')}"
        headers = {"Authorization": f"Bearer {source.token}", "Content-Type": "application/scim+json"}
        with httpx2.Client(base_url=base_url, headers=headers, trust_env=False, timeout=20) as client:
            yield client, process
    finally:
        process.kill()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.requirement("S14")
@pytest.mark.promise(6)
def test_a_create_whose_answer_was_lost_is_done_once_and_found(
    rfc: Source, rival: Source, database_url: str, owner_url: str
) -> None:
    for endpoint, body in BODIES.items():
        with web(database_url, rfc) as (client, process):
            with pytest.raises(httpx2.RequestError):
                client.post(f"/{endpoint}", json=body, headers={DIES: "now"})
            assert process.wait(20) == -9
    with web(database_url, rfc) as (client, _):
        for endpoint, body in BODIES.items():
            for _ in range(2):
                again = client.post(f"/{endpoint}", json=body)
                assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")
            found = client.get(f"/{endpoint}", params={"filter": 'externalId eq "e-1"'}).json()
            assert (found["totalResults"], found["Resources"][0]["meta"]["version"]) == (1, 'W/"1"')
            changed = client.put(f"/{endpoint}/{found['Resources'][0]['id']}", json=body)
            assert changed.status_code == 200  # it is whole, and the source's to change
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET app.tenant = '{rfc.tenant_id}'")
        rows = owner.execute(
            "SELECT p.kind, count(*), count(e.id) FROM principals p JOIN events e ON e.tenant_id = p.tenant_id"
            " AND e.subject_id = p.id AND e.type = p.kind || '.created' WHERE p.tenant_id = %s GROUP BY p.kind",
            [rfc.tenant_id],
        ).fetchall()
    assert sorted(rows) == [("agent", 1, 1), ("group", 1, 1), ("service_account", 1, 1), ("user", 1, 1)]
    assert rival.get("/Users")["totalResults"] == 0
