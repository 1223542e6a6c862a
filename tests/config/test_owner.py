"""The rights that the owner of the tables needs, and what is said when one is missing."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from dev.postgres import SUPERUSER
from server.failures import sentence_of
from tests.config.test_failures import run, sentence
from tests.conftest import Server


@pytest.fixture
def ordinary_owner(server: Server) -> Iterator[str]:
    """The URL of an empty database whose owner may create no roles."""
    name = f"owner_{uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {name} LOGIN", SUPERUSER)
    server.execute(f"CREATE DATABASE {name} OWNER {name}", SUPERUSER)
    yield f"postgresql://{name}@/{name}?host={server.socket_folder}"
    server.drop(name).result()
    server.execute(f"DROP ROLE {name}", SUPERUSER)


def test_an_owner_who_may_not_create_roles_is_told_what_is_missing(ordinary_owner: str) -> None:
    with psycopg.connect(ordinary_owner) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute("CREATE ROLE one_more")
    assert "ALTER ROLE ... CREATEROLE" in (sentence_of(refused.value) or "")
    said = sentence(run("migrate", database_url=ordinary_owner))
    assert "create the roles identity_app and identity_relay first, and grant both to it" in said


def test_an_owner_to_whom_both_roles_were_granted_needs_no_right_to_create_them(
    server: Server, ordinary_owner: str
) -> None:
    name = ordinary_owner.partition("//")[2].partition("@")[0]
    server.execute(f"GRANT identity_app, identity_relay TO {name}", SUPERUSER)
    done = run("migrate", database_url=ordinary_owner)
    assert done.exit_code == 0, done.output


def test_a_login_that_does_not_own_the_tables_is_told_which_setting_names_one_that_does(
    server: Server, database: str
) -> None:
    url = f"postgresql://identity_web@/{database}?host={server.socket_folder}"
    said = sentence(run("migrate", "down", "--to", "tell_upstream", "--lose-data", database_url=url))
    assert "IDENTITY_OWNER_DATABASE_URL" in said
