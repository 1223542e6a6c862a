"""Files and folders that only this account can read, whatever the umask."""

import os
import tomllib
from pathlib import Path
from typing import Any

from server.failures import Failure
from server.process import Account

FILE_MODE = 0o600
FOLDER_MODE = 0o700
PASSABLE_FOLDER_MODE = 0o710


def make_private_folder(folder: Path, passable_by: Account | None = None) -> None:
    """Make a folder and those above it that are missing; one that is there keeps its mode.

    Another account (the unprivileged one that runs PostgreSQL for root) may pass through it, and list nothing.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent, passable_by)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if passable_by is not None:
        os.chown(folder, -1, passable_by.gid)
    folder.chmod(FOLDER_MODE if passable_by is None else PASSABLE_FOLDER_MODE)


def open_private(file: Path, flags: int) -> int:
    """Open a file, making it if it is missing, and return its descriptor; it is closed to others from then on."""
    descriptor = os.open(file, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
    except OSError as error:  # of another account, which lets us write into it
        os.close(descriptor)
        raise type(error)(error.errno, error.strerror, str(file)) from None
    return descriptor


def write_private(file: Path, text: str) -> None:
    """Write a small file whole."""
    with os.fdopen(open_private(file, os.O_WRONLY | os.O_TRUNC), "w") as out:
        out.write(text)


def replace_private(file: Path, text: str) -> None:
    """Write a small file so that it is there whole, or as it was: also after a kill or a loss of power."""
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(open_private(unfinished, os.O_WRONLY | os.O_EXCL), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(file)


def read_toml(file: Path) -> dict[str, Any]:
    """Return what a TOML file holds. Raises ``Failure``, which says where it is broken; ``OSError``."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(f"{file} is not TOML: {error}. Correct the file") from None
