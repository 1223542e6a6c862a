"""``identity dev``: everything on this machine, from nothing, with one command."""

import json
import os
import sys
from pathlib import Path

import click

from config.commands.output import is_json, json_option
from config.postgres import PostgresUnavailableError
from config.supervisor import Ready, StartError, run_installation


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, envvar="IDENTITY_PORT")
@click.option(
    "--data", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".data"), show_default=True,
    envvar="IDENTITY_DATA", help="Where everything is kept.",
)  # fmt: skip
@json_option
def dev(port: int, folder: Path) -> None:
    """Run PostgreSQL, web, worker and relay together; Ctrl-C stops everything."""
    as_json = is_json()

    def on_ready(ready: Ready) -> None:
        click.echo(json.dumps(_document(ready)) if as_json else _words(ready))
        sys.stdout.flush()

    try:
        run_installation(folder.resolve(), port=port, environment=dict(os.environ), on_ready=on_ready)
    except (StartError, PostgresUnavailableError) as error:
        raise click.ClickException(str(error)) from error


def _document(ready: Ready) -> dict[str, object]:
    return {
        "base_url": ready.base_url,
        "data": str(ready.folder),
        "took_s": round(ready.took_s, 2),
        "admin_token": ready.admin_token if ready.admin_token_is_new else None,
    }


def _words(ready: Ready) -> str:
    lines = [f"Identity Foundation is ready at {ready.base_url} ({ready.took_s:.1f} s).  Data: {ready.folder}"]
    if ready.admin_token_is_new:
        lines += [
            "",
            f"  Administrator's token, shown this once:  {ready.admin_token}",
            f"  export IDENTITY_ADMIN_TOKEN={ready.admin_token}",
        ]
    lines += [
        "",
        "Try next:",
        f"  curl {ready.base_url}/readyz",
        f"  curl -H \"Authorization: Bearer $IDENTITY_ADMIN_TOKEN\" {ready.base_url}/admin/v1/tenants",
        "",
        "Ctrl-C stops everything.",
    ]  # fmt: skip
    return "\n".join(lines)
