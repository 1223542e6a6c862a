"""``identity scim``."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
import httpx2

from cli.arguments import Segment
from cli.output import json_option
from cli.problems import NOT_AUTHENTICATED, UNREACHABLE, Refused, printable
from cli.scim.load.file import Form
from cli.scim.load.lines import NotLoaded
from cli.scim.load.run import LoadOptions, load_file
from cli.scim.selftest import discovery, groups, users
from cli.scim.selftest.run import Result, Run, Verdict, run_checks
from cli.scim.server import TOKEN_HELP, VARIABLE, bearer_token, scim_client
from cli.showing import show_list

TIMEOUT_S = 15.0
BULK_TIMEOUT_S = 120.0
REFUSED_SHOWN_MAX = 5  # where no file keeps them
MODULES = (discovery, users, groups)  # in the order in which their checks are made
FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.group()
def scim() -> None:
    """SCIM: try out a server, or fill it; this one or any other."""


@scim.command()
@click.argument("base_url")
@click.argument("token", required=False)
@click.option("--as", "sources", type=click.Choice(["entra", "okta"]), multiple=True,
              help="Fail where what this source sends is not read. Without it, that is only reported.")  # fmt: skip
@json_option
def check(base_url: str, token: str | None, sources: tuple[str, ...]) -> None:
    with scim_client(base_url, bearer_token(token), TIMEOUT_S) as http:
        run = Run(http, mark=secrets.token_hex(6))
        _check_reachable(http)
        try:
            results = list(run_checks(run, frozenset(sources)))
        finally:
            left = run.clean_up()
    results += [Result("Clean up", path, Verdict.FAILED, "could not be deleted") for path in left]
    _show(results)
    if any(result.verdict is Verdict.FAILED for result in results):
        raise click.exceptions.Exit(1)


check.help = f"""Ask a SCIM server what an identity provider would, and say what it does not do as the standard wants.

{TOKEN_HELP} Two users and a group are made, changed and deleted again; nothing else is touched. Exit code 0: nothing
failed; 1: something did; 3: no answer; 4: no such token.
"""


@scim.command()
@click.argument("base_url")
@click.argument("words", metavar="[TOKEN] FILE", nargs=-1, required=True)
@click.option("--type", "endpoint", type=Segment(), default="Users", show_default=True, help="The endpoint.")
@click.option("--format", "form", type=click.Choice([form.value for form in Form]),
              help="What FILE is; else its first line tells.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Read all of FILE, hold it against the server's schemas, send nothing.")
@click.option("--refused", type=click.Path(dir_okay=False, path_type=Path),
              help="Keep the refused lines here, each with its error. What was in this file is lost.")  # fmt: skip
@json_option
@click.pass_context
def load(
    context: click.Context, base_url: str, words: tuple[str, ...], endpoint: str, form: str | None, *,
    dry_run: bool, refused: Path | None,
) -> None:  # fmt: skip
    token, path = _token_and_file(words, context)
    with click.open_file(path, "rb") as file:
        if refused is not None and _is_same(refused, file):
            raise click.UsageError("the refused lines would be written over FILE")
        with scim_client(base_url, bearer_token(token), BULK_TIMEOUT_S) as http, _keeping(refused) as keep:
            tally = load_file(http, file, LoadOptions(endpoint, Form(form) if form else None, dry_run=dry_run), keep)
    if tally.refused:
        raise click.exceptions.Exit(1)


load.help = f"""Create every resource of FILE through /Bulk: one JSON object a line, or a table (CSV).

{TOKEN_HELP} The first line of a table names attributes: userName, name.givenName, emails.work, active. A resource that
is there already (409 uniqueness) is no error, so a load that was ended is begun again with the same command. Exit code
0: every line is there; 1: some were refused; 2: FILE or an option is wrong; 3: no answer; 4: no such token.
"""


def _token_and_file(words: tuple[str, ...], context: click.Context) -> tuple[str | None, str]:
    if len(words) > 2:
        raise click.UsageError("give BASE_URL, TOKEN and FILE, and nothing else")
    if len(words) == 1 and not os.environ.get(VARIABLE):
        raise click.UsageError(f"TOKEN or FILE is missing: give both, or set {VARIABLE}")
    if words.count("-") > 1:
        raise click.UsageError("only one of TOKEN and FILE can come from standard input")
    path = str(FILE.convert(words[-1], None, context))
    return (words[0] if len(words) == 2 else None), path


def _is_same(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


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


def _check_reachable(http: httpx2.Client) -> None:
    try:
        answer = http.get("/Users", params={"count": "1"})
    except httpx2.HTTPError as error:
        raise Refused(f"{http.base_url} does not answer ({type(error).__name__})", UNREACHABLE) from error
    if answer.status_code in (401, 403):
        raise Refused(f"the server refuses this token ({answer.status_code})", NOT_AUTHENTICATED)


def _show(results: list[Result]) -> None:
    counts = {verdict.value: sum(result.verdict is verdict for result in results) for verdict in Verdict}
    items = [
        {"verdict": one.verdict.value, "check": one.title, "section": one.section, "detail": one.detail}
        for one in results
    ]
    show_list([{"items": items, "next_cursor": None, "counts": counts}], "verdict", "check", "section", "detail")
