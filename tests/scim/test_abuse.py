"""What somebody who means harm, or a source at the wrong moment, gets out of it: nothing."""

import dataclasses
from typing import Any

import pytest
from flask import Flask

from identity.actions.connections import rotate_connection_token
from identity.actions.definitions import define_schema, define_type
from identity.edge.admission import AdmissionMiddleware
from identity.edge.concurrency import ConcurrencyLimiter
from identity.edge.runtime import Runtime
from identity.model.rate import Rate
from identity.store.transaction import transaction
from scim.limits import ASYNC_VALUES_MIN, ASYNC_WAIT_S_MAX
from tests.scim.defined import DEVICE, DEVICE_DOCUMENT, Defined
from tests.scim.sources import ADMINISTRATOR, PATCH, Source
from tests.scim.test_async import PREFER, accepted, read
from tests.scim.test_bulk import bulk, statuses, user
from tests.scim.worker import Worker

FEW = Rate(per_s=0.001, burst=5)  # in the time of a test nothing comes back


@pytest.fixture
def worker(runtime: Runtime, owner_url: str) -> Worker:
    return Worker(runtime, owner_url)


@pytest.fixture
def strict(app: Flask, runtime: Runtime) -> Runtime:
    app.extensions["identity"] = dataclasses.replace(runtime, scim_rate=FEW, unknown_token_rate=FEW)
    return runtime


def test_nobody_puts_off_for_years_what_the_workers_shall_do(rfc: Source, runtime: Runtime, worker: Worker) -> None:
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [user("sam", "1")]}
    rfc.ask("POST", "/Bulk", body, Prefer="respond-async, wait=999999999")
    [(put_off_s,)] = worker.rows(
        rfc, "SELECT extract(epoch FROM available_at - created_at) FROM outbox WHERE kind = 'scim_async'"
    )
    assert 0 <= put_off_s <= ASYNC_WAIT_S_MAX


def test_a_bulk_that_would_wait_takes_a_turn_of_bulks_or_is_left_to_the_workers(
    rfc: Source, runtime: Runtime, worker: Worker
) -> None:
    connection_id = worker.one(rfc, "SELECT id FROM connections WHERE kind = 'scim'")
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [user("sam", "1")]}
    with runtime.bulk_quota.slot((rfc.tenant_id, connection_id), most=1):
        limited = dataclasses.replace(runtime)
        assert limited.bulk_quota is runtime.bulk_quota
        with runtime.bulk_quota.slot((rfc.tenant_id, connection_id), most=2):
            assert rfc.ask("POST", "/Bulk", body).status_code == 429
            left = rfc.ask("POST", "/Bulk", body, Prefer="respond-async, wait=5")
    assert left.status_code == 202
    worker.work(rfc)
    assert statuses(read(rfc, left.headers["Set-Txn"])) == ["201"]


def test_all_who_offer_no_token_may_ask_as_often_as_one_source(strict: Runtime, rfc: Source, rival: Source) -> None:
    path = rfc.url("/Users")
    answers = [rfc.http.get(path, headers=headers).status_code for headers in ({}, {"Authorization": "Basic x"}) * 5]
    assert answers == [401] * 5 + [429] * 5
    assert rival.http.get(rival.url("/Users")).status_code == 401


def test_a_token_that_was_replaced_takes_nothing_of_its_connections_rate(strict: Runtime, rfc: Source) -> None:
    rfc.get("/Users")
    with transaction(strict.engine, rfc.tenant_id) as tx:
        connection_id = tx.connection.exec_driver_sql(
            f"SELECT id FROM connections WHERE tenant_id = '{rfc.tenant_id}' AND kind = 'scim'"
        ).scalar_one()
        fresh = "a-new-token-0123456789abcdef0123456789"
        rotate_connection_token(tx, connection_id, token=fresh, overlap_s=0, caller=ADMINISTRATOR, now=strict.clock())
    renewed = dataclasses.replace(rfc, token=fresh)
    assert renewed.ask("GET", "/Users").status_code == 200
    leaked = [rfc.ask("GET", "/Users").status_code for _ in range(10)]
    assert set(leaked) == {401, 429}
    assert leaked[0] == 401
    assert renewed.ask("GET", "/Users").status_code == 200  # of its five, the leaked token took one at most


def test_whoever_floods_does_not_silence_what_says_that_this_process_is_well() -> None:
    limiter = ConcurrencyLimiter(max_running=2, max_queued=0, queue_timeout_s=0)
    door = AdmissionMiddleware(lambda environ, start: [environ["PATH_INFO"].encode()], limiter, frozenset())
    with limiter.slot((None, "other")):
        for probe in ("/livez", "/readyz"):
            assert list(door({"PATH_INFO": probe}, lambda *_: lambda _: None)) == [probe.encode()]


def test_a_bulk_knows_every_endpoint_that_a_tenant_may_define(runtime: Runtime, rfc: Source) -> None:
    defined = Defined(runtime, rfc)
    defined.do(define_schema, DEVICE_DOCUMENT)
    defined.do(
        define_type, name="Oauth2Client", endpoint="/Oauth2Clients", description="", core_schema=DEVICE, extensions=[]
    )
    made = {"schemas": [DEVICE], "serial": "1"}
    operation = {"method": "POST", "path": "/Oauth2Clients", "bulkId": "1", "data": made}
    assert statuses(bulk(rfc, operation)) == ["201"]


def test_a_text_that_looks_like_a_reference_is_a_text_where_there_is_no_bulk(rfc: Source, worker: Worker) -> None:
    sam = rfc.user("sam")
    operations: list[Any] = [{"op": "replace", "path": "emails", "value": [{"value": "bulkId:42", "type": "work"}]}]
    operations += [{"op": "add", "path": "title", "value": "x"}] * ASYNC_VALUES_MIN
    accepted_ = rfc.ask("PATCH", f"/Users/{sam}", {"schemas": [PATCH], "Operations": operations[:100]}, **PREFER)
    assert accepted_.status_code == 202
    worker.work(rfc)
    assert statuses(read(rfc, accepted_.headers["Set-Txn"])) == ["200"]
    assert rfc.get(f"/Users/{sam}")["emails"] == [{"value": "bulkId:42", "type": "work"}]


def test_what_a_type_that_is_defined_meanwhile_makes_possible_is_not_forgotten(
    runtime: Runtime, rfc: Source, worker: Worker
) -> None:
    device = {"schemas": [DEVICE], "serial": "1", "keeper": {"value": "bulkId:sam"}}
    manager = {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "bulkId:device"}}}
    txn = accepted(
        rfc,
        {"method": "POST", "path": "/Devices", "bulkId": "device", "data": device},
        user("sam", "sam", **manager),
        user("kim", "kim"),
    )
    worker.turns = lambda: worker.count > 2  # a turn that ends behind the first operation
    worker.work(rfc)
    Defined(runtime, rfc).device()
    worker.turns = lambda: False
    worker.work(rfc)
    assert len(statuses(read(rfc, txn))) == 3
