"""Opening a transaction. Only web edges and workers import this."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from identity.model.errors import InvalidRequest, Unavailable
from identity.model.ids import RANDOM_BITS, TenantId, new_id
from identity.store.events import event_flush
from identity.store.locks import cut_lock_sql
from identity.store.session import PREPARE_AFTER, Role, begin_sql
from identity.store.tx import PendingEvents, Tx

CONNECT_TIMEOUT_S = 3
WRONG_LOGIN = {"42501": "role_not_granted", "22023": "role_missing"}
"""SQLSTATE of a BEGIN: insufficient privilege, and an invalid value, such as the name of a role that is not there."""

PASSING = ("08", "25006", "25P03", "25P04", "28", "40", "53", "55006", "55P03", "57", "58")
"""SQLSTATEs, or classes of them, of a database that cannot do now what it could before, whatever the statement: no
connection, a replica, a session that was ended, a login that is refused for now, a deadlock, no room on the disk or for
one more connection, a lock or a time-out, an administrator, the operating system.
"""

UNSTORABLE = "54"
"""Class of what exceeds a limit of the database's own, such as the size of an index's row."""


def make_engine(
    database_url: str, *, role: Role = "identity_app", pool_size: int = 8, is_prepared: bool = True
) -> Engine:
    """Return an engine whose every transaction gives up its login's rights for those of ``role``.

    Connections are in autocommit mode: ``transaction`` sends its own BEGIN together with role, limits and tenant, in
    one round trip; outside of it and ``untenanted`` nothing is said. Without ``is_prepared`` no statement is prepared.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg").difference_update_query(["options"])
    return create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # a logged error must not show what was bound
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_pre_ping=False,
        execution_options={"role": role},
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "prepare_threshold": PREPARE_AFTER if is_prepared else None,
        },
    )


def role_of(engine: Engine) -> Role:
    """Return the role that the transactions of an engine take."""
    role: Role = engine.get_execution_options()["role"]
    return role


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
        try:
            _begin(connection, role_of(engine), f"; SET LOCAL app.tenant = '{tenant}'", is_brief=is_brief)
            tx = Tx(connection, tenant_id, ids, PendingEvents() if holds_events else None)
            yield tx
            event_flush(tx)
            connection.exec_driver_sql(f"{cut_lock_sql(tx)}COMMIT")
        except BaseException:
            # A broken connection has rolled back already; the first error is the one to report.
            with suppress(SQLAlchemyError, DriverError):
                connection.exec_driver_sql("ROLLBACK")
            raise


@contextmanager
def untenanted(engine: Engine) -> Iterator[Connection]:
    """Open a transaction of no tenant: for the catalogue, and for what concerns the database alone.

    Raises ``Unavailable`` where the role cannot be taken, and SQLAlchemy's errors.
    """
    with engine.connect() as connection:
        try:
            _begin(connection, role_of(engine))
            yield connection
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            with suppress(SQLAlchemyError, DriverError):
                connection.exec_driver_sql("ROLLBACK")
            raise


def check_role(engine: Engine) -> None:
    """Refuse a login, or a pooler before it, that does not give a transaction the role that it sets.

    Under another role a relay would see no row, for ever, and call that no work. Raises ``Unavailable``, whose reason
    is ``role_missing`` before the first migration, and ``sqlalchemy.exc.OperationalError`` without a database.
    """
    role = role_of(engine)
    try:
        with untenanted(engine) as connection:
            found = connection.exec_driver_sql("SELECT current_user").scalar_one()
    except Unavailable as refusal:
        details = {
            "role_missing": f"there is no role {role} in the database: run `identity migrate`",
            "role_not_granted": f"the database's login may not become {role}: GRANT {role} TO the login",
        }
        detail = details.get(refusal.reason, f"the database's login does not become {role}: {refusal.cause}")
        raise Unavailable(detail, reason=refusal.reason) from refusal
    if found != role:
        raise Unavailable(
            f"a transaction that set the role {role} has the role {found}: a pooler must pass SET LOCAL on",
            reason="role_ignored",
        )


def _begin(connection: Connection, role: Role, bound: str = "", *, is_brief: bool = False) -> None:
    """Begin a transaction. The statement holds nothing of a request, so its errors are errors of the login."""
    try:
        _execute_once_more_where_lost(connection, begin_sql(role, is_brief=is_brief) + bound)
    except (ProgrammingError, DataError) as error:
        fault = WRONG_LOGIN.get(getattr(error.orig, "sqlstate", None) or "", "role_refused")
        raise Unavailable("the database does not answer; try again", reason=fault, cause=str(error.orig)) from error


def _execute_once_more_where_lost(connection: Connection, statement: str) -> None:
    """Begin; once more where the pool's connection was lost while it was idle, for nothing was done on it yet."""
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        connection.rollback()
        connection.exec_driver_sql(statement)


@contextmanager
def rebound(tx: Tx, tenant_id: TenantId) -> Iterator[Tx]:
    """Work for another tenant within the same transaction: a tenant and the answer about it are kept in one commit."""
    theirs, ours = UUID(str(tenant_id)), UUID(str(tx.tenant_id))
    tx.connection.exec_driver_sql(f"SET LOCAL app.tenant = '{theirs}'")
    yield (rebound_tx := Tx(tx.connection, tenant_id, tx.new_id))
    if rebound_tx.ends:
        raise AssertionError("what ends in a tenant ends in a transaction of its own")
    tx.connection.exec_driver_sql(f"SET LOCAL app.tenant = '{ours}'")  # after an error there is only ROLLBACK


@contextmanager
def _faults_explained() -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidRequest("a value cannot be stored", reason="unstorable_value") from error
    except (SQLAlchemyError, DriverError) as error:
        if _is_unstorable(error):
            raise InvalidRequest("a value cannot be stored", reason="unstorable_value") from error
        if _is_passing(error):
            cause = str(getattr(error, "orig", error))
            raise Unavailable("the database does not answer; try again", cause=cause) from error
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
