"""The URL and the administrator's token of the `identity dev` that runs with a folder.

A file counts only where this account alone can read and change it, and only while an `identity dev` holds the folder's
lock. So a folder from elsewhere sends no token to another address, and a port that another program has taken since
receives none.
"""

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.installation import LOCK, is_in_use
from server.private_files import replace_private

FILE = "access.json"
DEFAULT_FOLDER = ".data"


@dataclass(frozen=True, slots=True)
class Access:
    """An `identity dev` that is ready. ``admin_token`` is None where its folder does not keep the token in use."""

    url: str
    admin_token: str | None


def default_folder() -> Path:
    """Return the folder that `identity dev` takes when none is named."""
    return Path(os.environ.get("IDENTITY_DATA") or DEFAULT_FOLDER).resolve()


def access_of(folder: Path) -> Access | None:
    """Return how the `identity dev` that is ready in ``folder`` is reached; None where there is none."""
    file = folder / FILE
    if not (_is_ours_alone(folder / LOCK) and _is_ours_alone(file) and is_in_use(folder)):
        return None
    try:
        return Access(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):  # it has ended at this moment, or wrote this in another version
        return None


def url_here() -> str | None:
    """Return the URL of the `identity dev` that runs with the default folder."""
    access = access_of(default_folder())
    return None if access is None else access.url


def token_for(url: str) -> str | None:
    """Return the administrator's token of the `identity dev` of the default folder, if it is ready at ``url``."""
    access = access_of(default_folder())
    return access.admin_token if access is not None and access.url == url else None


def write_access(folder: Path, access: Access) -> None:
    """Say how the `identity dev` that is ready in ``folder`` is reached."""
    replace_private(folder / FILE, json.dumps(asdict(access)))


def forget_access(folder: Path) -> None:
    """Say that none is ready."""
    (folder / FILE).unlink(missing_ok=True)


def _is_ours_alone(file: Path) -> bool:
    try:
        status = file.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
