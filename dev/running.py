"""The settings with which an `identity dev` runs, kept in its folder for other commands."""

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from config.settings import DEFAULT_FILE, PREFIX, Settings
from server.private_files import read_toml, write_private

FILE = "running.toml"
CLEAR = "IDENTITY_ADMIN_TOKEN"
HASHED = "IDENTITY_ADMIN_TOKEN_SHA256"


def write_running(folder: Path, environment: Mapping[str, str]) -> None:
    """Keep the settings of what has just been started, with the hash of the administrator's token and not the token."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    kept = {name: value for name, value in environment.items() if name in known - {CLEAR} and value}
    if token := environment.get(CLEAR):
        kept[HASHED] = sha256(token.encode()).hexdigest()
    lines = [f"{name.removeprefix(PREFIX).lower()} = {json.dumps(value)}" for name, value in sorted(kept.items())]
    write_private(folder / FILE, "\n".join(["# Written by `identity dev` at each start.", *lines, ""]))


def running_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of the installation in ``folder`` that the environment does not give; nothing where there is
    none, or the environment or a file of settings names another one. Raises ``Failure``, ``OSError``.
    """
    if os.environ.get(f"{PREFIX}DATABASE_URL") or os.environ.get(f"{PREFIX}CONFIG") or DEFAULT_FILE.is_file():
        return {}
    file = folder / FILE
    if not file.exists():
        return {}
    kept = read_toml(file)
    if os.environ.get(CLEAR):
        kept.pop("admin_token_sha256", None)  # the same token in clear
    return {name: value for name, value in kept.items() if not os.environ.get(f"{PREFIX}{name.upper()}")}
