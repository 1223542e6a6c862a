"""``identity dev`` and ``identity demo``: everything on this machine, from nothing, with one command."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import click

from cli.output import is_json, json_option
from config.failures import Failure, missing_extra
from config.files import write_private
from dev.supervisor import Ready, run_installation

STORY_PLAYED = "story_played"


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, envvar="IDENTITY_PORT")
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, readable=False, path_type=Path), default=Path(".data"),
    show_default=True, envvar="IDENTITY_DATA", help="Where everything is kept.",
)  # fmt: skip
@click.option("--story", is_flag=True, help="On the first start, play an agent's story in the tenant acme.")
@json_option
def dev(port: int, folder: Path, *, story: bool) -> None:
    """Run PostgreSQL, web, worker and relay together; Ctrl-C stops everything."""
    as_json = is_json()
    if story:
        _refuse_without_policy_engine()

    def on_ready(ready: Ready) -> bool:
        if as_json:
            click.echo(json.dumps(_document(ready)))
        else:
            click.echo(_greeting(ready))
            click.echo(_what_next(ready, _play_once(ready) if story else {}))
        sys.stdout.flush()
        return True

    _run(folder.resolve(), port, on_ready)


@click.command()
@json_option
def demo() -> None:
    """Play an agent's story on a throw-away installation; exit 0 only if every step ended as it should."""
    _refuse_without_policy_engine()
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


def _refuse_without_policy_engine() -> None:
    """The service in the story decides by Cedar, which an extra installs: said before everything is started."""
    if find_spec("cedarpy") is None:
        raise Failure(missing_extra("cedarpy", "demo"))


def _run(folder: Path, port: int, on_ready: Callable[[Ready], bool]) -> None:
    run_installation(folder, port=port, environment=dict(os.environ), on_ready=on_ready)


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
        "admin_token": ready.admin_token if ready.admin_token_is_new else None,
    }


def _greeting(ready: Ready) -> str:
    lines = [f"Identity Foundation is ready at {ready.base_url} ({ready.took_s:.1f} s).  Data: {ready.folder}", ""]
    if ready.admin_token_is_new:
        lines += [f"  Administrator's token, shown this once:  {ready.admin_token}", ""]
    return "\n".join(lines)


def _what_next(ready: Ready, story: dict[str, str]) -> str:
    admin = "$IDENTITY_ADMIN_TOKEN"
    lines = ["", "Try next, in another terminal:"]
    if ready.admin_token_is_new:
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
