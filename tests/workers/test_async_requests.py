"""Asynchronous requests on real workers, which kill -9 ends in the middle of a Bulk."""

import base64
import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from subprocess import Popen
from typing import Any
from uuid import UUID, uuid4

import pytest

from identity.actions.async_requests import accept_async_request
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.access import Caller, CallerKind
from identity.store.transaction import make_engine, transaction
from scim.bulk.tasks import AcceptedRequest
from tests.workers.plant import Plant, TwoTenants, kill, running, wait_until

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
KEY = bytes(32)
OPERATIONS = 200

pytestmark = pytest.mark.promise(6)


def connect(two_tenants: TwoTenants) -> UUID:
    connection_id = uuid4()
    with two_tenants.sql() as connection:
        connection.execute(
            "INSERT INTO connections (tenant_id, id, kind, name, dialect, created_at)"
            " VALUES (%s, %s, 'scim', 'source', 'rfc', now())",
            [two_tenants.tenant_id, connection_id],
        )
    return connection_id


def ask(two_tenants: TwoTenants, connection_id: UUID) -> UUID:
    """Accept a Bulk of new users, as the web does."""
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": str(n), "data": {"schemas": [USER], "userName": f"user{n}"}}
        for n in range(OPERATIONS)
    ]
    accepted = AcceptedRequest(
        {"schemas": [BULK], "Operations": operations}, "https://identity.example/scim", is_bulk=True
    )
    caller = Caller(CallerKind.CONNECTION, str(connection_id), "request-of-tests", connection_id)
    engine = make_engine(two_tenants.url)
    with transaction(engine, two_tenants.tenant_id) as tx:
        id_ = accept_async_request(
            tx, accepted.encoded(), encryption=EnvelopeEncryption(KEY), caller=caller, now=datetime.now(UTC)
        )
    engine.dispose()
    return id_


def read(two_tenants: TwoTenants, query: str) -> Any:
    with two_tenants.sql() as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def worker(plant: Plant) -> AbstractContextManager["Popen[bytes]"]:
    key = base64.b64encode(KEY).decode()
    return running([sys.executable, "-m", "cli", "worker"], plant.environment | {"IDENTITY_KEY_ENCRYPTION_KEY": key})


def test_a_worker_killed_in_the_middle_of_a_bulk_is_followed_by_another_which_does_the_rest(plant: Plant) -> None:
    two_tenants = plant.two_tenants
    connection_id = connect(two_tenants)
    with plant.relay():
        with worker(plant) as first:
            id_ = ask(two_tenants, connection_id)
            wait_until(lambda: read(two_tenants, "SELECT count(*) FROM async_reports") >= 5)
            kill(first)
        done = read(two_tenants, "SELECT count(*) FROM async_reports")
        assert 5 <= done < OPERATIONS
        assert read(two_tenants, "SELECT count(*) FROM principals") == done
        with worker(plant):
            wait_until(lambda: two_tenants.count("done_at IS NOT NULL") == 1, seconds=60)
    assert read(two_tenants, f"SELECT done_at IS NOT NULL FROM async_requests WHERE id = '{id_}'")
    assert read(two_tenants, "SELECT count(*) FROM async_reports WHERE report->>'status' = '201'") == OPERATIONS
    for effects in ("principals", "events WHERE type = 'user.created'", "provisioning_requests"):
        assert read(two_tenants, f"SELECT count(*) FROM {effects}") == OPERATIONS
    assert read(two_tenants, "SELECT count(DISTINCT txn) FROM provisioning_events") == OPERATIONS
