"""Each program says when it starts what it is, and its connections bear its name."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from config import started
from config.database import broker_address, database_address
from config.settings import load_settings
from config.started import log_start, tenants_counted
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.tenants import create_tenant
from identity.model.ids import TenantId
from identity.store.programs import programs_connected
from identity.store.transaction import make_engine, transaction, untenanted
from tests.config.test_management import wait_until
from tests.config.test_serve import SECONDS, running
from tests.conftest import Server
from tests.fixtures import ADMINISTRATOR, BEGIN


@pytest.fixture
def two_tenants(database_url: str) -> str:
    engine = make_engine(database_url)
    for slug in ("acme", "rival"):
        with transaction(engine, TenantId(uuid4())) as tx:
            create_tenant(
                tx,
                slug=slug,
                display_name=slug,
                encryption=EnvelopeEncryption(bytes(32)),
                caller=ADMINISTRATOR,
                now=BEGIN,
            )
    engine.dispose()
    return database_url


def line_of(said: Path) -> dict[str, Any] | None:
    lines = [json.loads(line) for line in said.read_text().splitlines() if '"started"' in line]
    return lines[0] if lines else None


@pytest.mark.parametrize(
    ("program", "role"), [("serve", "identity_app"), ("worker", "identity_app"), ("relay", "identity_relay")]
)
def test_a_program_says_what_it_is_and_its_connections_bear_its_name(
    server: Server, database: str, two_tenants: str, tmp_path: Path, program: str, role: str
) -> None:
    said, engine = tmp_path / "said", make_engine(two_tenants)
    url = f"postgresql://identity_web:hidden@/{database}?host={server.socket_folder}"

    def is_connected() -> bool:
        with untenanted(engine) as connection:
            return program in programs_connected(connection)

    with running(program, url, said) as (port, _):
        wait_until(lambda: line_of(said), SECONDS)
        wait_until(is_connected, SECONDS)
    engine.dispose()
    line = line_of(said) or {}
    where = f"{server.socket_folder}:5432/{database}"
    expected = {
        "event": "started", "program": program, "version": version("identity-foundation"), "database": where,
        "role": role, "tenants": 2, "broker": f"pgmq at {where}", "level": "info",
    }  # fmt: skip
    assert {name: line.get(name) for name in expected} == expected
    assert line.get("address") == (f"127.0.0.1:{port}" if program == "serve" else None)
    assert "hidden" not in said.read_text()
    assert "localhost:5432" not in said.read_text()


def test_a_database_that_does_not_answer_has_no_known_tenants() -> None:
    with capture_logs() as logs:
        log_start(load_settings(database_url="postgresql://x:hidden@/x?host=/nonexistent"), "serve")
    assert (logs[0]["tenants"], "hidden" in str(logs)) == (None, False)


def test_tenants_are_counted_up_to_a_limit(two_tenants: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(database_url=two_tenants)
    assert tenants_counted(settings) == 2
    monkeypatch.setattr(started, "COUNTED_MAX", 1)
    assert tenants_counted(settings) == "more than 1"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:hidden@db.example/identity", "db.example:5432/identity"),
        ("postgresql://u:hidden@db.example:6432/identity", "db.example:6432/identity"),
        ("postgresql://u@/identity?host=/run/sockets&port=5433", "/run/sockets:5433/identity"),
        ("postgresql://u@/identity?host=a&host=b", "a,b/identity"),
        ("postgresql:///identity", "localhost:5432/identity"),
    ],
)
def test_the_address_of_a_database_has_neither_login_nor_password(url: str, address: str) -> None:
    assert database_address(url) == address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (None, "pgmq at db.example:5432/x"),
        ("amqp://u:hidden@rabbit.example:5671/vhost", "amqp at rabbit.example:5671"),
        ("amqp://rabbit.example", "amqp at rabbit.example"),
    ],
)
def test_the_address_of_a_broker_has_neither_login_nor_password(url: str | None, address: str) -> None:
    settings = load_settings(database_url="postgresql://u:hidden@db.example/x", broker_url=url)
    assert broker_address(settings) == address
