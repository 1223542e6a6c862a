"""The data folder of a PostgreSQL of this machine, and the free space of its disk."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from dev.postgres import PORT

FREE_MIN = 0.1
"""Of the disk: below, there is little time left. PostgreSQL refuses every write once it is full."""


@dataclass(frozen=True, slots=True)
class Room:
    """The free space of a disk, in bytes."""

    folder: Path
    free: int
    total: int

    @property
    def is_little(self) -> bool:
        """True when less than a tenth is left."""
        return self.free < FREE_MIN * self.total


def room_of(database_url: str) -> Room | None:
    """Return the room that a database has; None where its files are not of this machine, or closed to us."""
    folder = data_folder_of(database_url)
    if folder is None:
        return None
    try:
        found = shutil.disk_usage(folder)
    except OSError:
        return None
    return Room(folder, found.free, found.total)


def data_folder_of(database_url: str) -> Path | None:
    """Return the data folder, which PostgreSQL writes into the second line of the lock beside its socket."""
    url = make_url(database_url)
    host = url.query.get("host") or url.host
    if not isinstance(host, str) or not host.startswith("/"):
        return None
    lock = Path(host) / f".s.PGSQL.{url.port or url.query.get('port') or PORT}.lock"
    try:
        return Path(os.fsdecode(lock.read_bytes().split(b"\n")[1]))
    except (OSError, IndexError):
        return None
