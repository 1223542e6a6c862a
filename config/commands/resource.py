"""``identity resource``."""

import click

from config.commands.arguments import after_option, limit_option, tenant_argument
from config.commands.output import json_option
from config.commands.remote import connect
from config.commands.showing import show_list, show_one


@click.group()
def resource() -> None:
    """Resource servers: whom a token may be meant for."""


@resource.command()
@tenant_argument
@click.argument("audience")
@click.option("--scope", "scopes", multiple=True, help="A scope that may be asked for; may be repeated.")
@click.option("--details-type", "types", multiple=True, help="A type of authorization details; may be repeated.")
@json_option
def register(tenant: str, audience: str, scopes: tuple[str, ...], types: tuple[str, ...]) -> None:
    """Let tokens be asked for AUDIENCE."""
    asked = {"audience": audience, "scopes": list(scopes), "authorization_details_types": list(types)}
    show_one(connect().post(f"/tenants/{tenant}/resources", asked))


@resource.command("list")
@tenant_argument
@limit_option
@after_option
@json_option
def list_(tenant: str, limit: int, after: str | None) -> None:
    """List resource servers."""
    columns = ("audience", "scopes", "authorization_details_types")
    show_list(connect().pages(f"/tenants/{tenant}/resources", limit=limit, after=after), *columns)
