"""The lock and the secrets in the folder of `identity dev`: key-encryption key and administrator's token."""

import base64
import fcntl
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from server.failures import Failure
from server.private_files import make_private_folder, open_private, read_toml, replace_private
from server.process import unprivileged_account

FILE = "installation.toml"
LOCK = "lock"
LOCK_ATTEMPTS, LOCK_PAUSE_S = 5, 0.02
"""A command that tests whether the folder is in use holds the lock for a moment."""


class FolderInUseError(Failure):
    """Another `identity dev` works with this folder."""


class BrokenFolderError(Failure):
    """A file of the folder does not hold what it should; the message names it."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} cannot be read: restore it from a copy, or start with another folder (--data)")


@dataclass(frozen=True, slots=True)
class Installation:
    """The secrets of one folder. Folders of earlier versions keep the hash of the token and not the token."""

    key_encryption_key: str
    admin_token: str | None
    admin_token_sha256: str | None

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the settings that the user has not ``given``."""
        kept = {}
        if not given.get("IDENTITY_KEY_ENCRYPTION_KEY"):
            kept["IDENTITY_KEY_ENCRYPTION_KEY"] = self.key_encryption_key
        if not admin_token_is_given(given) and self.admin_token_sha256:
            kept["IDENTITY_ADMIN_TOKEN_SHA256"] = self.admin_token_sha256
        return kept


def admin_token_is_given(environment: Mapping[str, str]) -> bool:
    """Return whether the environment gives an admin token, in clear or as a hash."""
    return bool(environment.get("IDENTITY_ADMIN_TOKEN") or environment.get("IDENTITY_ADMIN_TOKEN_SHA256"))


def is_in_use(folder: Path) -> bool:
    """Say whether an `identity dev` of this account, or of one whose files it may read, works with the folder."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_folder(folder: Path) -> int:
    """Take the folder for this process until it ends; the descriptor must stay open.

    Raises ``FolderInUseError``.
    """
    make_private_folder(folder, passable_by=unprivileged_account())
    descriptor = open_private(folder / LOCK, os.O_RDWR)
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return descriptor
    os.close(descriptor)
    raise FolderInUseError(f"another `identity dev` is using {folder}")


def open_installation(folder: Path, *, needs_admin_token: bool) -> Installation:
    """Return the secrets of the folder; missing ones are made. Raises ``BrokenFolderError``."""
    kept = read_installation(folder)
    key = kept.get("key_encryption_key") or base64.b64encode(secrets.token_bytes(32)).decode()
    token, token_hash = kept.get("admin_token"), kept.get("admin_token_sha256")
    if needs_admin_token and token is None and token_hash is None:
        token = f"idf_admin_{secrets.token_urlsafe(32)}"
    installation = Installation(key, token, sha256(token.encode()).hexdigest() if token else token_hash)
    if (key, token) != (kept.get("key_encryption_key"), kept.get("admin_token")):
        replace_private(folder / FILE, _written(installation))
    return installation


def read_installation(folder: Path) -> dict[str, str]:
    """Return what the folder keeps; nothing where there is no folder. Raises ``Failure``."""
    file = folder / FILE
    kept = read_toml(file) if file.exists() else {}
    if any(not isinstance(value, str) for value in kept.values()):
        raise Failure(f"{file} holds something else than texts: correct it; without its key all signing keys are lost")
    return kept


def _written(installation: Installation) -> str:
    lines = [
        "# Kept by `identity dev`. The key opens this folder's signing keys, and they are lost with it.",
        f'key_encryption_key = "{installation.key_encryption_key}"',
    ]
    if installation.admin_token:
        lines.append(f'admin_token = "{installation.admin_token}"')
    elif installation.admin_token_sha256:
        lines.append(f'admin_token_sha256 = "{installation.admin_token_sha256}"')
    return "\n".join(lines) + "\n"
