"""``identity login``, ``logout``, ``whoami`` and ``status``: the installation and token of other commands."""

import sys
from typing import Any
from urllib.parse import urlsplit

import click
import httpx2

from cli.output import answer, json_option
from cli.problems import UNREACHABLE, Refused
from cli.profiles import Profile, default_name, delete_profile, profile_file, write_profile
from cli.remote import TIMEOUT_S, remote_at
from cli.showing import show_done, show_one
from cli.sources import PROFILE_KEY, URL, Access, check_token, checked_url, find_access, wanted_access
from config.settings import is_loopback

TOKEN_BYTES_MAX = 4_096

profile_option = click.option("--profile", "name", help="The profile's name. Default: default.")


def _named(name: str | None) -> str:
    return name or click.get_current_context().meta.get(PROFILE_KEY) or default_name()


@click.command()
@click.argument("url")
@profile_option
@json_option
def login(url: str, name: str | None) -> None:
    """Keep URL and an administrator's token in a profile.

    The token is read from standard input; a terminal does not show it. It is checked before it is kept.
    """
    name = _named(name)
    file, url = profile_file(name), checked_url(url, "URL")
    token = _read_token(url)
    check_token(token, "standard input")
    remote_at(Access(url, token, "the input of this command")).get("/tenants", limit=1)
    write_profile(name, Profile(url, token))
    document = {"profile": name, "url": url, "file": str(file)}
    answer(document, f"Logged in to {url}. The profile {name!r} is in {file}.")


def _read_token(url: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(f"Administrator's token for {url}", hide_input=True, err=True)).strip()
    token = sys.stdin.readline(TOKEN_BYTES_MAX).strip()
    if not token:
        raise click.UsageError("standard input holds no token: identity login URL < FILE")
    return token


@click.command()
@profile_option
@json_option
def logout(name: str | None) -> None:
    """Delete a profile. Its token stays valid until the installation gets another one."""
    name = _named(name)
    if not delete_profile(name):
        raise Refused(f"there is no profile {name!r}", 1, code="no_profile")
    show_done(f"The profile {name!r} was deleted. Its token is still valid.", profile=name, deleted=True)


@click.command()
@json_option
def whoami() -> None:
    """Show which installation commands ask, where the token comes from, and whether it is accepted."""
    access = find_access(wanted_access())
    remote_at(access).get("/tenants", limit=1)
    show_one({"url": access.url, "role": "administrator", "token_from": access.origin})


@click.command()
@json_option
def status() -> None:
    """Show whether the installation can be reached, is ready, and accepts the token. Needs no token."""
    wanted = wanted_access()
    access = _access_or_none()
    url = access.url if access is not None else wanted.url or URL
    shown = {"url": url, **_readiness(url), "token_from": None if access is None else access.origin}
    shown["token_accepted"] = None if access is None else _is_accepted(access)
    show_one(shown)
    if not shown["ready"]:
        sys.exit(UNREACHABLE)


def _access_or_none() -> Access | None:
    try:
        return find_access(wanted_access())
    except Refused as refused:
        if refused.code != "no_token":
            raise
        return None


def _readiness(url: str) -> dict[str, Any]:
    trust_env = not is_loopback(urlsplit(url).hostname or "")
    try:
        with httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=trust_env) as http:
            answered = http.get(f"{url}/readyz")
            found = answered.json()
    except httpx2.RequestError as error:
        return {"reachable": False, "ready": False, "reason": type(error).__name__}
    except ValueError:
        found = None
    if not isinstance(found, dict) or "status" not in found:
        return {"reachable": True, "ready": False, "reason": "not_an_installation"}
    more = {name: value for name, value in found.items() if name != "status"}
    return {"reachable": True, "ready": answered.status_code == 200, **more}


def _is_accepted(access: Access) -> bool | None:
    """Return whether the token is accepted, None where that could not be found out."""
    try:
        remote_at(access).get("/tenants", limit=1)
    except Refused as refused:
        return False if refused.code == "unauthenticated" else None
    return True
