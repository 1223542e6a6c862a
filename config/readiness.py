"""Whether this process can serve, and if not, which part is at fault: what /readyz says.

The broker is no part of that: tokens need none.
"""

import threading
import time
from collections.abc import Callable
from typing import Literal

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from config.database import is_at_head
from identity.model.errors import Unavailable
from identity.store.health import disk_has_room, disk_watched, is_read_only
from identity.store.isolation import check_isolation

Fault = Literal["database_unreachable", "tenants_not_isolated", "schema", "read_only", "disk_full"]

LOOK_S = 1.0

log = structlog.get_logger(__name__)


class Readiness:
    """What is known of the database of one process. Any thread may ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._disk = engine, disk_watched(engine)
        self._told: Fault | None = None
        self.is_isolated = False
        """True once row-level security was seen to bind the login: nothing is served before."""

    def fault(self) -> Fault | None:
        """Return which part is not ready, or None. The log is told when that changes."""
        found, error = self._look()
        if found != self._told:
            log.warning("not_ready" if found else "ready_again", reason=found, error=error)
            self._told = found
        return found

    def _look(self) -> tuple[Fault | None, str | None]:
        try:
            return self._isolation_fault() or self._database_fault(), None
        except (SQLAlchemyError, Unavailable) as error:
            return "database_unreachable", type(error).__name__

    def check_isolation(self) -> None:
        """Raises ``Unavailable``, which names every fault, and ``OperationalError`` without a database."""
        check_isolation(self._engine)
        self.is_isolated = True

    def _isolation_fault(self) -> Fault | None:
        if self.is_isolated:
            return None
        try:
            self.check_isolation()
        except Unavailable as error:
            log.warning("tenants_not_isolated", detail=error.detail)
            return "tenants_not_isolated"
        return None

    def _database_fault(self) -> Fault | None:
        with self._engine.connect() as connection:
            if not _is_at_head(connection):
                return "schema"
            if is_read_only(connection):
                return "read_only"
            if self._disk.is_full:
                self._disk.is_full = not disk_has_room(connection)
            return "disk_full" if self._disk.is_full else None


def _is_at_head(connection: Connection) -> bool:
    try:
        return is_at_head(connection)
    except ProgrammingError:  # nothing was ever migrated there
        return False


def ask_until_isolated(readiness: Readiness, pause: Callable[[float], None] = time.sleep) -> None:
    """Ask the database now, and if need be in a thread of its own, until it has said that it isolates tenants."""

    def ask_on() -> None:
        while not readiness.is_isolated:
            pause(LOOK_S)
            readiness.fault()

    readiness.fault()
    if not readiness.is_isolated:
        threading.Thread(target=ask_on, name="isolation", daemon=True).start()
