"""The command ``identity``. A command is one line here; its module is imported when it is used."""

from importlib import import_module

import click
import psycopg

from config.settings import SettingsError
from dev.installation import FolderInUseError
from identity.model.errors import Unavailable

COMMANDS = {
    "dev": "cli.dev",
    "demo": "cli.dev",
    "serve": "cli.run",
    "worker": "cli.run",
    "relay": "cli.run",
    "migrate": "cli.migrate",
    "doctor": "cli.doctor",
    "restored": "cli.restored",
    "tenant": "cli.tenant",
    "connection": "cli.connection",
    "schema": "cli.schema",
    "resource-type": "cli.resource_type",
    "client": "cli.client",
    "resource": "cli.resource",
    "resource-pair": "cli.resource_pair",
    "agent": "cli.agent",
    "delegation": "cli.delegation",
    "task": "cli.task",
    "key": "cli.key",
    "audit": "cli.audit",
    "scim": "cli.scim.commands",
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
