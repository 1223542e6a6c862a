"""The schema and how it gets there."""

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from identity.store.isolation import check_isolation
from identity.store.transaction import make_engine, untenanted
from server.schema import MIGRATIONS, head_revision, migrate, migration_sql, schema_found, schema_seen

BOUNDARY = re.compile(r"^(?=BEGIN;)|(?<=^COMMIT;)", re.MULTILINE)


def test_the_head_is_the_one_that_alembic_sees() -> None:
    assert head_revision() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_a_fresh_database_is_migrated_to_the_head(empty_owner_url: str) -> None:
    assert schema_found(empty_owner_url).revision is None
    migrate(empty_owner_url)
    with create_engine(empty_owner_url).connect() as connection:
        assert schema_seen(connection).is_at_head


def test_several_migrators_at_once_migrate_once_and_none_fails(empty_owner_url: str) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        assert list(pool.map(migrate, [empty_owner_url] * 3)) == [None] * 3
    assert schema_found(empty_owner_url).revision == head_revision()


def test_the_printed_sql_makes_the_same_schema(empty_owner_url: str) -> None:
    connection = psycopg.connect(empty_owner_url.replace("+psycopg", ""), autocommit=True)
    with connection:
        for part in BOUNDARY.split(migration_sql(empty_owner_url)):  # one by one: some want to be in no transaction
            connection.execute(part.encode())
    assert schema_found(empty_owner_url).revision == head_revision()


@pytest.mark.promise(4)
def test_the_wall_stands_after_migration(database_url: str) -> None:
    check_isolation(make_engine(database_url))


def test_the_application_can_see_that_the_schema_is_at_the_head(database_url: str) -> None:
    with untenanted(make_engine(database_url)) as connection:
        assert schema_seen(connection).is_at_head


def test_the_owner_of_the_tables_is_no_superuser(owner_url: str) -> None:
    with create_engine(owner_url).connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = session_user"
        ).one()
    assert row == (False, False)
