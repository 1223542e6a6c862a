"""``identity dev`` and ``identity demo``: everything on this machine, from nothing, with one command."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path
from tempfile import mkdtemp

import click

from cli.arguments import tenant_option
from cli.output import is_json, json_option
from dev.supervisor import Ready, run_installation
from server.extras import require_extra

STORY_EXTRA = ("demo", "cedarpy")


@click.group(invoke_without_command=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, envvar="IDENTITY_PORT")
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, readable=False, path_type=Path), default=Path(".data"),
    show_default=True, envvar="IDENTITY_DATA", help="Where everything is kept.",
)  # fmt: skip
@click.option("--story", is_flag=True, help="On the first start, make the tenant acme, and play an agent's story in "
                                            "the tenant story.")  # fmt: skip
@json_option
@click.pass_context
def dev(context: click.Context, port: int, folder: Path, *, story: bool) -> None:
    """Run PostgreSQL, web, worker and relay together; Ctrl-C stops everything."""
    if context.invoked_subcommand is not None:
        return
    as_json = is_json()
    if story:
        require_extra("The story", *STORY_EXTRA)

    def on_ready(ready: Ready) -> bool:
        from cli.printout import document, greeting, what_next  # noqa: PLC0415 - after the server is ready
        from dev.preparation import prepare  # noqa: PLC0415

        if not as_json:
            click.echo(greeting(ready))
        prepared = prepare(ready, story=story, quiet=as_json)
        click.echo(json.dumps(document(ready, prepared)) if as_json else what_next(ready, prepared))
        sys.stdout.flush()
        return True

    run_installation(folder.resolve(), port=port, environment=dict(os.environ), on_ready=on_ready)


running_folder_option = click.option(
    "--data", "folder", type=click.Path(file_okay=False, path_type=Path), help="The folder of a running `identity dev`."
)


def _running_folder(context: click.Context, named: Path | None) -> Path:
    """Return the folder that is named behind the command, else before it, else the usual one."""
    chosen: Path = named or context.parent.params["folder"]  # type: ignore[union-attr] # dev is the parent
    return chosen.resolve()


@dev.command("id-token")
@click.argument("user")
@tenant_option
@running_folder_option
@json_option
@click.pass_context
def id_token(context: click.Context, user: str, tenant: str, folder: Path | None) -> None:
    """Print an ID token of USER, signed by the development issuer.

    USER is a user name, or the part of one before the @. It works while `identity dev` runs with the folder.
    """
    from cli.id_token import show_id_token  # noqa: PLC0415

    show_id_token(user, tenant, _running_folder(context, folder))


@dev.command("env")
@running_folder_option
@json_option
@click.pass_context
def env(context: click.Context, folder: Path | None) -> None:
    """Print URLs, ids and secrets of the tenant acme for a shell: eval "$(identity dev env)"."""
    from cli.environment import show_environment  # noqa: PLC0415

    show_environment(_running_folder(context, folder))


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
    require_extra("The story", *STORY_EXTRA)
    as_json, outcome = is_json(), {"succeeded": False}
    folder = Path(mkdtemp(prefix="identity-demo-"))
    folder.chmod(0o711)  # root lends PostgreSQL another account, which must be able to pass

    def on_ready(ready: Ready) -> bool:
        from dev.preparation import play_story  # noqa: PLC0415

        outcome["succeeded"] = play_story(ready, quiet=as_json) is not None
        return False

    try:
        environment = {"IDENTITY_MANAGEMENT_PORT": "0"} | os.environ  # a demo ends before metrics are read
        run_installation(folder, port=_free_port(), environment=environment, on_ready=on_ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        click.echo(json.dumps(outcome))
    sys.exit(0 if outcome["succeeded"] else 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
