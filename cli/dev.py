"""``identity dev`` and ``identity demo``: everything on this machine, from nothing, with one command."""

import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import click

from cli.output import is_json, json_option
from config.files import write_private
from dev.installation import FILE, BrokenFolderError
from dev.postgres import PostgresUnavailableError
from dev.supervisor import Ready, StartError, run_installation

STORY_PLAYED = "story_played"


@click.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, envvar="IDENTITY_PORT")
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".data"), show_default=True,
    envvar="IDENTITY_DATA", help="Where everything is kept.",
)  # fmt: skip
@click.option("--story", is_flag=True, help="On the first start, play an agent's story in the tenant acme.")
@json_option
@click.pass_context
def dev(context: click.Context, port: int, folder: Path, *, story: bool) -> None:
    """Run PostgreSQL, web, worker and relay together; Ctrl-C stops everything."""
    if context.invoked_subcommand is not None:
        return
    as_json = is_json()

    def on_ready(ready: Ready) -> bool:
        if as_json:
            click.echo(json.dumps(_document(ready)))
        else:
            click.echo(_greeting(ready))
            click.echo(_what_next(ready, _play_once(ready) if story else {}))
        sys.stdout.flush()
        return True

    _run(folder.resolve(), port, on_ready)


@dev.command()
@json_option
def distrust() -> None:
    """End every connection that trusts the development issuer, in the database that the settings name.

    `identity serve` refuses to start while a tenant has one. Tokens that rest on it end too.
    """
    from cli.distrust import end_development_connections  # noqa: PLC0415

    end_development_connections()


@click.command()
@json_option
def demo() -> None:
    """Play an agent's story on a throw-away installation; exit 0 only if every step ended as it should."""
    as_json, outcome = is_json(), {"succeeded": False}
    folder = Path(mkdtemp(prefix="identity-demo-"))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass

    def on_ready(ready: Ready) -> bool:
        outcome["succeeded"] = _play(ready, quiet=as_json) is not None
        return False

    try:
        _run(folder, _free_port(), on_ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(json.dumps(outcome))
    sys.exit(0 if outcome["succeeded"] else 1)


def _run(folder: Path, port: int, on_ready: Callable[[Ready], bool]) -> None:
    try:
        run_installation(folder, port=port, environment=dict(os.environ), on_ready=on_ready)
    except (StartError, PostgresUnavailableError, BrokenFolderError) as error:
        raise click.ClickException(str(error)) from error


def _play_once(ready: Ready) -> dict[str, str]:
    played = ready.folder / STORY_PLAYED
    if played.exists() or ready.admin_token is None:
        return {}
    found = _play(ready)
    if found is not None:
        write_private(played, "")
    return found or {}


def _play(ready: Ready, *, quiet: bool = False) -> dict[str, str] | None:
    """Return what the story left worth trying, or None when a step did not end as it should."""
    from rich.console import Console  # noqa: PLC0415

    from dev.demo import StoryError, play  # noqa: PLC0415

    try:
        return play(ready.base_url, ready.admin_token or "", Console(quiet=quiet, highlight=False))
    except StoryError as error:
        click.echo(f"The story stopped: {error}", err=True)
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _document(ready: Ready) -> dict[str, object]:
    return {
        "base_url": ready.base_url,
        "data": str(ready.folder),
        "took_s": round(ready.took_s, 2),
        "admin_token": None if ready.admin_token_is_given else ready.admin_token,
    }


def _greeting(ready: Ready) -> str:
    lines = [f"Identity Foundation is ready at {ready.base_url} ({ready.took_s:.1f} s).  Data: {ready.folder}", ""]
    return "\n".join([*lines, *_token_lines(ready), ""])


def _token_lines(ready: Ready) -> list[str]:
    if ready.admin_token_is_given:
        return ["Administrator's token: that of IDENTITY_ADMIN_TOKEN, which commands in another terminal need too."]
    if ready.admin_token is None:
        return [
            "Administrator's token: an earlier version printed it once and kept its hash, and it still works.",
            f"For a new one that is kept: delete the line admin_token_sha256 from {ready.folder / FILE}, start again.",
        ]
    elsewhere = f"set IDENTITY_DATA={shlex.quote(str(ready.folder))}"
    if ready.folder == Path(".data").resolve():
        where = f"In {ready.folder.parent} `identity` finds it, and this URL, by itself; elsewhere {elsewhere}"
    else:
        where = f"For `identity` to find it, and this URL: {elsewhere}"
    return [f"Administrator's token: {ready.admin_token}", where]


def _what_next(ready: Ready, story: dict[str, str]) -> str:
    admin = "$IDENTITY_ADMIN_TOKEN"
    lines = ["", "Try next, in another terminal:"]
    if not ready.admin_token_is_given and ready.admin_token is not None:
        lines.append(f"  export IDENTITY_ADMIN_TOKEN={ready.admin_token}")
    lines.append(f'  curl -H "Authorization: Bearer {admin}" {ready.base_url}/admin/v1/tenants')
    if story:
        bearer = story["scim_token"]
        lines += [
            f"  curl -H 'Authorization: Bearer {bearer}' '{story['scim_base_url']}/Users'",
            f"  curl {story['issuer']}/.well-known/openid-configuration",
            f'  curl -H "Authorization: Bearer {admin}" '
            f"'{ready.base_url}/admin/v1/tenants/acme/events?txn={story['txn']}'",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops everything; what is kept stays in the data folder."])
