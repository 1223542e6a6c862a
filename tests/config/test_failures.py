"""What goes wrong is one sentence that says what to do, for every command; only what nobody foresaw has a reference."""

import errno
import io
import json
import logging
import os
import pwd
import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psycopg
import pytest
import structlog
from click.testing import CliRunner, Result
from kombu.exceptions import OperationalError as BrokerError
from structlog.testing import capture_logs

from cli.failures import explained
from cli.main import main
from config.isolation import isolation_is_proved
from config.settings import load_settings
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.tenants import create_tenant
from identity.model.ids import TenantId
from identity.store.transaction import make_engine, transaction
from server.private_files import open_private
from tests.config.test_management import free_port
from tests.conftest import Server
from tests.fixtures import ADMINISTRATOR, BEGIN

ROOT = Path(__file__).parent.parent.parent
KEY = b64encode(bytes(32)).decode()
OTHER_KEY = b64encode(bytes(range(32))).decode()
PROGRAMS = ("serve", "worker", "relay")
COMMANDS = (*PROGRAMS, "migrate", "restored")
SECONDS = 60


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program that runs in this process leaves its log, its signals and the names of its connections alone."""
    monkeypatch.setattr("cli.run.configure_logging", lambda *_: None)
    monkeypatch.setattr("cli.run.name_sessions", lambda _: None)
    for program in ("web", "celery"):
        monkeypatch.setattr(f"config.{program}.log_start", lambda *_, **__: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(*arguments: str, **environment: str) -> Result:
    given = {"key_encryption_key": KEY, "port": str(free_port()), "management_port": "0"} | environment
    return CliRunner().invoke(main, arguments, env={f"IDENTITY_{name.upper()}": given[name] for name in given})


def sentence(result: Result) -> str:
    """The one line that a command that failed has said."""
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert result.output.count("\n") == 1, result.output
    assert result.output.startswith("Error: ")
    return result.output.removeprefix("Error: ").strip()


FAULTS = {
    "no database is set": ("", "IDENTITY_DATABASE_URL is not set"),
    "a login that is not there": (
        "postgresql://stranger@/{database}?host={sockets}",
        "the database refuses the login",
    ),
    "a database that is not there": (
        "postgresql://identity_web@/no_such?host={sockets}",
        "there is no such database",
    ),
    "no URL of a database": ("mysql://x/y", "must be the URL of a PostgreSQL database"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_database_that_cannot_be_had_is_one_sentence(server: Server, database: str, command: str, fault: str) -> None:
    url, said = FAULTS[fault]
    url = url.format(database=database, sockets=server.socket_folder)
    owner_url = "" if url.startswith("mysql") else url
    assert said in sentence(run(command, database_url=url, owner_database_url=owner_url))


@pytest.mark.parametrize("command", ["migrate", "restored"])
def test_a_database_that_is_away_ends_a_command_that_does_not_wait(command: str) -> None:
    said = sentence(run(command, database_url="postgresql://nobody@127.0.0.1:1/x"))
    assert "does not answer" in said
    assert "Connection refused" in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "said"), [(b"port = [", "is not TOML"), (b"\xff", "is not TOML"), (None, "not a file")]
)
def test_a_broken_file_of_settings_is_named(tmp_path: Path, command: str, content: bytes | None, said: str) -> None:
    file = tmp_path / "identity.toml"
    if content is not None:
        file.write_bytes(content)
    found = sentence(run(command, config=str(file)))
    assert str(file) in found
    assert said in found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_extra_is_named(database_url: str, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("server.extras.find_spec", lambda name: None if name == "packaging" else object())
    said = sentence(run(command, database_url=database_url, broker_url="redis://localhost"))
    assert said.endswith("Redis needs packaging: pip install 'identity-foundation[redis]'")


@pytest.mark.parametrize("arguments", [["demo"], ["dev", "--story"]])
def test_a_story_without_its_policy_engine_is_refused_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("server.extras.find_spec", lambda _: None)
    monkeypatch.setattr("cli.dev.run_installation", lambda *_, **__: pytest.fail("it was started"))
    assert sentence(run(*arguments)) == "The story needs cedarpy: pip install 'identity-foundation[demo]'"


@pytest.mark.parametrize("command", ["serve", "worker", "restored"])
def test_a_wrong_key_encryption_key_ends_what_would_need_it(database_url: str, command: str) -> None:
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
    said = sentence(run(command, database_url=database_url, key_encryption_key=OTHER_KEY))
    assert said.startswith("IDENTITY_KEY_ENCRYPTION_KEY is not the key that sealed the signing keys")


def test_a_key_that_was_lost_is_replaced(database_url: str) -> None:
    engine = make_engine(database_url)
    with transaction(engine, TenantId(uuid4())) as tx:
        create_tenant(
            tx, slug="acme", display_name="A", encryption=EnvelopeEncryption(bytes(32)), caller=ADMINISTRATOR, now=BEGIN
        )
    engine.dispose()
    for _ in range(2):  # it may be lost twice
        key = b64encode(os.urandom(32)).decode()
        assert "is not the key" in sentence(run("restored", database_url=database_url, key_encryption_key=key))
        done = run("restored", "--key-lost", database_url=database_url, key_encryption_key=key)
        assert done.exit_code == 0, done.output
        assert run("restored", database_url=database_url, key_encryption_key=key).exit_code == 0


def test_a_database_that_was_never_migrated_is_named(empty_owner_url: str) -> None:
    url = empty_owner_url.replace("identity@", "identity_web@")
    assert sentence(run("restored", database_url=url)) == "nothing was migrated yet: run `identity migrate`"


@pytest.mark.parametrize("command", PROGRAMS)
def test_a_schema_that_only_a_later_version_can_serve_on_ends_a_program(
    database_url: str, owner_url: str, command: str
) -> None:
    with psycopg.connect(owner_url.replace("+psycopg", "")) as owner:
        owner.execute("UPDATE alembic_version SET version_num = 'later', serves_from = 'later'")
    assert sentence(run(command, database_url=database_url)) == (
        "the schema does not fit: it is at later, which does not serve this version: install a later one"
    )


@pytest.mark.parametrize("migrated", [False, True])
def test_a_database_that_was_never_migrated_is_waited_for(
    empty_owner_url: str, database_url: str, migrated: bool
) -> None:
    """Whatever another database of the same server has made roles for."""
    url = database_url if migrated else empty_owner_url.replace("identity@", "identity_web@")
    with capture_logs() as logs:
        assert isolation_is_proved(load_settings(database_url=url)) is migrated
    assert [line["event"] for line in logs] == ([] if migrated else ["database_is_not_migrated"])


@pytest.mark.parametrize("command", ["worker", "relay"])
def test_a_broker_that_refuses_the_login_ends_a_program(
    database_url: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    said = "Couldn't log in: server connection error 403, message: ACCESS_REFUSED - Login was refused"

    def refuse(*_: object) -> None:
        raise BrokerError(said)

    monkeypatch.setattr("config.brokers.check_broker", refuse)
    found = sentence(run(command, database_url=database_url, broker_url="amqp://guest:guest@127.0.0.1"))
    assert found.startswith("the broker refuses the login")
    assert found.endswith("Correct user, password and virtual host in IDENTITY_BROKER_URL")


# --- told to stop ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_that_is_told_to_stop_while_it_starts_ends_with_0(
    database_url: str, monkeypatch: pytest.MonkeyPatch, program: str, number: signal.Signals
) -> None:
    told = []

    def tell(*_: object, **__: object) -> None:
        told.append(number)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(f"config.{'web' if program == 'serve' else 'celery'}.log_start", tell)
    result = run(program, database_url=database_url)
    assert (result.exit_code, result.output, told) == (0, "", [number])


# --- what nobody foresaw ---


def fail_at(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl")

    monkeypatch.setattr(where, fail)


def test_an_unforeseen_error_is_one_line_with_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at("server.schema.schema_found", monkeypatch)
    said = [sentence(run("migrate", "status", database_url="postgresql://x@/x")) for _ in range(2)]
    assert said[0] == said[1]  # the same place has the same reference
    assert said[0].startswith("unexpected LookupError (reference ")
    assert "IDENTITY_LOG_LEVEL=debug" in said[0]


def test_the_log_level_debug_shows_where_an_unforeseen_error_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("IDENTITY_LOG_LEVEL", "debug")
    try:
        with pytest.raises(Exception, match="unexpected ZeroDivisionError") as refused, explained():
            _ = 1 // 0
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    line = json.loads(stream.getvalue())
    assert line["reference"] in str(refused.value)
    assert "test_failures.py" in line["exception"]


def test_a_pipe_that_was_closed_is_left_to_click() -> None:
    with pytest.raises(BrokenPipeError), explained():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


# --- folders of `identity dev` ---


def dev(folder: Path, **how: object) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    return subprocess.run(
        [str(how.pop("python", sys.executable)), "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder)],
        cwd=ROOT, env=clean | how.pop("env", {}), capture_output=True, text=True, check=False, timeout=SECONDS, **how,
    )  # type: ignore[call-overload, operator]  # fmt: skip


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def reachable() -> Iterator[Path]:
    made = Path(mkdtemp(prefix="identity-failures-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def test_a_data_folder_below_a_file_is_named(reachable: Path) -> None:
    (reachable / "file").write_text("")
    assert f"{reachable / 'file'} cannot be used" in one_line(dev(reachable / "file" / "data"))


@pytest.mark.parametrize("content", ["key_encryption_key = [", "key_encryption_key = 5"])
def test_a_broken_installation_file_is_named(reachable: Path, content: str) -> None:
    (reachable / "installation.toml").write_text(content)
    assert str(reachable / "installation.toml") in one_line(dev(reachable))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another account")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_data_folder_of_another_account_is_named(reachable: Path, mode: int) -> None:
    folder = reachable / "theirs"
    folder.mkdir()
    folder.chmod(mode)
    usable = Path(sys.executable).resolve().is_relative_to("/usr")
    packages = f"{ROOT}:{Path(pytest.__file__).parent.parent}:{ROOT / 'verifier'}"
    said = one_line(
        dev(
            folder, user="nobody", group=pwd.getpwnam("nobody").pw_gid, extra_groups=[],
            python=sys.executable if usable else "/usr/bin/python3",
            env={"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    )  # fmt: skip
    assert f"{folder}/lock cannot be used (Permission denied): give it to this account, or name another folder" in said


def test_a_file_of_another_account_that_may_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(PermissionError) as refused:
        open_private(tmp_path / "lock", os.O_RDWR)
    assert refused.value.filename == str(tmp_path / "lock")
