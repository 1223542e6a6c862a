"""``identity doctor`` finds each thing that makes a consequence wait, and says what to do."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner

from cli import doctor
from cli.main import main
from identity.model.ids import TenantId
from identity.model.outbox import URGENT
from tests.workers.plant import World

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture
def world(owner_url: str, database_url: str) -> World:
    made = World(owner_url, database_url, TenantId(uuid4()))
    made.make_tenant("acme")
    return made


def found(url: str, **more: str) -> dict[str, str]:
    """What is not well, and the advice."""
    environment = {"database_url": url, "key_encryption_key": KEY, "admin_token": "x" * 32, **more}
    named = {f"IDENTITY_{name.upper()}": value for name, value in environment.items()}
    result = CliRunner().invoke(main, ["doctor", "--json"], env=named)
    findings = {each["name"]: each["advice"] for each in json.loads(result.output)["findings"] if not each["is_well"]}
    assert result.exit_code == (1 if findings else 0)
    return findings


def outbox(world: World, row: UUID, change: str) -> None:
    with world.sql() as connection:
        connection.execute(f"UPDATE outbox SET {change} WHERE id = %s".encode(), (row,))


ROWS: dict[str, tuple[str, str, str]] = {
    "rows that the broker has and no worker takes": (
        "sent_at = now() - interval '11 s'",
        "workers",
        "the broker has had rows for 10 s that no worker has begun: is a worker up?",
    ),
    "a backlog": (
        "created_at = now() - interval '61 s'",
        "outbox",
        "1 rows wait, the oldest for 61 s: is a relay up, and are workers enough?",
    ),
    "dead letters": (
        "dead_at = now()",
        "dead letters",
        "1 rows were given up: GET /admin/v1/tenants/{tenant}/outbox?state=dead",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_waits_in_the_outbox_is_found(world: World, case: str) -> None:
    change, name, advice = ROWS[case]
    [row] = world.news(world.principals(1), priority=URGENT)
    assert found(world.url) == {}
    outbox(world, row, change)
    assert found(world.url) == {name: advice}


@pytest.mark.parametrize(("seconds", "how"), [(3600, "ahead of"), (-3600, "behind"), (2, "ahead of"), (0.3, "")])
def test_a_clock_that_is_apart_from_the_database_s_is_found(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, how: str
) -> None:
    class Apart(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=seconds)

    monkeypatch.setattr(doctor, "datetime", Apart)
    advice = found(database_url).get("clock", "")
    assert (
        advice.startswith(f"this machine's clock is {abs(seconds):.1f} s {how} the database's") if how else not advice
    )


def test_a_broker_without_its_library_is_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.extras.find_spec", lambda _name: None)
    advice = found(database_url, broker_url="redis://localhost")["settings"]
    assert "pip install 'identity-foundation[redis]'" in advice


def test_a_database_that_does_not_answer_is_found() -> None:
    assert found("postgresql://nobody@127.0.0.1:1/none")["database"].startswith("does not answer")
