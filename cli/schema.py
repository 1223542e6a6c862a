"""``identity schema``."""

import json
from typing import Any, TextIO
from urllib.parse import quote

import click

from cli.arguments import tenant_argument
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one


@click.group()
def schema() -> None:
    """Manage SCIM schemas of your own."""


def read_document(file: TextIO) -> dict[str, Any]:
    """Return the JSON object in a file."""
    try:
        found = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{file.name} holds no JSON object")
    return found


def _path(tenant: str, id_: str) -> str:
    return f"/tenants/{tenant}/schemas/{quote(id_, safe=':')}"


@schema.command()
@tenant_argument
@click.argument("file", type=click.File())
@json_option
def define(tenant: str, file: TextIO) -> None:
    """Define the schema that FILE describes (RFC 7643 §7); - reads standard input."""
    show_one(connect().post(f"/tenants/{tenant}/schemas", read_document(file)))


@schema.command("list")
@tenant_argument
@json_option
def list_(tenant: str) -> None:
    """List the schemas that a tenant defined."""
    show_list([connect().get(f"/tenants/{tenant}/schemas")], "id", "version", "description", "created_at")


@schema.command()
@tenant_argument
@click.argument("id_", metavar="ID")
@json_option
def show(tenant: str, id_: str) -> None:
    """Show the newest version of a schema."""
    show_one(connect().get(_path(tenant, id_)))


@schema.command()
@tenant_argument
@click.argument("id_", metavar="ID")
@json_option
def versions(tenant: str, id_: str) -> None:
    """List every version of a schema."""
    show_list([connect().get(f"{_path(tenant, id_)}/versions")], "version", "created_at", "description")


@schema.command()
@tenant_argument
@click.argument("id_", metavar="ID")
@click.argument("file", type=click.File())
@json_option
def change(tenant: str, id_: str, file: TextIO) -> None:
    """Write the next version: name, description and attributes as FILE gives them."""
    document = read_document(file)
    document.pop("id", None)
    show_one(connect().patch(_path(tenant, id_), document))


@schema.command()
@tenant_argument
@click.argument("id_", metavar="ID")
@json_option
def delete(tenant: str, id_: str) -> None:
    """Delete a schema that no resource type uses."""
    connect().delete(_path(tenant, id_))
    show_one({"id": id_, "deleted": True})
