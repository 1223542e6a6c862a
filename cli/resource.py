"""``identity resource``."""

import click

from cli.arguments import after_option, limit_option, tenant_argument
from cli.naming import principal_id
from cli.output import json_option
from cli.remote import connect
from cli.resource_change import change, delete, restricting_types, show
from cli.showing import show_list, show_one


@click.group()
def resource() -> None:
    """Manage resource servers, the audiences of tokens."""


@resource.command()
@tenant_argument
@click.argument("audience")
@click.option("--run-by", help="The agent or service account that runs it, by id or name.")
@click.option("--scope", "scopes", multiple=True, help="A scope that may be asked for; may be repeated.")
@click.option(
    "--details-type", "types", multiple=True, help="A type of authorization details that stands alone; may be repeated."
)
@click.option(
    "--restricting-type",
    "restrictions",
    nargs=2,
    multiple=True,
    metavar="TYPE SCOPE",
    help="A type of authorization details, and a scope that it restricts; may be repeated.",
)
@json_option
def register(
    tenant: str,
    audience: str,
    run_by: str | None,
    scopes: tuple[str, ...],
    types: tuple[str, ...],
    restrictions: tuple[tuple[str, str], ...],
) -> None:
    """Register a resource server, whose tokens name AUDIENCE."""
    known = [*types, *restricting_types(restrictions)]
    remote = connect()
    asked = {
        "audience": audience,
        "principal_id": None if run_by is None else principal_id(remote, tenant, run_by),
        "scopes": list(scopes),
        "authorization_details_types": known,
    }
    show_one(remote.post(f"/tenants/{tenant}/resources", asked))


@resource.command("list")
@tenant_argument
@limit_option
@after_option
@json_option
def list_(tenant: str, limit: int, after: str | None) -> None:
    """List resource servers."""
    columns = ("id", "audience", "principal_id", "scopes", "authorization_details_types")
    show_list(connect().pages(f"/tenants/{tenant}/resources", limit=limit, after=after), *columns)


for command in (show, change, delete):
    resource.add_command(command)
