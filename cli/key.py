"""``identity key``."""

import click

from cli.arguments import tenant_argument
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one


@click.group()
def key() -> None:
    """Manage the signing keys of a tenant."""


@key.command("list")
@tenant_argument
@json_option
def list_(tenant: str) -> None:
    """List the keys that still verify, oldest first."""
    columns = ("kid", "alg", "is_signing", "activates_at", "verify_until")
    show_list([connect().get(f"/tenants/{tenant}/keys")], *columns)


@key.command()
@tenant_argument
@json_option
def rotate(tenant: str) -> None:
    """Publish a new key; it signs once every cached key set has it, and no live token is refused."""
    show_one(connect().post(f"/tenants/{tenant}/keys/rotate"))
