"""``identity resource-pair``."""

import click

from cli.arguments import after_option, id_argument, limit_option, tenant_argument
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_done, show_list, show_one

scopes_option = click.option(
    "--scope",
    "scopes",
    nargs=2,
    multiple=True,
    metavar="FROM TO",
    help="A scope of the first, and one of the second that it allows; may be repeated.",
)
types_option = click.option(
    "--details-type",
    "types",
    nargs=2,
    multiple=True,
    metavar="FROM TO",
    help="A type of authorization details of the first, and what it becomes at the second; may be repeated.",
)


@click.group()
def resource_pair() -> None:
    """Manage pairs of resource servers: which scopes of one allow which of the next in a token exchange."""


@resource_pair.command()
@tenant_argument
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@scopes_option
@types_option
@json_option
def register(
    tenant: str, source: str, target: str, scopes: tuple[tuple[str, str], ...], types: tuple[tuple[str, str], ...]
) -> None:
    """Let a service exchange tokens for FROM for tokens for TO; both are audiences or ids of resource servers."""
    asked = {
        "from": source,
        "to": target,
        "scopes": allowed_by_each(scopes),
        "authorization_details_types": dict(types),
    }
    show_one(connect().post(f"/tenants/{tenant}/resource-pairs", asked))


@resource_pair.command("list")
@tenant_argument
@limit_option
@after_option
@json_option
def list_(tenant: str, limit: int, after: str | None) -> None:
    """List pairs of resource servers."""
    columns = ("id", "from", "to", "scopes", "authorization_details_types")
    show_list(connect().pages(f"/tenants/{tenant}/resource-pairs", limit=limit, after=after), *columns)


@resource_pair.command()
@tenant_argument
@id_argument("pair_id")
@json_option
def show(tenant: str, pair_id: str) -> None:
    """Show one pair of resource servers."""
    show_one(connect().get(f"/tenants/{tenant}/resource-pairs/{pair_id}"))


@resource_pair.command()
@tenant_argument
@id_argument("pair_id")
@scopes_option
@types_option
@json_option
def change(tenant: str, pair_id: str, scopes: tuple[tuple[str, str], ...], types: tuple[tuple[str, str], ...]) -> None:
    """Set all scopes, or all types, that are mapped from now on; less than before ends the tokens that crossed."""
    changes = {"scopes": allowed_by_each(scopes) or None, "authorization_details_types": dict(types) or None}
    show_one(connect().patch(f"/tenants/{tenant}/resource-pairs/{pair_id}", changes))


@resource_pair.command()
@tenant_argument
@id_argument("pair_id")
@json_option
def delete(tenant: str, pair_id: str) -> None:
    """Delete a pair of resource servers, and end every token that crossed by it."""
    connect().delete(f"/tenants/{tenant}/resource-pairs/{pair_id}")
    show_done("The pair is deleted, and every token that crossed by it is dead.", id=pair_id, deleted=True)


def allowed_by_each(scopes: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    """Return each scope of the first with all of the second that it was given with."""
    allowed: dict[str, list[str]] = {}
    for scope, other in scopes:
        allowed.setdefault(scope, []).append(other)
    return allowed
