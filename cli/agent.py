"""``identity agent``: agents, and with --kind whoever else there is."""

import click

from cli.arguments import after_option, limit_option, tenant_argument
from cli.output import json_option
from cli.remote import connect, principal_id
from cli.showing import show_list, show_one

COLUMNS = ("id", "kind", "name", "display_name", "state", "external_id")
KINDS = ("agent", "service_account", "user", "group")
kind_option = click.option("--kind", type=click.Choice(KINDS), default="agent", show_default=True)


@click.group()
def agent() -> None:
    """Agents: see them, and stop them. --kind asks for service accounts, users and groups."""


@agent.command("list")
@tenant_argument
@kind_option
@click.option("--protected", is_flag=True, help="Only those that no source may change.")
@limit_option
@after_option
@json_option
def list_(tenant: str, kind: str, protected: bool, limit: int, after: str | None) -> None:
    """List agents."""
    only = {"is_protected": "true"} if protected else {}
    show_list(connect().pages(f"/tenants/{tenant}/principals", limit=limit, after=after, kind=kind, **only), *COLUMNS)


@agent.command()
@tenant_argument
@click.argument("named", metavar="ID_OR_NAME")
@kind_option
@json_option
def show(tenant: str, named: str, kind: str) -> None:
    """Show one agent, with those who answer for it."""
    remote = connect()
    show_one(remote.get(f"/tenants/{tenant}/principals/{principal_id(remote, tenant, named, kind)}"))


def _verb(name: str, words: str) -> None:
    @agent.command(name, help=words)
    @tenant_argument
    @click.argument("named", metavar="ID_OR_NAME")
    @click.option("--reason", help="Why, for the audit trail.")
    @kind_option
    @json_option
    def change(tenant: str, named: str, reason: str | None, kind: str) -> None:
        remote = connect()
        whom = principal_id(remote, tenant, named, kind)
        show_one(remote.post(f"/tenants/{tenant}/principals/{whom}/{name}", {"reason": reason}))


_verb("suspend", "Stop an agent at once, and everything that rests on it.")
_verb("reactivate", "Let an agent begin again, without its old tokens, credentials and delegations.")
_verb("deprovision", "End an agent's access, and everything that rests on it.")
_verb("protect", "Let no source change an agent; with --kind user, an account for the emergency.")
_verb("unprotect", "Give an agent back to its source.")
