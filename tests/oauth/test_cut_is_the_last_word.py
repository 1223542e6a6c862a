"""No token is issued on what a committed cut ended, in whatever order the two transactions end."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from identity.actions.clients import revoke_client
from identity.actions.connections import change_connection, end_connection
from identity.actions.delegations import change_delegation, end_delegation
from identity.actions.resources import change_resource, delete_resource
from identity.actions.tasks import cancel_task
from identity.model.lifecycle import Transition
from identity.store.memberships import members_add, members_remove
from tests.fixtures import ADMINISTRATOR, ERP, Tenant, TwoTenants, access_token, claims_in
from tests.oauth.test_race import between_reading_and_writing

Cut = Callable[[Tenant, str], None]


def by_principal(verb: Transition, who: str) -> Cut:
    def cut(acme: Tenant, _parent: str) -> None:
        named = {"sam": acme.seeded.sam, "actor": acme.agent("ocr-bot").id, "first actor": acme.agent().id}
        acme.befall(named[who], verb)

    return cut


def delegation_ended(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        end_delegation(tx, acme.seeded.delegations["ocr-bot"], caller=ADMINISTRATOR, now=acme.now)


def client_revoked(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        revoke_client(tx, acme.agent("ocr-bot").client_id, caller=ADMINISTRATOR, now=acme.now)


def task_cancelled(acme: Tenant, parent: str) -> None:
    with acme.tx() as tx:
        cancel_task(tx, claims_in(parent)["txn"], reason="test", caller=ADMINISTRATOR, now=acme.now)


def parent_revoked(acme: Tenant, parent: str) -> None:
    assert acme.post("revoke", acme.agent(), token=parent).status_code == 200


def member_removed(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        assert members_remove(tx, acme.seeded.finance, [acme.seeded.sam]) == 1


def member_removed_and_added(acme: Tenant, parent: str) -> None:
    member_removed(acme, parent)
    with acme.tx() as tx:
        assert members_add(tx, acme.seeded.finance, [acme.seeded.sam], now=acme.now) == 1


def connection_ended(acme: Tenant, _parent: str) -> None:
    [(connection_id,)] = acme.sql("SELECT id FROM connections WHERE tenant_id = :tenant AND kind = 'oidc'")
    with acme.tx() as tx:
        end_connection(tx, connection_id, caller=ADMINISTRATOR, now=acme.now)


def delegation_narrowed(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        change_delegation(
            tx, acme.seeded.delegations["ocr-bot"], {"scopes": ("invoices.read",)},
            expected_version=None, caller=ADMINISTRATOR, now=acme.now,
        )  # fmt: skip


def resource_of(acme: Tenant) -> UUID:
    [(id_,)] = acme.sql("SELECT id FROM resources WHERE tenant_id = :tenant AND audience = :erp", erp=ERP)
    found: UUID = id_
    return found


def resource_narrowed(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        change_resource(tx, resource_of(acme), {"scopes": ("invoices.read",)}, expected_version=None,
                        caller=ADMINISTRATOR, now=acme.now)  # fmt: skip


def resource_deleted(acme: Tenant, _parent: str) -> None:
    with acme.tx() as tx:
        delete_resource(tx, resource_of(acme), caller=ADMINISTRATOR, now=acme.now)


def connection_narrowed(acme: Tenant, _parent: str) -> None:
    [(connection_id,)] = acme.sql("SELECT id FROM connections WHERE tenant_id = :tenant AND kind = 'oidc'")
    with acme.tx() as tx:
        change_connection(tx, connection_id, {"max_age_s": 60},
                          expected_version=None, caller=ADMINISTRATOR, now=acme.now)  # fmt: skip


CUTS: dict[str, Cut] = {
    "suspend the person": by_principal(Transition.SUSPEND, "sam"),
    "deprovision the person": by_principal(Transition.DEPROVISION, "sam"),
    "delete the person": by_principal(Transition.DELETE, "sam"),
    "suspend the actor": by_principal(Transition.SUSPEND, "actor"),
    "suspend the actor, and revoke": by_principal(Transition.SUSPEND_AND_REVOKE, "actor"),
    "deprovision an earlier actor": by_principal(Transition.DEPROVISION, "first actor"),
    "end the delegation": delegation_ended,
    "revoke the client": client_revoked,
    "cancel the task": task_cancelled,
    "revoke the parent": parent_revoked,
    "remove the member": member_removed,
    "remove the member and add it again": member_removed_and_added,
    "end the connection": connection_ended,
    "narrow the delegation": delegation_narrowed,
    "narrow the resource server": resource_narrowed,
    "delete the resource server": resource_deleted,
    "narrow the connection": connection_narrowed,
}


@pytest.mark.promise(1)
@pytest.mark.parametrize("cut", CUTS)
def test_what_ended_between_reading_and_writing_is_seen_by_the_statement_that_writes(
    two_tenants: TwoTenants, cut: str
) -> None:
    acme = two_tenants.acme
    parent = acme.task_token()
    with between_reading_and_writing(two_tenants, lambda: CUTS[cut](acme, parent)):
        answer = acme.exchange("ocr-bot", parent)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == "invalid_grant"
    assert acme.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant")[0][0] == 1, "only the parent"


@contextmanager
def held_before_commit(two_tenants: TwoTenants, released: threading.Event) -> Iterator[threading.Event]:
    """Hold the next transaction that wrote a token before its COMMIT; the event that is yielded says when it is."""
    held, writers = threading.Event(), set[int]()

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO tokens" in statement:
            writers.add(threading.get_ident())
        elif statement.endswith("COMMIT") and threading.get_ident() in writers and not held.is_set():
            held.set()
            assert released.wait(20)

    sqlalchemy_event.listen(two_tenants.runtime.engine, "before_cursor_execute", before)
    try:
        yield held
    finally:
        sqlalchemy_event.remove(two_tenants.runtime.engine, "before_cursor_execute", before)


WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.mark.promise(1)
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_waits_for_the_token_that_is_about_to_be_issued_and_then_ends_it(
    two_tenants: TwoTenants, cut: str
) -> None:
    acme, released = two_tenants.acme, threading.Event()
    parent = acme.task_token()
    with held_before_commit(two_tenants, released) as held, ThreadPoolExecutor(2) as threads:
        asked = threads.submit(acme.exchange, "ocr-bot", parent)
        assert held.wait(20)
        cutting = threads.submit(CUTS[cut], acme, parent)
        while not cutting.done() and not waiting(two_tenants):
            pass
        assert not cutting.done(), "the token's COMMIT comes first"
        released.set()
        token = access_token(asked.result())
        cutting.result()
    # The client of a resource server ends with it.
    assert not acme.is_live(token, acme.agent("ocr-bot") if cut == "delete the resource server" else None)


def waiting(two_tenants: TwoTenants) -> bool:
    with two_tenants.runtime.engine.connect() as connection:
        return bool(connection.execute(text(WAITING)).scalar_one())


@pytest.mark.promise(1)
def test_a_token_that_is_held_up_makes_a_cut_wait_for_a_second_and_not_fail(two_tenants: TwoTenants) -> None:
    """As when a web process is stopped between its last statement and its COMMIT: the database ends it."""
    acme, released = two_tenants.acme, threading.Event()
    with held_before_commit(two_tenants, released) as held, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(acme.exchange, "invoice-bot")
        assert held.wait(20)
        acme.befall(acme.seeded.sam, Transition.DEPROVISION)
        released.set()
        assert asked.result().status_code == 503
    assert acme.sql("SELECT count(*) FROM tokens WHERE tenant_id = :tenant")[0][0] == 0


@pytest.mark.promise(4)
def test_a_held_up_token_of_one_tenant_holds_up_nothing_of_its_twin(two_tenants: TwoTenants) -> None:
    """The twin has the same ids; its locks have other numbers."""
    released = threading.Event()
    with held_before_commit(two_tenants, released) as held, ThreadPoolExecutor(1) as threads:
        asked = threads.submit(two_tenants.acme.exchange, "invoice-bot")
        assert held.wait(20)
        two_tenants.rival.befall(two_tenants.rival.seeded.sam, Transition.DEPROVISION)
        released.set()
        assert asked.result().status_code == 200
