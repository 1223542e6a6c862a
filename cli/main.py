"""The command ``identity``. A command is one line here; its module is imported when it is used."""

from importlib import import_module

import click

from cli.failures import explained
from cli.output import JsonGroup, errors_are_json, errors_in_json, json_option
from cli.sources import PROFILE_KEY, URL_KEY

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
    "agent": "cli.principals",
    "service-account": "cli.principals",
    "user": "cli.principals",
    "group": "cli.principals",
    "delegation": "cli.delegation",
    "task": "cli.task",
    "key": "cli.signing_key",
    "audit": "cli.event",
    "scim": "cli.scim.commands",
    "login": "cli.profile_commands",
    "logout": "cli.profile_commands",
    "whoami": "cli.profile_commands",
    "status": "cli.profile_commands",
    "completion": "cli.completion",
}
"""Name of the command, and the module that holds a click command of that name, hyphens apart."""


class Commands(JsonGroup):
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which ones are called almost so."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, and say what is wrong in words."""
        with errors_in_json(lambda: errors_are_json(ctx)), explained():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="identity-foundation")
@click.option("--profile", help="Use the profile of this name.")
@click.option("--url", help="Ask the installation at this URL.")
@json_option
@click.pass_context
def main(context: click.Context, profile: str | None, url: str | None) -> None:
    """Identity Foundation: who acts, for whom, in which tenant, for which task, and is it still true."""
    context.meta[PROFILE_KEY], context.meta[URL_KEY] = profile, url


if __name__ == "__main__":
    main()
