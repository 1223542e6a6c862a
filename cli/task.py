"""``identity task``."""

import click

from cli.arguments import after_option, id_argument, limit_option, tenant_argument
from cli.naming import names_of, principal_id, with_names, with_names_in
from cli.output import answer, is_json, json_option
from cli.remote import connect
from cli.showing import show_list, show_one
from cli.task_tree import ids_in, lines_of, readable

COLUMNS = ("txn", "actor", "subject", "audience", "state", "expires_at")
NAMES = {"actor": ("actor_id",), "subject": ("subject_id",)}


@click.group()
def task() -> None:
    """Manage tasks."""


@task.command("list")
@tenant_argument
@click.option("--principal", help="Only those that this principal is a party to, by name or id.")
@limit_option
@after_option
@json_option
def list_(tenant: str, principal: str | None, limit: int, after: str | None) -> None:
    """List tasks, ended ones among them."""
    remote = connect()
    whose = None if principal is None else principal_id(remote, tenant, principal)
    pages = remote.pages(f"/tenants/{tenant}/tasks", limit=limit, after=after, principal=whose)
    show_list(with_names(remote, tenant, pages, NAMES), *COLUMNS)


@task.command()
@tenant_argument
@id_argument("txn")
@json_option
def show(tenant: str, txn: str) -> None:
    """Show one task: its purpose, its authority, and what it spent of its budget."""
    remote = connect()
    found = with_names_in(remote, tenant, remote.get(f"/tenants/{tenant}/tasks/{txn}"), NAMES)
    show_one(found if is_json() else readable(found))


@task.command()
@tenant_argument
@id_argument("txn")
@json_option
def tree(tenant: str, txn: str) -> None:
    """Draw who did what in a task: each token below the one that it was traded for."""
    remote = connect()
    found = remote.get(f"/tenants/{tenant}/tasks/{txn}/tree")
    answer(found, "" if is_json() else "\n".join(lines_of(found, names_of(remote, tenant, ids_in(found)))))


@task.command()
@tenant_argument
@id_argument("txn")
@click.option("--reason", help="Why, for the audit log.")
@json_option
def cancel(tenant: str, txn: str, reason: str | None) -> None:
    """End a task and every token that serves it, at once."""
    show_one(connect().post(f"/tenants/{tenant}/tasks/{txn}/cancel", {"reason": reason}))
