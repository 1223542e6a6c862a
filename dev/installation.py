"""What `identity dev` keeps in its folder: a lock, the key that seals signing keys, the hash of an admin
token.
"""

import base64
import fcntl
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from config.failures import Failure
from config.files import make_private_folder, open_private, read_toml
from config.process import lent_account

FILE = "installation.toml"
LOCK = "lock"


class FolderInUseError(Failure):
    """Another `identity dev` works with this folder."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The secrets of one folder. ``new_admin_token`` is there once: only its hash is kept."""

    key_encryption_key: str
    admin_token_sha256: str | None
    new_admin_token: str | None

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the settings that the user has not ``given``."""
        kept = {}
        if not given.get("IDENTITY_KEY_ENCRYPTION_KEY"):
            kept["IDENTITY_KEY_ENCRYPTION_KEY"] = self.key_encryption_key
        if not admin_token_is_given(given) and self.admin_token_sha256:
            kept["IDENTITY_ADMIN_TOKEN_SHA256"] = self.admin_token_sha256
        return kept


def admin_token_is_given(environment: Mapping[str, str]) -> bool:
    """Say whether the user brings an admin token, in clear or as a hash."""
    return bool(environment.get("IDENTITY_ADMIN_TOKEN") or environment.get("IDENTITY_ADMIN_TOKEN_SHA256"))


def lock_folder(folder: Path) -> int:
    """Take the folder for this process until it ends; the descriptor must stay open.

    Raises ``FolderInUseError``.
    """
    make_private_folder(folder, passable_by=lent_account())
    descriptor = open_private(folder / LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUseError(f"another `identity dev` is using {folder}") from None
    return descriptor


def open_installation(folder: Path, *, needs_admin_token: bool) -> Installation:
    """Read what the folder keeps, making first whatever is missing."""
    kept = _read(folder / FILE)
    key = kept.get("key_encryption_key") or base64.b64encode(secrets.token_bytes(32)).decode()
    token_hash, token = kept.get("admin_token_sha256"), None
    if needs_admin_token and token_hash is None:
        token = f"idf_admin_{secrets.token_urlsafe(32)}"
        token_hash = sha256(token.encode()).hexdigest()
    installation = Installation(key, token_hash, token)
    if (key, token_hash) != (kept.get("key_encryption_key"), kept.get("admin_token_sha256")):
        _write(folder / FILE, installation)
    return installation


def _read(file: Path) -> dict[str, str]:
    kept = read_toml(file) if file.exists() else {}
    if any(not isinstance(value, str) for value in kept.values()):
        raise Failure(f"{file} holds something else than texts: correct it; without its key all signing keys are lost")
    return kept


def _write(file: Path, installation: Installation) -> None:
    lines = [
        "# Kept by `identity dev`. Whoever reads the key can open this folder's signing keys; losing it loses them.",
        f'key_encryption_key = "{installation.key_encryption_key}"',
    ]
    if installation.admin_token_sha256:
        lines.append(f'admin_token_sha256 = "{installation.admin_token_sha256}"')
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = open_private(unfinished, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(descriptor, "w") as out:
        out.write("\n".join(lines) + "\n")
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(file)
