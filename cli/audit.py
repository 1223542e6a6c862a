"""``identity audit``."""

import click

from cli.arguments import after_option, limit_option, tenant_argument
from cli.output import json_option
from cli.remote import connect, principal_id
from cli.showing import show_list


@click.group()
def audit() -> None:
    """The audit trail: every change, every issued token, every refusal."""


@audit.command("list")
@tenant_argument
@click.option("--txn", help="Only what serves this task.")
@click.option("--principal", help="Only what names this principal, by id or name.")
@click.option("--type", "type_", help="Only events of this type, as delegation.granted.")
@limit_option
@after_option
@json_option
def list_(
    tenant: str, txn: str | None, principal: str | None, type_: str | None, limit: int, after: str | None
) -> None:
    """Read a tenant's trail, oldest first."""
    remote = connect()
    whom = None if principal is None else principal_id(remote, tenant, principal)
    path = f"/tenants/{tenant}/events"
    page = remote.pages(path, limit=limit, after=after, txn=txn, principal=whom, type=type_)
    show_list(page, "at", "type", "outcome", "reason", "subject_id", "actor_ids", "txn", "id")
