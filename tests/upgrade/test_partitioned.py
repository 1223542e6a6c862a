"""Over tables that are partitioned by hash of the tenant the program does what it does over whole ones, and what it
says of one tenant is asked of one partition.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from config.settings import load_settings
from identity.model.errors import Unavailable
from identity.model.lifecycle import State, Transition
from identity.store.isolation import check_isolation
from identity.store.tables import metadata
from identity.store.transaction import make_engine
from tests.actions.sources import OPEN, onlooker, state, work
from tests.conftest import Server
from tests.fixtures import Tenant, make_runtime, plant, serve
from tests.upgrade.conftest import SEAL, served
from tests.upgrade.flows import Day, live_through
from tests.upgrade.partitioning import REGISTRY, partition

PARTITIONED = sorted(set(metadata.tables) - {REGISTRY})
SCANNED = re.compile(rf"Scan\b.*? on (?:public\.)?((?:{'|'.join(PARTITIONED)})_\d+)\b")
"""Not the targets of an UPDATE: PostgreSQL 15 names all of them, and goes to those that it has scanned."""

NEVER = "(never executed)"


BREAKAGES = (
    "ALTER TABLE principals_0 NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE principals_0 DISABLE ROW LEVEL SECURITY",
    "CREATE POLICY open ON principals_0 USING (true)",
)


@pytest.fixture(scope="module")
def parts(server: Server) -> Iterator[str]:
    """A database whose tables are in parts, to be copied."""
    name = server.copy(prefix="parts")
    partition(server.url(name))
    yield name
    server.drop(name)


@pytest.fixture
def database(server: Server, parts: str) -> Iterator[str]:
    """A copy of it, in place of the one with whole tables."""
    name = server.copy(parts)
    yield name
    server.drop(name)


def test_every_table_but_the_registry_is_in_parts_and_the_login_is_isolated(owner_url: str, database_url: str) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT partrelid::regclass::text FROM pg_partitioned_table ORDER BY 1").fetchall()
    assert [name for (name,) in found] == PARTITIONED
    check_isolation(make_engine(database_url))


def test_a_partition_shows_nothing_to_whoever_names_it(database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute("SET app.tenant = '00000000-0000-0000-0000-000000000000'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM principals_0")


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_start_up_refuses_a_partition_that_shows_more_than_its_table(
    owner_url: str, database_url: str, breakage: str
) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(breakage.encode())
    with pytest.raises(Unavailable, match="principals_0"):
        check_isolation(make_engine(database_url))


def test_the_program_lives_through_its_days(database_url: str) -> None:
    with served(database_url) as http:
        days = [Day([http]) for _ in range(2)]
        for day in days:
            live_through(day)


@pytest.fixture
def acme(database_url: str) -> Iterator[Tenant]:
    """A tenant of the tests' world beside its rival, over tables in parts."""
    runtime = make_runtime(database_url, SEAL)
    seeded = plant(runtime.engine, "acme", SEAL), plant(runtime.engine, "rival", SEAL)
    with serve(runtime, load_settings(database_url=database_url)) as web:
        acme = web.two_tenants(runtime, seeded).acme
        with onlooker(acme) as looking:
            OPEN[runtime.engine, acme.seeded.id] = looking
            yield acme
            OPEN.clear()
    runtime.engine.dispose()


def test_workers_do_what_follows(acme: Tenant) -> None:
    first, second = acme.chain("invoice-bot", "ocr-bot")
    assert acme.is_live(second, acme.seeded.erp)
    acme.befall(acme.seeded.dana, Transition.DEPROVISION)
    assert work(acme) > 0
    assert {state(acme, agent.id) for agent in acme.seeded.agents.values()} == {State.SUSPENDED}
    assert not acme.is_live(first)
    assert not acme.is_live(second)


# --- one partition each ----------------------------------------------------------------------------------------

PARAMETER = re.compile(r"(?<!%)%\((\w+)\)s")
TYPES = {UUID: "uuid", datetime: "timestamptz", timedelta: "interval", int: "bigint", bool: "boolean", bytes: "bytea"}
"""How the driver sends what it binds; the rest is for PostgreSQL to find out."""

EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def test_what_is_said_of_one_tenant_is_asked_of_one_partition(acme: Tenant, database_url: str) -> None:
    """Every statement of a day, by the generic plan that requests use."""
    with explaining() as plans:
        first, _ = acme.chain("invoice-bot", "ocr-bot")
        acme.is_live(first)
        acme.befall(acme.seeded.sam, Transition.DEPROVISION)
        acme.befall(acme.seeded.dana, Transition.DELETE)
        work(acme)
        with served(database_url) as http:
            live_through(Day([http]))
    asked = {statement: partitions_in(plan) for statement, plan in plans.items()}
    assert {statement: numbers for statement, numbers in asked.items() if len(numbers) > 1} == {}
    assert sum(len(numbers) == 1 for numbers in asked.values()) > 30


@contextmanager
def explaining() -> Iterator[dict[str, str]]:
    """Collect the generic plan of each statement, as it was executed: one that is made before the tenant is known."""
    plans: dict[str, str] = {}

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        is_in_transaction = cursor.connection.info.transaction_status == TransactionStatus.INTRANS
        is_one = statement.lstrip().startswith(EXPLAINED) and not statement.endswith("COMMIT")
        if is_one and is_in_transaction and statement not in plans:
            plans[statement] = ""
            plans[statement] = generic_plan(cursor.connection.cursor(), statement, dict(parameters))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def generic_plan(cursor: psycopg.Cursor, statement: str, parameters: dict[str, Any]) -> str:
    """Execute a statement by its generic plan, take back what it did, and return the plan."""
    names = list(dict.fromkeys(PARAMETER.findall(statement)))
    numbered = PARAMETER.sub(lambda found: f"${names.index(found.group(1)) + 1}", statement).replace("%%", "%")
    values = ", ".join(sql.Literal(parameters[name]).as_string(cursor) for name in names)
    cursor.execute("SAVEPOINT explained")
    types = ", ".join(TYPES.get(type(parameters[name]), "unknown") for name in names)
    cursor.execute(f"PREPARE explained{f'({types})' if names else ''} AS {numbered}")
    options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF"
    cursor.execute(f"EXPLAIN ({options}) EXECUTE explained{f'({values})' if names else ''}")
    lines = [line for (line,) in cursor.fetchall()]
    cursor.execute("DEALLOCATE explained")
    cursor.execute("ROLLBACK TO SAVEPOINT explained")
    return "\n".join(lines)


def partitions_in(plan: str) -> set[str]:
    """Return the numbers of the partitions that a plan went to."""
    lines = [line for line in plan.splitlines() if NEVER not in line]
    return {found.group(1).rsplit("_", 1)[1] for line in lines if (found := SCANNED.search(line))}
