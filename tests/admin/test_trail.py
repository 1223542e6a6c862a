"""The audit trail and the outbox as an administrator reads them; no secret in either, nor in a log."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import insert

from identity.actions.tenants import resolve_tenant
from identity.edge.runtime import Runtime
from identity.model.ids import PLATFORM
from identity.store.tables import outbox
from identity.store.transaction import transaction
from tests.admin.conftest import ADMIN_TOKEN, Admin, Clock, Provision

SCIM = {"kind": "scim", "name": "entra", "dialect": "entra"}


def test_the_trail_is_read_onwards_from_any_event(acme: Admin, provision: Provision) -> None:
    for _ in range(3):
        provision("acme", "user")
    everything = acme.events()
    first = acme.get("/events?limit=2")
    assert first["next_cursor"] == everything[1]["id"]
    rest = acme.get(f"/events?after={first['next_cursor']}")
    assert [*first["items"], *rest["items"]] == everything
    assert rest["next_cursor"] is None


def test_the_trail_is_filtered_by_principal_type_and_task(
    acme: Admin, rival: Admin, provision: Provision, resource: str
) -> None:
    bot, sam = provision("acme", "agent"), provision("acme", "user")
    grant = {"actor_id": bot, "subject_id": sam, "resource": resource, "scopes": ["invoices.read"]}
    acme.post("/delegations", grant)
    assert [event["type"] for event in acme.events(principal=bot)] == ["agent.created", "delegation.granted"]
    assert [event["subject_id"] for event in acme.events(type="user.created")] == [sam]
    assert acme.events(txn=str(uuid4())) == []
    assert rival.events(principal=bot) == []
    acme.get("/events?txn=x", 400)


def test_no_secret_is_in_an_event_a_read_or_a_log(acme: Admin, provision: Provision, runtime: Runtime) -> None:
    bot = provision("acme", "agent")
    with structlog.testing.capture_logs() as logged:
        connection = acme.post("/connections", SCIM, key="canary-idempotency-key")
        rotated = acme.post(f"/connections/{connection['id']}/tokens", {"overlap_s": 0})
        client = acme.post("/clients", {"principal_id": bot})
        renewed = acme.post(f"/clients/{client['client_id']}/secret")
        private = {"kty": "oct", "k": "canary-private-member"}
        key = {"principal_id": bot, "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [private]}}
        refused = acme.post("/clients", key, 400)
        Admin(acme.http, "acme", token="canary-of-a-wrong-token").ask("GET", "/keys")
    reads = [acme.get(path) for path in ("/connections", "/clients", "/keys", f"/clients/{client['client_id']}")]
    said = json.dumps([acme.events(), reads, refused, logged, _platform_events(runtime)], default=str)
    canaries = [connection["token"], rotated["token"], client["client_secret"], renewed["client_secret"], ADMIN_TOKEN]
    for canary in [*canaries, "canary-idempotency-key", "canary-private-member", "canary-of-a-wrong-token"]:
        assert canary not in said
    stored = [found for canary in canaries for found in _tables_that_hold(runtime, acme, canary)]
    assert stored == []


def _platform_events(runtime: Runtime) -> list[str]:
    with transaction(runtime.engine, PLATFORM) as tx:
        return [row[0] for row in tx.connection.exec_driver_sql("SELECT events::text FROM events")]


def _tables_that_hold(runtime: Runtime, acme: Admin, canary: str) -> list[str]:
    with transaction(runtime.engine, _tenant_id(runtime)) as tx:
        names = tx.connection.exec_driver_sql(
            "SELECT table_name FROM information_schema.columns"
            " WHERE column_name = 'tenant_id' AND table_schema = current_schema()"
        )
        queries = [f"SELECT '{name}' FROM {name} AS t WHERE strpos(t::text, '{canary}') > 0" for (name,) in names]
        return list(tx.connection.exec_driver_sql(" UNION ALL ".join(queries)).scalars())


def _tenant_id(runtime: Runtime) -> Any:
    with transaction(runtime.engine, PLATFORM) as tx:
        return resolve_tenant(tx, "acme").id


@pytest.fixture
def dead(runtime: Runtime, clock: Clock, acme: Admin, provision: Provision) -> str:
    """A row that the workers gave up on."""
    principal, id_ = UUID(provision("acme", "user")), uuid4()
    with transaction(runtime.engine, _tenant_id(runtime)) as tx:
        tx.execute(
            insert(outbox).values(
                tenant_id=tx.tenant_id,
                id=id_,
                principal_id=principal,
                kind="reconcile",
                created_at=clock.now,
                available_at=clock.now,
                attempts=12,
                dead_at=clock.now,
                last_error="TimeoutError",
            )
        )
    return str(id_)


def test_what_the_workers_gave_up_on_is_shown_and_tried_again(acme: Admin, rival: Admin, dead: str) -> None:
    [row] = acme.get("/outbox?state=dead")["items"]
    assert (row["id"], row["state"], row["attempts"], row["last_error"]) == (dead, "dead", 12, "TimeoutError")
    rival.post(f"/outbox/{dead}/replay", {}, 404)
    for _ in range(2):
        replayed = acme.post(f"/outbox/{dead}/replay", {}, 200)
        assert (replayed["state"], replayed["attempts"]) == ("waiting", 0)
    assert acme.get("/outbox")["items"] == []
    assert len(acme.events(type="outbox.replayed")) == 1
    assert acme.post(f"/outbox/{dead}/discard", {}, 409)["code"] == "outbox_waiting"


def test_what_is_discarded_is_not_tried_again(acme: Admin, rival: Admin, dead: str) -> None:
    for _ in range(2):
        assert acme.post(f"/outbox/{dead}/discard", {}, 200)["state"] == "done"
    assert acme.post(f"/outbox/{dead}/replay", {}, 409)["code"] == "outbox_done"
    assert [row["id"] for row in acme.get("/outbox?state=done")["items"]] == [dead]
    assert rival.get("/outbox?state=done")["items"] == []
