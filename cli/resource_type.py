"""``identity resource-type``."""

from typing import Any

import click

from cli.arguments import tenant_argument
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one


@click.group("resource-type")
def resource_type() -> None:
    """Manage SCIM resource types of your own, and extensions of the built-in ones."""


extension_option = click.option(
    "--extension", "extensions", multiple=True, metavar="ID", help="A schema that extends it; may be repeated."
)
required_option = click.option(
    "--required", "required", multiple=True, metavar="ID", help="A schema that extends every resource of it."
)


def _extensions(extensions: tuple[str, ...], required: tuple[str, ...]) -> list[dict[str, Any]]:
    optional = [{"schema": id_} for id_ in extensions if id_ not in required]
    return [*optional, *({"schema": id_, "required": True} for id_ in required)]


@resource_type.command()
@tenant_argument
@click.argument("name")
@click.option("--endpoint", required=True, help="Where its resources are, as in /Devices.")
@click.option("--schema", required=True, metavar="ID", help="The schema of its resources.")
@click.option("--description", default="")
@extension_option
@required_option
@json_option
def define(
    tenant: str,
    name: str,
    endpoint: str,
    schema: str,
    description: str,
    extensions: tuple[str, ...],
    required: tuple[str, ...],
) -> None:
    """Define the resource type NAME."""
    asked: dict[str, Any] = {"name": name, "endpoint": endpoint, "schema": schema, "description": description}
    asked["schemaExtensions"] = _extensions(extensions, required)
    show_one(connect().post(f"/tenants/{tenant}/resource-types", asked))


@resource_type.command("list")
@tenant_argument
@json_option
def list_(tenant: str) -> None:
    """List resource types."""
    columns = ("name", "endpoint", "schema", "schemaExtensions", "is_built_in")
    show_list([connect().get(f"/tenants/{tenant}/resource-types")], *columns)


@resource_type.command()
@tenant_argument
@click.argument("name")
@extension_option
@required_option
@json_option
def extend(tenant: str, name: str, extensions: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Let exactly these schemas extend the resource type NAME; without any, none."""
    body = {"schemaExtensions": _extensions(extensions, required)}
    show_one(connect().patch(f"/tenants/{tenant}/resource-types/{name}", body))


@resource_type.command()
@tenant_argument
@click.argument("name")
@json_option
def delete(tenant: str, name: str) -> None:
    """Delete a resource type of which there is no resource."""
    connect().delete(f"/tenants/{tenant}/resource-types/{name}")
    show_one({"name": name, "deleted": True})
