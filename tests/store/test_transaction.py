"""Transactions: all or nothing, whatever ends the process, and an error that the caller may see."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from dev.postgres import SUPERUSER
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.provisioning import create_principal
from identity.actions.tenants import create_tenant
from identity.model.access import Caller, CallerKind
from identity.model.errors import InvalidRequest, Unavailable
from identity.model.ids import TenantId
from identity.model.principal import Kind, Profile
from identity.store.tables import principals
from identity.store.transaction import make_engine, transaction
from tests.conftest import Server
from tests.fixtures import BEGIN

TENANT = TenantId(UUID(int=1))
CALLER = Caller(CallerKind.ADMINISTRATOR, "administrator", "request-of-tests")
ROOT = Path(__file__).parent.parent.parent
TOLD = ("principals", "principal_emails", "principal_owners", "group_members", "events", "outbox")

# Another process: it does all that a verb does, says so, and never comes to commit.
UNFINISHED = """
import sys, time
from uuid import UUID
from tests.store.test_transaction import TENANT, push, transaction, make_engine
with transaction(make_engine(sys.argv[1]), TENANT) as tx:
    push(tx)
    print("written", flush=True)
    time.sleep(600)
"""


def push(tx) -> None:  # type: ignore[no-untyped-def]
    """Write a user, a group with it, and an agent that it owns."""
    user = create_principal(tx, Kind.USER, Profile({}, "pat"), caller=CALLER, now=BEGIN).principal.id
    create_principal(tx, Kind.GROUP, Profile({}, "team"), members=frozenset({user}), caller=CALLER, now=BEGIN)
    create_principal(tx, Kind.AGENT, Profile({}, "bot", owners=frozenset({user})), caller=CALLER, now=BEGIN)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url, pool_size=2)
    with transaction(made, TENANT) as tx:
        create_tenant(
            tx, slug="acme", display_name="Acme", encryption=EnvelopeEncryption(bytes(32)), caller=CALLER, now=BEGIN
        )
    yield made
    made.dispose()


def written(engine: Engine) -> list[int]:
    """How many rows there are of each kind that ``push`` writes."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, options=f"-c role=identity_app -c app.tenant={TENANT}") as connection:
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TOLD)
        row = connection.execute(f"SELECT {counts}".encode()).fetchone()
    assert row is not None
    return list(row)


@pytest.mark.promise(6)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_killed_between_its_statements_and_its_commit_leaves_nothing(engine: Engine, number: int) -> None:
    before = written(engine)
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", UNFINISHED, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "written\n"
            assert written(engine) == before
        finally:
            os.kill(process.pid, number)
    assert written(engine) == before
    with transaction(engine, TENANT) as tx:  # nor a lock: the same names are free at once
        push(tx)
    assert [now - then for now, then in zip(written(engine), before, strict=True)] == [3, 0, 1, 1, 3, 1]


@pytest.mark.promise(6)
def test_what_a_verb_wrote_before_it_raised_is_not_there(engine: Engine) -> None:
    before = written(engine)
    with pytest.raises(KeyError), transaction(engine, TENANT) as tx:
        push(tx)
        raise KeyError
    assert written(engine) == before


def test_a_block_that_fails_gives_its_connection_back_clean(engine: Engine) -> None:
    for _ in range(10):  # more often than there are connections
        with pytest.raises(KeyError), transaction(engine, TENANT) as tx:
            push(tx)
            raise KeyError
    with transaction(engine, TenantId(uuid4())) as tx:
        assert tx.execute(select(principals.c.id).where(principals.c.tenant_id == TENANT)).all() == []


@pytest.mark.promise(9)
@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
def test_a_text_that_the_database_cannot_hold_is_malformed(engine: Engine, text: str) -> None:
    for profile in (Profile({"title": text}, "pat"), Profile({}, "pat", external_id=text)):
        with pytest.raises(InvalidRequest), transaction(engine, TENANT) as tx:
            create_principal(tx, Kind.USER, profile, caller=CALLER, now=BEGIN)


def test_a_database_that_is_not_there_is_unavailable() -> None:
    engine = make_engine("postgresql://nobody@/nowhere?host=/nonexistent")
    with pytest.raises(Unavailable) as refusal, transaction(engine, TENANT):
        pass
    assert "nonexistent" not in refusal.value.detail


def test_a_row_that_another_holds_too_long_is_unavailable_and_not_a_fault(engine: Engine) -> None:
    with transaction(engine, TENANT) as tx:
        user = create_principal(tx, Kind.USER, Profile({}, "pat"), caller=CALLER, now=BEGIN).principal.id
    held = select(principals.c.id).where(principals.c.tenant_id == TENANT, principals.c.id == user).with_for_update()
    with transaction(engine, TENANT) as first:
        first.execute(held)
        with pytest.raises(Unavailable), transaction(engine, TENANT) as second:
            second.connection.exec_driver_sql("SET LOCAL lock_timeout = 20")
            second.execute(held)


# What PostgreSQL calls a state in which it cannot do now what it could before, whoever asks for whatever.
PASSING = {
    "08000": "connection exception",
    "08006": "connection failure",
    "25006": "a replica, after a failover",
    "25P03": "idle in a transaction for too long",
    "25P04": "a transaction that took too long",
    "28000": "a login that is refused for now",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "53000": "no resources",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
    "55006": "object in use",
    "55P03": "lock not available",
    "57014": "statement time-out",
    "57P01": "an administrator ended the session",
    "57P02": "another session crashed",
    "57P03": "starting up",
    "57P05": "idle session time-out",
    "58030": "an error of the operating system",
}
OURS = {"42601": "syntax error", "42501": "insufficient privilege", "XX000": "internal error"}


def raise_in_database(engine: Engine, sqlstate: str) -> None:
    with transaction(engine, TENANT) as tx:
        tx.connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'a secret' USING ERRCODE = '{sqlstate}'; END $$")


@pytest.mark.parametrize("sqlstate", PASSING)
def test_what_passes_by_itself_is_unavailable_and_tells_no_detail(engine: Engine, sqlstate: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        raise_in_database(engine, sqlstate)
    assert "secret" not in refusal.value.detail
    assert "secret" in (refusal.value.cause or "")


@pytest.mark.parametrize("sqlstate", OURS)
def test_what_does_not_pass_by_itself_is_a_fault_of_ours(engine: Engine, sqlstate: str) -> None:
    with pytest.raises(DBAPIError):
        raise_in_database(engine, sqlstate)


def test_what_exceeds_a_limit_of_the_database_is_malformed(engine: Engine) -> None:
    with pytest.raises(InvalidRequest):
        raise_in_database(engine, "54000")


def test_a_write_to_a_replica_is_unavailable(engine: Engine) -> None:
    with pytest.raises(Unavailable), transaction(engine, TENANT) as tx:
        tx.connection.exec_driver_sql("SET LOCAL transaction_read_only = on")
        push(tx)


def end_session(server: Server, connection: Connection) -> None:
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    server.execute(f"SELECT pg_terminate_backend({pid}, 5000)", SUPERUSER)


def test_every_statement_after_a_lost_connection_is_unavailable(engine: Engine, server: Server) -> None:
    with pytest.raises(Unavailable), transaction(engine, TENANT) as tx:
        end_session(server, tx.connection)
        with pytest.raises(DBAPIError):
            tx.connection.exec_driver_sql("SELECT 1")
        push(tx)


def test_a_connection_that_was_lost_while_nobody_used_it_is_made_anew(engine: Engine, server: Server) -> None:
    with transaction(engine, TENANT) as tx:
        pid = tx.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    server.execute(f"SELECT pg_terminate_backend({pid}, 5000)", SUPERUSER)
    with transaction(engine, TENANT) as tx:
        push(tx)
