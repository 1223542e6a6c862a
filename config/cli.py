"""The command ``identity``. A command is one line here; its module is imported when it is used."""

from importlib import import_module

import click
import psycopg

from config.installation import FolderInUseError
from config.settings import SettingsError
from identity.model.errors import Unavailable

COMMANDS = {
    "dev": "config.commands.dev",
    "demo": "config.commands.dev",
    "serve": "config.commands.run",
    "worker": "config.commands.run",
    "relay": "config.commands.run",
    "migrate": "config.commands.migrate",
    "doctor": "config.commands.doctor",
    "restored": "config.commands.restored",
    "tenant": "config.commands.tenant",
    "connection": "config.commands.connection",
    "schema": "config.commands.schema",
    "resource-type": "config.commands.resource_type",
    "client": "config.commands.client",
    "resource": "config.commands.resource",
    "agent": "config.commands.agent",
    "delegation": "config.commands.delegation",
    "task": "config.commands.task",
    "key": "config.commands.key",
    "audit": "config.commands.audit",
    "scim": "config.commands.scim",
}
"""Name of the command, and the module that holds a click command of that name, hyphens apart."""


class Commands(click.Group):
    """Commands found by name; a wrong setting or a lost database is one line, not a stack trace."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, and say what is wrong in words."""
        try:
            return super().invoke(ctx)
        except (SettingsError, FolderInUseError, Unavailable) as error:
            raise click.ClickException(str(error)) from error
        except psycopg.OperationalError as error:
            raise click.ClickException(f"the database does not answer: {error}") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="identity-foundation")
def main() -> None:
    """Identity Foundation: who is asking, for whom, in which tenant, for which task, and is it still true."""


if __name__ == "__main__":
    main()
