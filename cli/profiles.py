"""Profiles: where an installation is, and the token for it, in a file that its owner alone can read."""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.problems import Refused
from server.private_files import make_private_folder, write_private

DEFAULT = "default"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
BYTES_MAX = 16 * 1024
OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Profile:
    """One installation and its administrator's token, which is sent to ``url`` and nowhere else."""

    url: str
    token: str


def profiles_folder() -> Path:
    """Return the folder of the profiles (XDG Base Directory: a relative path in the variable is ignored)."""
    configured = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    root = configured if configured.is_absolute() else Path.home() / ".config"
    return root / "identity" / "profiles"


def profile_file(name: str) -> Path:
    """Return the file of a profile. Raises ``Refused`` for what cannot be a name."""
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r} cannot be the name of a profile: letters, digits, - and _", 2, code="usage")
    return profiles_folder() / f"{name}.json"


def default_name() -> str:
    """Return the name of the profile that is used where none is named."""
    return os.environ.get("IDENTITY_PROFILE") or DEFAULT


def read_profile(name: str) -> Profile | None:
    """Return a profile, None where there is none. Raises ``Refused`` for one that is broken or that others can read."""
    file = profile_file(name)
    try:
        text = _read_private(file)
        members = None if text is None else json.loads(text)
        return None if members is None else Profile(str(members["url"]), str(members["token"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{file} is not a profile: log in again with `identity login URL`", 1) from error
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}", 1) from error


def _read_private(file: Path) -> str | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as opened:
        if os.fstat(opened.fileno()).st_mode & OTHERS:
            raise Refused(f"{file} holds a token and others can read it: chmod 600 {file}", 1)
        return opened.read(BYTES_MAX)


def write_profile(name: str, profile: Profile) -> Path:
    """Write a profile whole, or leave the one before; return its file."""
    file = profile_file(name)
    unfinished = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        make_private_folder(file.parent)
        write_private(unfinished, json.dumps(asdict(profile)))
        unfinished.replace(file)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}", 1) from error
    return file


def delete_profile(name: str) -> bool:
    """Delete a profile; return whether there was one."""
    file = profile_file(name)
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Refused(f"{file} cannot be deleted: {error.strerror}", 1) from error
    return True


def profile_names() -> list[str]:
    """Return the names of all profiles."""
    files = sorted(profiles_folder().glob("*.json"))
    return [file.stem for file in files if NAME.fullmatch(file.stem)]
