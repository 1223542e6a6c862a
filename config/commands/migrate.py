"""``identity migrate``: bring the schema to where this version needs it."""

import click
from sqlalchemy.exc import OperationalError

from config import database
from config.commands.output import answer, json_option
from config.settings import load_settings


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def migrate(context: click.Context) -> None:
    """Bring the database's schema up to date (up), or say where it is (status, sql)."""
    if context.invoked_subcommand is None:
        context.invoke(up)


@migrate.command()
@json_option
def up() -> None:
    """Apply what is missing."""
    settings = load_settings()
    try:
        database.migrate(settings.owner_url)
    except OperationalError as error:
        raise click.ClickException(f"the database refused: {error.orig}") from error
    _tell_state(settings.owner_url)


@migrate.command()
@json_option
def status() -> None:
    """Say where the schema is and where it should be."""
    _tell_state(load_settings().owner_url)


def _tell_state(owner_url: str) -> None:
    current, head = database.schema_state(owner_url)
    words = f"at {current}" if current == head else f"at {current}, should be at {head}: run `identity migrate up`"
    answer({"current": current, "head": head, "is_at_head": current == head}, words)


@migrate.command()
@json_option
def sql() -> None:
    """Print the SQL of every migration, for those who apply it by hand."""
    text = database.migration_sql(load_settings().owner_url)
    answer({"sql": text}, text)
