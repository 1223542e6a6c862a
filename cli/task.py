"""``identity task``."""

import click

from cli.arguments import after_option, id_argument, limit_option, tenant_argument
from cli.output import json_option
from cli.remote import connect, principal_id
from cli.showing import show_list, show_one


@click.group()
def task() -> None:
    """Tasks: pieces of work under a delegation."""


@task.command("list")
@tenant_argument
@click.option("--principal", help="Only those that this principal is a party to, by id or name.")
@limit_option
@after_option
@json_option
def list_(tenant: str, principal: str | None, limit: int, after: str | None) -> None:
    """List tasks, ended ones among them."""
    remote = connect()
    whose = None if principal is None else principal_id(remote, tenant, principal)
    page = remote.pages(f"/tenants/{tenant}/tasks", limit=limit, after=after, principal=whose)
    show_list(page, "txn", "actor_id", "subject_id", "audience", "state", "expires_at")


@task.command()
@tenant_argument
@id_argument("txn")
@json_option
def show(tenant: str, txn: str) -> None:
    """Show one task."""
    show_one(connect().get(f"/tenants/{tenant}/tasks/{txn}"))


@task.command()
@tenant_argument
@id_argument("txn")
@click.option("--reason", help="Why, for the audit trail.")
@json_option
def cancel(tenant: str, txn: str, reason: str | None) -> None:
    """End a task and every token that serves it, at once."""
    show_one(connect().post(f"/tenants/{tenant}/tasks/{txn}/cancel", {"reason": reason}))
