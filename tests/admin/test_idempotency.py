"""Idempotency-Key: doing it twice is doing it once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from identity.actions.idempotency import KEPT
from identity.edge.runtime import Runtime
from tests.admin.conftest import Admin, Clock, Provision

SCIM = {"kind": "scim", "name": "entra", "dialect": "entra"}


def test_the_same_request_gets_the_same_answer_with_its_secret_and_is_done_once(acme: Admin) -> None:
    first, second = (acme.ask("POST", "/connections", SCIM, key="k-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert ("Idempotency-Replayed" in first.headers, second.headers["Idempotency-Replayed"]) == (False, "true")
    assert len(acme.get("/connections")["items"]) == 1
    assert len(acme.events(type="connection.created")) == 1


def test_another_request_under_the_same_key_is_refused(acme: Admin, provision: Provision) -> None:
    acme.post("/connections", SCIM, key="k-1")
    assert acme.post("/connections", {**SCIM, "name": "other"}, 409, key="k-1")["code"] == "idempotency_key_reused"
    bot = provision("acme", "agent")
    assert acme.post(f"/principals/{bot}/suspend", {}, 409, key="k-1")["code"] == "idempotency_key_reused"
    assert acme.get(f"/principals/{bot}")["state"] == "active"


def test_a_key_of_one_tenant_means_nothing_in_another(acme: Admin, rival: Admin) -> None:
    mine, theirs = acme.post("/connections", SCIM, key="k-1"), rival.post("/connections", SCIM, key="k-1")
    assert mine["token"] != theirs["token"]


def test_a_request_that_failed_is_not_kept(acme: Admin, provision: Provision) -> None:
    bot = provision("acme", "agent")
    acme.post(f"/principals/{bot}/suspend", {}, 200)
    acme.post("/clients", {"principal_id": bot}, 409, key="k-1")
    acme.post(f"/principals/{bot}/reactivate", {}, 200)
    acme.post("/clients", {"principal_id": bot}, 201, key="k-1")


def test_a_tenant_is_created_once_under_its_key(platform: Admin) -> None:
    asked = {"slug": "acme", "display_name": "Acme"}
    answers = [platform.ask("POST", "/tenants", asked, key="k-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert len(platform.get("/tenants")["items"]) == 1


def test_a_tenant_that_could_not_be_created_leaves_nothing_behind(platform: Admin, acme: Admin) -> None:
    platform.post("/tenants", {"slug": "acme", "display_name": "Again"}, 409, key="k-1")
    platform.post("/tenants", {"slug": "other", "display_name": "Other"}, 201, key="k-1")


def test_a_key_is_forgotten_after_a_day(acme: Admin, clock: Clock) -> None:
    first = acme.post("/connections", SCIM, key="k-1")
    clock.advance(seconds=KEPT.total_seconds() - 1)
    assert acme.post("/connections", SCIM, key="k-1") == first
    clock.advance(seconds=2)
    assert acme.post("/connections", SCIM, key="k-1")["id"] != first["id"]


def test_many_at_once_under_one_key_are_done_once(app: Flask, acme: Admin) -> None:
    together = Barrier(6)

    def create(_: int) -> bytes:
        one = Admin(app.test_client(), "acme")
        together.wait()
        answer = one.ask("POST", "/connections", SCIM, key="k-1")
        assert answer.status_code == 201
        return answer.data

    with ThreadPoolExecutor(6) as threads:
        answers = set(threads.map(create, range(6)))
    assert len(answers) == 1
    assert len(acme.get("/connections")["items"]) == 1


def test_what_is_kept_is_sealed(acme: Admin, runtime: Runtime) -> None:
    token = acme.post("/connections", SCIM, key="a-key-to-look-for")["token"]
    with runtime.engine.connect() as connection:
        tenant = acme.get("")["id"]
        connection.exec_driver_sql(f"BEGIN; SET LOCAL app.tenant = '{tenant}'")
        [row] = connection.exec_driver_sql("SELECT idempotency_keys::text, sealed_answer FROM idempotency_keys").all()
        connection.exec_driver_sql("ROLLBACK")
    assert "a-key-to-look-for" not in row[0]
    assert token.encode() not in bytes(row[1])


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "x" * 256])
def test_a_key_that_is_none_is_refused(acme: Admin, key: str) -> None:
    problem: Any = acme.post("/connections", SCIM, 400, key=key)
    assert problem["errors"][0]["pointer"] == "Idempotency-Key"
