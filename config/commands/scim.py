"""``identity scim``."""

import secrets
import sys
from urllib.parse import urlsplit

import click
import httpx2

from config.commands.output import json_option
from config.commands.remote import NOT_AUTHENTICATED, UNREACHABLE, Refused
from config.commands.showing import show_list
from config.selftest import discovery, groups, users
from config.selftest.asking import Asking, Result, Verdict, run_checks
from config.settings import is_loopback

TIMEOUT_S = 15.0
MODULES = (discovery, users, groups)  # in the order in which their checks are made


@click.group()
def scim() -> None:
    """SCIM: try out a server, this one or any other."""


@scim.command()
@click.argument("base_url")
@click.argument("token")
@click.option("--as", "sources", type=click.Choice(["entra", "okta"]), multiple=True,
              help="Fail where what this source sends is not read. Without it, that is only reported.")  # fmt: skip
@json_option
def check(base_url: str, token: str, sources: tuple[str, ...]) -> None:
    """Ask a SCIM server what an identity provider would, and say what it does not do as the standard wants.

    TOKEN is a bearer token, or - to read it from standard input. Two users and a group are made, changed and deleted
    again; nothing else is touched. Exit code 0: nothing failed; 1: something did; 3: no answer; 4: no such token.
    """
    with _client(base_url, _secret(token)) as http:
        asking = Asking(http, mark=secrets.token_hex(6))
        _check_reachable(asking)
        try:
            results = list(run_checks(asking, frozenset(sources)))
        finally:
            left = asking.clean_up()
    results += [Result("Clean up", path, Verdict.FAILED, "could not be deleted") for path in left]
    _show(results)
    if any(result.verdict is Verdict.FAILED for result in results):
        raise click.exceptions.Exit(1)


def _secret(argument: str) -> str:
    return sys.stdin.readline().strip() if argument == "-" else argument


def _client(base_url: str, token: str) -> httpx2.Client:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.UsageError("BASE_URL is the server's https:// URL, as https://scim.example/v2")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise click.UsageError("BASE_URL must be https:// unless it is this machine: the token would travel in clear")
    if not token or not token.isascii() or not token.isprintable():
        raise click.UsageError("TOKEN is missing, or holds characters that no token has")
    return httpx2.Client(
        base_url=base_url.rstrip("/"),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/scim+json",
            "Content-Type": "application/scim+json",
            "User-Agent": "identity-scim-check",
        },
        timeout=TIMEOUT_S,
        follow_redirects=False,  # a token goes where it was told to, nowhere else
        trust_env=not is_loopback(parts.hostname),
    )


def _check_reachable(asking: Asking) -> None:
    try:
        answer = asking.http.get("/Users", params={"count": "1"})
    except httpx2.HTTPError as error:
        raise Refused(f"{asking.http.base_url} does not answer ({type(error).__name__})", UNREACHABLE) from error
    if answer.status_code in (401, 403):
        raise Refused(f"the server refuses this token ({answer.status_code})", NOT_AUTHENTICATED)


def _show(results: list[Result]) -> None:
    counts = {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    items = [
        {"verdict": one.verdict.value, "check": one.title, "section": one.section, "detail": one.detail}
        for one in results
    ]
    show_list({"items": items, "next_cursor": None, "counts": counts}, "verdict", "check", "section", "detail")
