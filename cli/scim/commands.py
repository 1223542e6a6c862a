"""``identity scim``."""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import click
import httpx2

from cli.arguments import Segment
from cli.output import answer, json_option
from cli.remote import NOT_AUTHENTICATED, UNREACHABLE, Refused, printable
from cli.scim.load.bulks import Bulks
from cli.scim.load.lines import NotLoaded, read_lines
from cli.scim.load.load import Load, Tally
from cli.scim.load.progress import Course, progress
from cli.scim.selftest import discovery, groups, users
from cli.scim.selftest.asking import Asking, Result, Verdict, run_checks
from cli.showing import show_list
from config.settings import is_loopback

TIMEOUT_S = 15.0
BULK_TIMEOUT_S = 120.0
REFUSED_SHOWN_MAX = 5  # where no file keeps them
MODULES = (discovery, users, groups)  # in the order in which their checks are made


@click.group()
def scim() -> None:
    """SCIM: try out a server, or fill it; this one or any other."""


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
    with _client(base_url, _secret(token), TIMEOUT_S) as http:
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


@scim.command()
@click.argument("base_url")
@click.argument("token")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--type", "endpoint", type=Segment(), default="Users", show_default=True, help="The endpoint.")
@click.option("--refused", type=click.Path(dir_okay=False, path_type=Path),
              help="Keep the refused lines here, each with its error. What was in this file is lost.")  # fmt: skip
@json_option
def load(base_url: str, token: str, path: str, endpoint: str, refused: Path | None) -> None:
    """Create every resource of FILE, one JSON object a line, through /Bulk.

    TOKEN is a bearer token, or - to read it from standard input. A resource that is there already (409 uniqueness) is
    no error, so a load that was ended is begun again with the same command. Exit code 0: every line is there; 1: some
    were refused; 3: no answer; 4: no such token.
    """
    if [token, path].count("-") > 1:
        raise click.UsageError("only one of TOKEN and FILE can come from standard input")
    with click.open_file(path, "rb") as file:
        if refused is not None and _is_same(refused, file):
            raise click.UsageError("the refused lines would be written over FILE")
        with _client(base_url, _secret(token), BULK_TIMEOUT_S) as http, _keeping(refused) as keep:
            tally = _loaded(http, file, endpoint, keep)
    if tally.refused:
        raise click.exceptions.Exit(1)


def _loaded(http: httpx2.Client, file: IO[bytes], endpoint: str, keep: Callable[[NotLoaded], None]) -> Tally:
    """Load a file; answer with the numbers, also when it is ended on the way."""
    course = Course(time.monotonic(), _length(file))
    with progress(course) as tell:
        bulks = Bulks(http, time.sleep)
        work = Load(bulks, bulks.limits(), endpoint, keep, tell)
        try:
            return work.load(read_lines(file, work.limits.bytes_of_a_resource(endpoint)))
        finally:
            answer(work.tally.as_json(), course.line(work.tally, time.monotonic()))


def _is_same(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


def _length(file: IO[bytes]) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except OSError:
        return None


@contextmanager
def _keeping(path: Path | None) -> Iterator[Callable[[NotLoaded], None]]:
    """Yield what keeps refused lines: in a file that only its owner may read, or else the first on standard error."""
    if path is None:
        shown = iter(range(REFUSED_SHOWN_MAX))

        def show(line: NotLoaded) -> None:
            if next(shown, None) is not None:
                click.echo(f"line {line.number}: {line.status} {printable(line.detail)}", err=True)

        yield show
        return
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(opened, "w", encoding="utf-8", buffering=1) as kept:

        def keep(line: NotLoaded) -> None:
            kept.write(line.written())

        yield keep


def _secret(argument: str) -> str:
    return sys.stdin.readline().strip() if argument == "-" else argument


def _client(base_url: str, token: str, timeout_s: float) -> httpx2.Client:
    parts = urlsplit(base_url)
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
    show_list([{"items": items, "next_cursor": None, "counts": counts}], "verdict", "check", "section", "detail")
