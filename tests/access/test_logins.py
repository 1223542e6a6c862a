"""The login that the application is given: a member of the two roles and of nothing else, or nothing starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from cli.main import main
from config.app import create_app
from config.isolation import refuse_unisolated
from config.settings import load_settings
from dev.postgres import SUPERUSER
from identity.model.errors import Unavailable
from identity.store.session import Role, begin_sql
from identity.store.transaction import check_role, make_engine
from server.schema import migrate
from tests.config.test_management import free_port
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
    def owner_url(self) -> str:
        return self.server.url(self.database)

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
        [sys.executable, "-m", "cli", command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "the login identity may create roles" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


# --- the role that a program needs --------------------------------------------------------------------------------


def ended(logins: Logins, command: str) -> tuple[int, str]:
    """Run a program that should end by itself; return its status and all that it says."""
    environment = {
        "IDENTITY_DATABASE_URL": logins.url, "IDENTITY_OWNER_DATABASE_URL": logins.owner_url,
        "IDENTITY_PORT": str(free_port()),
        "IDENTITY_KEY_ENCRYPTION_KEY": KEY, "IDENTITY_ADMIN_TOKEN": "x" * 32,
    }  # fmt: skip
    with patch("cli.run.signal.signal"), patch("cli.run.name_sessions"):  # this process keeps its own
        answer = CliRunner().invoke(main, [command], env=environment)
    return answer.exit_code, answer.output


@pytest.mark.parametrize(
    ("lost", "command"),
    [
        ("identity_relay", "relay"),
        ("identity_relay", "doctor"),
        ("identity_app", "serve"),
        ("identity_app", "worker"),
        ("identity_relay", "worker"),
        ("identity_app", "doctor"),
    ],
)
def test_a_program_whose_login_may_not_become_its_role_says_so_and_ends(
    logins: Logins, lost: str, command: str
) -> None:
    """A relay that was the application's role instead saw no row of the outbox, for ever, and nobody heard of it."""
    logins.execute(f"REVOKE {lost} FROM {{login}}; ALTER ROLE {{login}} SET role = identity_app")
    status, said = ended(logins, command)
    assert status == 1
    assert f"the database's login may not become {lost}: GRANT {lost} TO the login" in said


def test_a_login_that_begins_as_another_role_serves_and_relays_all_the_same(logins: Logins) -> None:
    """A transaction takes its role itself, whatever a session begins with."""
    logins.execute("ALTER ROLE {login} SET role = identity_app")
    said = ended(logins, "doctor")[1]
    assert all(f"ok  {name}" in said for name in ("role", "schema", "isolation", "listen", "queue"))
    logins.execute("ALTER ROLE {login} SET role = identity_relay")
    create_app(load_settings(database_url=logins.url, key_encryption_key=KEY))


def test_a_relay_needs_a_login_of_its_own_role_alone(logins: Logins) -> None:
    logins.execute("REVOKE identity_app FROM {login}")
    refuse_unisolated(load_settings(database_url=logins.url), role="identity_relay", listens=True)


@pytest.mark.parametrize("role", ["identity_app", "identity_relay"])
def test_a_role_that_is_not_taken_although_nothing_failed_is_refused(
    logins: Logins, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind what answers SET LOCAL by itself and does not pass it on."""
    forgotten = f"{begin_sql(role)}; SET LOCAL role = none"
    monkeypatch.setattr("identity.store.transaction.begin_sql", lambda *_, **__: forgotten)
    with pytest.raises(Unavailable, match=f"set the role {role} has the role login_"):
        check_role(make_engine(logins.url, role=role))


def test_before_the_first_migration_the_role_is_missing_and_a_program_waits(logins: Logins) -> None:
    """The run's cluster has the roles, so that one is asked for that is not there."""
    with pytest.raises(Unavailable, match="run `identity migrate`") as refusal:
        check_role(make_engine(logins.url, role="identity_nobody"))  # type: ignore[arg-type]
    assert refusal.value.reason == "role_missing"
    asked = []
    with patch("config.isolation.check_role", side_effect=refusal.value), patch("config.isolation.PAUSE_S", 0):
        refuse_unisolated(load_settings(database_url=logins.url), lambda: len(asked) == 3 or asked.append(1))  # type: ignore[func-returns-value]
    assert len(asked) == 3


def test_the_public_may_make_nothing_in_a_migrated_database(empty_owner_url: str) -> None:
    migrate(empty_owner_url)
    with psycopg.connect(empty_owner_url.replace("+psycopg", "")) as owner:
        row = owner.execute(
            "SELECT has_database_privilege('identity_relay', current_database(), 'TEMPORARY'),"
            " has_schema_privilege('identity_relay', 'public', 'CREATE')"
        ).fetchone()
    assert row == (False, False)
