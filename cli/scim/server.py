"""The HTTP client of a SCIM server, and its bearer token."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click
import httpx2

from config.settings import is_loopback

VARIABLE = "IDENTITY_SCIM_TOKEN"
TOKEN_BYTES_MAX = 65_536

TOKEN_HELP = (
    f"TOKEN is a bearer token: - reads it from standard input, @FILE from a file; without TOKEN it is {VARIABLE}."
)


def bearer_token(argument: str | None) -> str:
    """Return the token that an argument means. Raises ``click.UsageError``."""
    if argument is None:
        token = os.environ.get(VARIABLE, "")
        if not token:
            raise click.UsageError(f"TOKEN is missing: give - or @FILE to read it from there, or set {VARIABLE}")
        return token.strip()
    if argument == "-":
        return sys.stdin.readline().strip()
    if argument.startswith("@"):
        return _read(Path(argument[1:]))
    click.echo(
        f"Warning: other users of this machine can see TOKEN in the list of processes: give -, @FILE or {VARIABLE}.",
        err=True,
    )
    return argument


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            return file.read(TOKEN_BYTES_MAX).strip()
    except OSError as error:
        raise click.UsageError(f"the token's file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the token's file {path} contains invalid characters") from error


def scim_client(base_url: str, token: str, timeout_s: float) -> httpx2.Client:
    """Return a client of one server. Raises ``click.UsageError``."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError("BASE_URL is the server's https:// URL, as https://scim.example/v2")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise click.UsageError("BASE_URL must be https:// unless it is this machine: the token would travel in clear")
    if not token or not token.isascii() or not token.isprintable():
        raise click.UsageError("TOKEN is missing or contains invalid characters")
    return httpx2.Client(
        base_url=base_url.rstrip("/"),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/scim+json",
            "Content-Type": "application/scim+json",
            "User-Agent": "identity-scim",
        },
        timeout=timeout_s,
        follow_redirects=False,  # the token is sent to this server alone
        trust_env=not is_loopback(parts.hostname),
    )
