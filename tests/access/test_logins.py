"""The login that the application is given: a member of the two roles and of nothing else, or nothing starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from config.app import create_app
from config.database import migrate
from config.postgres import SUPERUSER
from config.settings import load_settings
from identity.model.errors import Unavailable
from tests.conftest import Server

ROOT = Path(__file__).parent.parent.parent
KEY = "A" * 43 + "="
SECONDS = 30

pytestmark = pytest.mark.promise(4)

# {login} is the login, {other} another role, {database} the database; each row is one fault and what names it.
FAULTS = {
    "a superuser": ("ALTER ROLE {login} SUPERUSER", "the login {login} is a superuser"),
    "one that bypasses row-level security": (
        "ALTER ROLE {login} BYPASSRLS", "the login {login} bypasses row-level security",
    ),
    "one that makes roles": ("ALTER ROLE {login} CREATEROLE", "the login {login} may create roles"),
    "one that makes databases": ("ALTER ROLE {login} CREATEDB", "the login {login} may create databases"),
    "one that replicates": ("ALTER ROLE {login} REPLICATION", "the login {login} may replicate"),
    "a member of the owner": ("GRANT identity TO {login}", "the login {login} may become identity, which owns"),
    "a member of a superuser": ("GRANT postgres TO {login}", "may become postgres, which is a superuser"),
    "one that inherits what bypasses": (
        "ALTER ROLE {other} BYPASSRLS; GRANT {other} TO {login}",
        "may become {other}, which bypasses row-level security",
    ),
    "one that may only SET ROLE to what bypasses": (
        "ALTER ROLE {other} BYPASSRLS; ALTER ROLE {login} NOINHERIT; GRANT {other} TO {login}",
        "may become {other}, which bypasses row-level security",
    ),
    "one that gets there over two roles": (
        "GRANT pg_write_all_data TO {other}; GRANT {other} TO {login}",
        "the login {login} is a member of pg_write_all_data",
    ),
    "one that reads everything": ("GRANT pg_read_all_data TO {login}", "is a member of pg_read_all_data"),
    "one that reads files": ("GRANT pg_read_server_files TO {login}", "is a member of pg_read_server_files"),
    "one that runs programs": (
        "GRANT pg_execute_server_program TO {login}", "is a member of pg_execute_server_program",
    ),
    "one that sees what others ask": ("GRANT pg_monitor TO {login}", "is a member of pg_monitor"),
    "a member of a harmless role": ("GRANT {other} TO {login}", "the login {login} is a member of {other}"),
    "one that may grant its role": (
        "GRANT identity_app TO {login} WITH ADMIN OPTION", "the login {login} may grant the role identity_app",
    ),
    "the owner of a table": ("ALTER TABLE tokens OWNER TO {login}", "the login {login} owns table tokens"),
    "the owner of the schema": ("ALTER SCHEMA public OWNER TO {login}", "the login {login} owns schema public"),
    "the owner of the queue": ("ALTER SCHEMA pgmq OWNER TO {login}", "the login {login} owns schema pgmq"),
    "the owner of the database": (
        "ALTER DATABASE {database} OWNER TO {login}", "the login {login} owns database {database}",
    ),
    "the owner of a function": (
        "ALTER FUNCTION pgmq.queue_wake() OWNER TO {login}", "the login {login} owns function pgmq.queue_wake()",
    ),
    "one that a role it may become owns for": (
        "ALTER TABLE tokens OWNER TO identity_relay", "may become identity_relay, which owns table tokens",
    ),
    "one that may make things in the schema": (
        "GRANT CREATE ON SCHEMA public TO {login}", "the login {login} may create objects in the schema public",
    ),
    "one that may make schemas": (
        "GRANT CREATE ON DATABASE {database} TO {login}", "the login {login} may create objects in the database",
    ),
}  # fmt: skip


class Logins:
    """A login of a test's own, a role beside it, and a superuser who can give it faults."""

    def __init__(self, server: Server, database: str) -> None:
        self.server, self.database = server, database
        self.names = {"login": f"login_{uuid4().hex}", "other": f"other_{uuid4().hex}", "database": database}

    def execute(self, statements: str) -> None:
        names = {name: sql.Identifier(value) for name, value in self.names.items()}
        with psycopg.connect(
            host=self.server.socket_folder, user=SUPERUSER, dbname=self.database, autocommit=True
        ) as connection:
            for statement in statements.split("; "):
                connection.execute(sql.SQL(statement).format(**names))  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"postgresql://{self.names['login']}@/{self.database}?host={self.server.socket_folder}"


@pytest.fixture
def logins(server: Server, database: str) -> Iterator[Logins]:
    made = Logins(server, database)
    made.execute("CREATE ROLE {other}; CREATE ROLE {login} LOGIN IN ROLE identity_app, identity_relay")
    yield made
    made.execute("REASSIGN OWNED BY {login} TO identity; DROP OWNED BY {login}; DROP ROLE {login}; DROP ROLE {other}")


def test_a_login_that_is_a_member_of_the_two_roles_and_of_nothing_else_starts(logins: Logins) -> None:
    create_app(load_settings(database_url=logins.url, key_encryption_key=KEY))


@pytest.mark.parametrize(("fault", "named"), FAULTS.values(), ids=FAULTS)
def test_a_login_with_one_fault_is_refused_for_that_fault(logins: Logins, fault: str, named: str) -> None:
    logins.execute(fault)
    with pytest.raises(Unavailable) as refusal:
        create_app(load_settings(database_url=logins.url, key_encryption_key=KEY))
    assert named.format(**logins.names) in refusal.value.detail


@pytest.mark.parametrize("command", ["serve", "worker", "relay", "doctor"])
def test_no_program_runs_with_the_owner_s_login(owner_url: str, command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    environment |= {"IDENTITY_DATABASE_URL": owner_url, "IDENTITY_KEY_ENCRYPTION_KEY": KEY, "IDENTITY_PORT": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "config.cli", command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "the login identity may create roles" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_public_may_make_nothing_in_a_migrated_database(empty_owner_url: str) -> None:
    migrate(empty_owner_url)
    with psycopg.connect(empty_owner_url.replace("+psycopg", "")) as owner:
        row = owner.execute(
            "SELECT has_database_privilege('identity_relay', current_database(), 'TEMPORARY'),"
            " has_schema_privilege('identity_relay', 'public', 'CREATE')"
        ).fetchone()
    assert row == (False, False)
