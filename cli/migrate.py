"""``identity migrate``: move the schema to the revision of this version, or back."""

import click

from cli.output import answer, json_option
from config.settings import load_settings
from server import schema as database_schema
from server.process import name_sessions


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def migrate(context: click.Context) -> None:
    """Move the database's schema up to date (up), back (down), or say where it is (status, sql)."""
    name_sessions("migrate")
    if context.invoked_subcommand is None:
        context.invoke(up)


@migrate.command()
@click.option("--to", default="head", show_default=True, help="The revision to stop at.")
@json_option
def up(to: str) -> None:
    """Apply what is missing, beside the running programs: a step that gives way to a request is tried again."""
    owner_url = load_settings().owner_url
    database_schema.migrate(owner_url, to)
    _show_state(owner_url)


@migrate.command()
@click.option("--to", required=True, help="The revision to go back to; see status.")
@click.option("--lose-data", is_flag=True, help="Go on where rows or columns are lost.")
@json_option
def down(to: str, lose_data: bool) -> None:
    """Take back what came after a revision, with no program running that needs it."""
    owner_url = load_settings().owner_url
    database_schema.migrate_down(owner_url, to, lose_data=lose_data)
    _show_state(owner_url)


@migrate.command()
@json_option
def status() -> None:
    """Say where the schema is, where it should be, and whether this version can serve on it."""
    _show_state(load_settings().owner_url)


def _show_state(owner_url: str) -> None:
    schema, head = database_schema.schema_found(owner_url), database_schema.head_revision()
    answer(
        {
            "current": schema.revision,
            "head": head,
            "is_at_head": schema.is_at_head,
            "serves_from": schema.serves_from,
            "fault": schema.fault,
        },
        _in_words(schema, head),
    )


def _in_words(schema: database_schema.Schema, head: str) -> str:
    if schema.is_at_head:
        return f"at {head}"
    if schema.is_ahead:
        served = (
            "serves this version too" if schema.fault is None else "does not serve this version: install a later one"
        )
        return f"at {schema.revision}, later than {head}; it {served}"
    return f"at {schema.revision}, should be at {head}: run `identity migrate up`"


@migrate.command()
@json_option
def sql() -> None:
    """Print the SQL of every migration, for those who apply it by hand."""
    text = database_schema.migration_sql(load_settings().owner_url)
    answer({"sql": text}, text)
