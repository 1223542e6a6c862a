"""What /readyz says is at fault; the database is asked, and nothing is written to it."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from dev.postgres import LOGIN
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.tenants import create_tenant
from identity.edge.runtime import utc_now
from identity.model.errors import Unavailable
from identity.model.ids import PLATFORM, TenantId
from identity.store import health
from identity.store.health import DISK_FULL, disk_has_room
from identity.store.transaction import make_engine, transaction, untenanted
from server.key_check import LOOKED_AT, KeyCheck, look_at_keys
from server.readiness import Readiness, ask_until_isolated
from tests.conftest import Server
from tests.fixtures import ADMINISTRATOR

FULL = f"DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{DISK_FULL}'; END $$"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url, pool_size=2)
    yield made
    made.dispose()


def refuse_a_write(engine: Engine) -> None:
    """Let a statement be refused as PostgreSQL does when its disk is full."""
    with pytest.raises(Unavailable), transaction(engine, PLATFORM) as tx:
        tx.connection.exec_driver_sql(FULL)


def test_a_database_that_answers_is_ready(engine: Engine) -> None:
    readiness = Readiness(engine, utc_now)
    assert readiness.look().fault is None
    assert readiness.is_isolated


def test_a_database_that_does_not_answer_is_unreachable() -> None:
    nowhere = make_engine("postgresql://nobody@/nowhere?host=/nonexistent")
    assert Readiness(nowhere, utc_now).look().fault == "database_unreachable"


def test_a_login_that_is_not_isolated_is_never_ready(owner_url: str) -> None:
    engine = make_engine(owner_url, pool_size=1)
    readiness = Readiness(engine, utc_now)
    assert readiness.look().fault == "tenants_not_isolated"
    assert not readiness.is_isolated
    engine.dispose()


def make_tenant(engine: Engine, slug: str, key: bytes) -> None:
    with transaction(engine, TenantId(uuid4())) as tx:
        create_tenant(
            tx, slug=slug, display_name=slug, encryption=EnvelopeEncryption(key), caller=ADMINISTRATOR, now=utc_now()
        )


def test_a_key_encryption_key_that_opens_no_signing_key_is_not_ready(engine: Engine) -> None:
    readiness = Readiness(engine, utc_now, EnvelopeEncryption(bytes(range(32))))
    assert readiness.look().fault is None  # without a tenant no key is wrong
    make_tenant(engine, "acme", bytes(32))
    make_tenant(engine, "rival", bytes(32))
    found = readiness.look()
    assert (found.fault, (found.detail or "").startswith("IDENTITY_KEY_ENCRYPTION_KEY is not the key")) == (
        "wrong_key_encryption_key", True,
    )  # fmt: skip
    assert Readiness(engine, utc_now, EnvelopeEncryption(bytes(32))).look().fault is None


def test_a_key_that_opened_one_is_right_whatever_a_tenant_s_own_key_was_sealed_with(engine: Engine) -> None:
    readiness = Readiness(engine, utc_now, EnvelopeEncryption(bytes(32)))
    make_tenant(engine, "acme", bytes(32))
    make_tenant(engine, "rival", bytes(range(32)))
    assert readiness.look().fault is None
    assert look_at_keys(engine, EnvelopeEncryption(bytes(32)), utc_now()) == KeyCheck(opened=1, refused=1)


def test_a_key_is_looked_for_in_few_tenants_however_many_there_are(engine: Engine) -> None:
    for number in range(7):
        make_tenant(engine, f"tenant-{number}", bytes(32))
    assert look_at_keys(engine, EnvelopeEncryption(bytes(32)), utc_now()) == KeyCheck(opened=2 * LOOKED_AT, refused=0)


def test_another_schema_is_named(engine: Engine, owner_url: str) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute("UPDATE alembic_version SET version_num = 'of_later', serves_from = 'of_later'")
    found = Readiness(engine, utc_now).look()
    assert (found.fault, "of_later" in (found.detail or "")) == ("schema", True)


@pytest.mark.parametrize("seconds", [3600, -3600, 2])
def test_a_clock_that_is_apart_from_the_database_s_is_told_and_takes_nobody_out_of_service(
    engine: Engine, seconds: int
) -> None:
    found = Readiness(engine, lambda: utc_now() + timedelta(seconds=seconds)).look()
    told = found.members()
    assert found.fault is None
    assert abs(told["clock_ahead_s"] - seconds) < 1
    assert "warning" in told


def test_a_clock_that_is_the_database_s_is_told_without_a_warning(engine: Engine) -> None:
    assert "warning" not in Readiness(engine, utc_now).look().members()


def test_a_database_that_was_never_migrated_has_another_schema(empty_owner_url: str) -> None:
    engine = make_engine(empty_owner_url.replace("identity@", f"{LOGIN}@"), pool_size=1)
    assert Readiness(engine, utc_now).look().fault == "schema"
    engine.dispose()


def test_a_database_that_takes_no_writes_is_read_only(engine: Engine, server: Server, database: str) -> None:
    readiness = Readiness(engine, utc_now)
    server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    engine.dispose()
    assert readiness.look().fault == "read_only"
    server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = off")
    engine.dispose()
    assert readiness.look().fault is None


def test_a_write_that_was_refused_for_a_full_disk_is_remembered_until_there_is_room(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness = Readiness(engine, utc_now)
    assert readiness.look().fault is None
    room = health.SPILL
    monkeypatch.setattr(health, "SPILL", FULL)
    assert readiness.look().fault is None  # nobody looks for room while nothing was refused
    refuse_a_write(engine)
    assert [readiness.look().fault for _ in range(3)] == ["disk_full"] * 3
    monkeypatch.setattr(health, "SPILL", room)
    assert readiness.look().fault is None


def test_the_log_is_told_of_what_is_not_ready_once_and_when_that_is_over(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    readiness, room = Readiness(engine, utc_now), health.SPILL
    with capture_logs() as logs:
        readiness.look()
        monkeypatch.setattr(health, "SPILL", FULL)
        refuse_a_write(engine)
        readiness.look()
        readiness.look()
        monkeypatch.setattr(health, "SPILL", room)
        readiness.look()
        readiness.look()
    assert [(line["event"], line["reason"]) for line in logs] == [("not_ready", "disk_full"), ("ready_again", None)]


def test_other_errors_say_nothing_of_the_disk(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    readiness = Readiness(engine, utc_now)
    monkeypatch.setattr(health, "SPILL", FULL)
    with suppress(Exception), transaction(engine, PLATFORM) as tx:
        tx.connection.exec_driver_sql("SELECT 1/0")
    assert readiness.look().fault is None


def test_looking_for_room_puts_a_file_on_the_disk_and_leaves_nothing(engine: Engine, server: Server) -> None:
    with untenanted(engine) as connection:
        assert disk_has_room(connection)
        assert connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar_one() is None
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    with untenanted(engine) as connection:
        written = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
        assert connection.exec_driver_sql(written).scalar_one() > 100_000


def test_the_database_is_asked_until_it_has_said_that_it_isolates_tenants(engine: Engine) -> None:
    readiness, asked, paused = Readiness(engine, utc_now), [], []

    def check() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise Unavailable("the tenants are not isolated: by somebody")
        readiness.is_isolated = True

    readiness.check_isolation = check  # type: ignore[method-assign]
    ask_until_isolated(readiness, pause=paused.append)
    for thread in [one for one in threading.enumerate() if one.name == "isolation"]:
        thread.join(30)
    assert (len(asked), len(paused)) == (3, 2)
