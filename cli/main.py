"""The command ``identity``. A command is one line here; its module is imported when it is used."""

from importlib import import_module

import click

from cli.failures import explained

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
    "agent": "cli.agent",
    "delegation": "cli.delegation",
    "task": "cli.task",
    "key": "cli.key",
    "audit": "cli.audit",
    "scim": "cli.scim.commands",
}
"""Name of the command, and the module that holds a click command of that name, hyphens apart."""


class Commands(click.Group):
    """Commands found by name; a failure is one sentence, not a traceback."""

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
        with explained():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="identity-foundation")
def main() -> None:
    """Identity Foundation: who is asking, for whom, in which tenant, for which task, and is it still true."""


if __name__ == "__main__":
    main()
