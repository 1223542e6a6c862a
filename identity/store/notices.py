"""Waiting for a notification of PostgreSQL (LISTEN) that there is something to do, instead of polling."""

from contextlib import suppress

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from identity.store.transaction import untenanted

CONNECT_TIMEOUT_S = 3


def connection_string(database_url: str) -> str:
    """Return ``database_url`` as libpq reads it, without start-up options, which a pooler refuses."""
    url = make_url(database_url).difference_update_query(["options"])
    parts = url.translate_connect_args(username="user", database="dbname") | dict(url.query)
    return make_conninfo(**parts, connect_timeout=CONNECT_TIMEOUT_S)


class Notices:
    """One connection that listens to one channel; it reconnects when it is lost. Through a pooler it hears nothing."""

    def __init__(self, conninfo: str, channel: str) -> None:
        self._conninfo = conninfo
        self._channel = channel
        self._connection: psycopg.Connection | None = None

    def listen(self) -> None:
        """Begin to listen, if that has not begun; what is announced from now on will be noticed.

        Raises ``psycopg.OperationalError`` when the database cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
            connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))
            self._connection = connection

    def wait(self, seconds: float) -> list[str]:
        """Return what is announced as soon as something is, else nothing after ``seconds``; an empty text when a lost
        connection was found again, since an announcement may have been missed meanwhile.

        Raises ``psycopg.OperationalError`` when the database cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            self.listen()
            return [""]
        try:
            return [notice.payload for notice in self._connection.notifies(timeout=seconds, stop_after=1)]
        except psycopg.OperationalError:
            self.close()
            raise

    def close(self) -> None:
        """Stop listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


def is_heard(conninfo: str, engine: Engine, *, channel: str, seconds: float) -> bool:
    """Return whether a notification of ``engine`` reaches a listener at ``conninfo`` within ``seconds``.

    It does not through a pooler, which gives the listening session to other clients. ``channel`` is one that no other
    process uses. Raises ``psycopg.OperationalError``, ``sqlalchemy.exc.OperationalError``.
    """
    notices = Notices(conninfo, channel)
    try:
        notices.listen()
        with untenanted(engine) as connection:
            connection.exec_driver_sql("SELECT pg_notify(%s, '')", (channel,))
        return bool(notices.wait(seconds))
    except psycopg.errors.ReadOnlySqlTransaction:  # a standby
        return False
    finally:
        notices.close()
