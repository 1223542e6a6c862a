"""``identity delegation``."""

from typing import Any

import click

from cli.arguments import JSON, after_option, id_argument, limit_option, tenant_argument
from cli.delegation_change import change
from cli.naming import principal_id, with_names, with_names_in
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_done, show_list, show_one

COLUMNS = ("id", "actor", "subject", "resource", "scopes", "expires_at", "ended_at")
NAMES = {"actor": ("actor_id",), "subject": ("subject_id", "subject_group_id")}


@click.group()
def delegation() -> None:
    """Manage delegations: which agent may act for whom."""


@delegation.command()
@tenant_argument
@click.option("--actor", required=True, help="The agent or service account, by name or id.")
@click.option("--subject", help="For this user, by name or id.")
@click.option("--group", help="Or: for the members of this group, by name or id.")
@click.option("--resource", required=True, help="The resource server's audience.")
@click.option("--scope", "scopes", multiple=True, help="A scope; may be repeated.")
@click.option("--details", type=JSON, help="authorization_details (RFC 9396), @FILE.")
@click.option("--max-lifetime-s", type=int, help="The longest life of a token, in seconds.")
@click.option(
    "--max-depth", type=int, help="How many agents may act from this one on, itself included; 1: it may not hand on."
)
@click.option("--max-task-s", type=int, help="How long a task under it may go on, in seconds: 60 to 86400.")
@click.option("--expires-at", help="When it expires: 2027-01-31T12:00:00Z.")
@json_option
def grant(
    tenant: str, actor: str, subject: str | None, group: str | None, scopes: tuple[str, ...], details: Any, **rest: Any
) -> None:
    """Let an agent act for a user, or for the members of a group, at one resource server."""
    if (subject is None) == (group is None):
        raise click.UsageError("give either --subject or --group")
    remote = connect()
    asked = rest | {
        "actor_id": principal_id(remote, tenant, actor),
        "subject_id": None if subject is None else principal_id(remote, tenant, subject, "user"),
        "subject_group_id": None if group is None else principal_id(remote, tenant, group, "group"),
        "scopes": list(scopes),
        "authorization_details": details,
    }
    show_one(remote.post(f"/tenants/{tenant}/delegations", asked))


@delegation.command("list")
@tenant_argument
@click.option("--actor", help="Only those of this agent, by name or id.")
@click.option("--subject", help="Only those for this user or group, by name or id.")
@click.option(
    "--active", is_flag=True, help="Only those that have neither ended nor expired, the next to expire first."
)
@limit_option
@after_option
@json_option
def list_(tenant: str, actor: str | None, subject: str | None, active: bool, limit: int, after: str | None) -> None:
    """List delegations, ended ones among them unless --active is given."""
    remote = connect()
    named = {"actor": actor, "subject": subject}
    query = {role: principal_id(remote, tenant, who) for role, who in named.items() if who is not None}
    if active:
        query["active"] = "true"
    pages = remote.pages(f"/tenants/{tenant}/delegations", limit=limit, after=after, **query)
    show_list(with_names(remote, tenant, pages, NAMES), *COLUMNS)


@delegation.command()
@tenant_argument
@id_argument("delegation_id")
@json_option
def show(tenant: str, delegation_id: str) -> None:
    """Show one delegation."""
    remote = connect()
    found = remote.get(f"/tenants/{tenant}/delegations/{delegation_id}")
    show_one(with_names_in(remote, tenant, found, NAMES))


@delegation.command()
@tenant_argument
@id_argument("delegation_id")
@json_option
def end(tenant: str, delegation_id: str) -> None:
    """End a delegation, and every token that rests on it."""
    connect().delete(f"/tenants/{tenant}/delegations/{delegation_id}")
    show_done("The delegation has ended, and every token that rests on it.", id=delegation_id, ended=True)


delegation.add_command(change)
