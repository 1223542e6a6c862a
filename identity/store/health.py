"""Whether the database can write, found without writing anything that stays."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

DISK_FULL = "53100"
READ_ONLY = "SELECT current_setting('transaction_read_only')"
SPILL = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 20000)"
"""A few hundred kilobytes in a temporary file: it needs room on the disk, and leaves no row, no WAL and no lock."""


@dataclass(slots=True)
class Disk:
    """The state of the database's disk, as the last error in this process reported it."""

    is_full: bool = False

    def note(self, error: BaseException | None) -> None:
        """Remember an error that says that the disk is full."""
        if getattr(error, "sqlstate", None) == DISK_FULL:
            self.is_full = True


def disk_watched(engine: Engine) -> Disk:
    """Return the state of the disk, which errors of any statement of ``engine`` change from now on."""
    disk = Disk()

    def note(context: Any) -> None:
        disk.note(context.original_exception)

    event.listen(engine, "handle_error", note)
    return disk


def is_read_only(connection: Connection) -> bool:
    """True on a replica, or where ``default_transaction_read_only`` is set."""
    return bool(connection.exec_driver_sql(READ_ONLY).scalar_one() == "on")


def disk_has_room(connection: Connection) -> bool:
    """True when PostgreSQL can put something on its disk."""
    try:
        connection.exec_driver_sql(SPILL)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != DISK_FULL:
            raise
        return False
    return True
