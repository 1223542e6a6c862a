"""What opens a transaction. Only the doors (web edges, workers) import this."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from uuid import UUID

from psycopg import Error as DriverError
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from identity.model.errors import Malformed, Unavailable
from identity.model.ids import RANDOM_BITS, TenantId, new_id
from identity.store.events import event_flush
from identity.store.locks import cut_lock_sql
from identity.store.tx import Tx, Unwritten

Role = Literal["identity_app", "identity_relay"]

STATEMENT_TIMEOUT_MS = 5_000
LOCK_TIMEOUT_MS = 4_000
"""Longer than a transaction that issues a token can live, so that none of them makes a cut fail."""

BRIEF_TIMEOUT_MS = 1_000
"""Of a statement, and of the pauses between two, where a token is issued: a cut waits for it."""

IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 3
PASSING = ("08", "25006", "25P03", "25P04", "28", "40", "53", "55006", "55P03", "57", "58")
"""SQLSTATEs, or classes of them, of a database that cannot do now what it could before, whatever the statement: no
connection, a replica, a session that was ended, a login that is refused for now, a deadlock, no room on the disk or for
one more connection, a lock or a time-out, an administrator, the operating system.
"""

UNSTORABLE = "54"
"""Class of what exceeds a limit of the database's own, such as the size of an index's row."""

BRIEF = (
    f"; SET LOCAL statement_timeout = {BRIEF_TIMEOUT_MS}"
    f"; SET LOCAL idle_in_transaction_session_timeout = {BRIEF_TIMEOUT_MS}"
)
PLANNER = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""Everything here is looked up by key. A plan that reads a small table whole is kept when the table is no longer small,
and compiling a statement takes longer than any of them runs."""


def make_engine(database_url: str, *, role: Role = "identity_app", pool_size: int = 8) -> Engine:
    """Return an engine whose every connection has given up its login's rights for those of ``role``.

    Connections are in autocommit mode: ``transaction`` sends its own BEGIN together with the tenant, in one
    round trip.
    """
    settings = {
        "role": role,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "timezone": "UTC",
        **PLANNER,
    }
    url = make_url(database_url).set(drivername="postgresql+psycopg").difference_update_query(["options"])
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # a logged error must not show what was bound
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=False,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "connect_timeout": CONNECT_TIMEOUT_S,
            "prepare_threshold": 2,
        },
    )


def _new_id() -> UUID:
    return new_id(time.time_ns(), secrets.randbits(RANDOM_BITS))


@contextmanager
def transaction(
    engine: Engine,
    tenant_id: TenantId,
    *,
    ids: Callable[[], UUID] = _new_id,
    holds_events: bool = False,
    is_brief: bool = False,
) -> Iterator[Tx]:
    """Open one transaction of one tenant; commit when the block ends, roll back when it raises.

    A brief one is ended by the database when it makes others wait. Raises ``Unavailable`` when the database does not
    answer in time, or cannot do it now; where its answer to COMMIT was lost, it may have been done.

    ``SET LOCAL`` ends with the transaction, so a pooled connection never remembers a tenant.
    """
    tenant = UUID(str(tenant_id))  # the only value ever put into SQL as text; a UUID can hold no SQL
    with _faults_explained(), engine.connect() as connection:
        limits = BRIEF if is_brief else ""
        _begin(connection, f"BEGIN; SET LOCAL app.tenant = '{tenant}'{limits}")
        try:
            tx = Tx(connection, tenant_id, ids, Unwritten() if holds_events else None)
            yield tx
            event_flush(tx)
            connection.exec_driver_sql(f"{cut_lock_sql(tx)}COMMIT")
        except BaseException:
            with suppress(
                SQLAlchemyError, DriverError
            ):  # a broken connection has rolled back already; the first error is the news
                connection.exec_driver_sql("ROLLBACK")
            raise


@contextmanager
def rebound(tx: Tx, tenant_id: TenantId) -> Iterator[Tx]:
    """Work for another tenant within the same transaction: a tenant and the answer about it are kept in one commit."""
    theirs, ours = UUID(str(tenant_id)), UUID(str(tx.tenant_id))
    tx.connection.exec_driver_sql(f"SET LOCAL app.tenant = '{theirs}'")
    yield (rebound_tx := Tx(tx.connection, tenant_id, tx.new_id))
    if rebound_tx.ends:
        raise AssertionError("what ends in a tenant ends in a transaction of its own")
    tx.connection.exec_driver_sql(f"SET LOCAL app.tenant = '{ours}'")  # after an error there is only ROLLBACK


def _begin(connection: Connection, statement: str) -> None:
    """Begin; once more where the pool's connection was lost while nobody used it, for nothing was done on it yet."""
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        connection.rollback()
        connection.exec_driver_sql(statement)


@contextmanager
def _faults_explained() -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as error:
        raise Malformed("a value cannot be stored", reason="unstorable_value") from error
    except (SQLAlchemyError, DriverError) as error:
        if _is_unstorable(error):
            raise Malformed("a value cannot be stored", reason="unstorable_value") from error
        if _is_passing(error):
            raise Unavailable("the database does not answer; try again", private=str(error)) from error
        raise


def _is_unstorable(error: SQLAlchemyError | DriverError) -> bool:
    return isinstance(error, DataError) or _sqlstate(error).startswith(UNSTORABLE)


def _is_passing(error: SQLAlchemyError | DriverError) -> bool:
    """True where the database gave up or went away, and nothing is wrong with the statement."""
    if isinstance(error, PoolTimeout | PendingRollbackError | OperationalError | InterfaceError):
        return True  # the second is what a lost connection says to every later statement
    is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return is_lost or _sqlstate(error).startswith(PASSING)


def _sqlstate(error: SQLAlchemyError | DriverError) -> str:
    """Return the SQLSTATE that the database gave, or an empty text."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""
