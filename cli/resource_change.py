"""``identity resource show``, ``change`` and ``delete``: one resource server, by audience or id."""

import click

from cli.arguments import tenant_argument
from cli.naming import id_in, principal_id
from cli.output import json_option
from cli.problems import NOT_FOUND, Refused
from cli.remote import Remote, connect
from cli.showing import show_done, show_one

resource_argument = click.argument("resource")


@click.command()
@tenant_argument
@resource_argument
@json_option
def show(tenant: str, resource: str) -> None:
    """Show one RESOURCE server, named by audience or id."""
    remote = connect()
    show_one(remote.get(path_of(remote, tenant, resource)))


@click.command()
@tenant_argument
@resource_argument
@click.option("--run-by", help="The agent or service account that runs it from now on, by id or name.")
@click.option("--run-by-nobody", is_flag=True, help="No principal runs it any more.")
@click.option("--scope", "scopes", multiple=True, help="All its scopes from now on; may be repeated.")
@click.option("--details-type", "types", multiple=True,
              help="With --restricting-type: all its types of authorization details from now on.")  # fmt: skip
@click.option("--restricting-type", "restrictions", nargs=2, multiple=True, metavar="TYPE SCOPE",
              help="A type of authorization details, and a scope that it restricts; may be repeated.")  # fmt: skip
@json_option
def change(
    tenant: str,
    resource: str,
    run_by: str | None,
    run_by_nobody: bool,
    scopes: tuple[str, ...],
    types: tuple[str, ...],
    restrictions: tuple[tuple[str, str], ...],
) -> None:
    """Change what a RESOURCE server offers, or who runs it; less than before ends the tokens that rest on it."""
    if run_by is not None and run_by_nobody:
        raise click.UsageError("give either --run-by or --run-by-nobody")
    remote = connect()
    changes = {
        "principal_id": None if run_by is None else principal_id(remote, tenant, run_by),
        "scopes": list(scopes) or None,
        "authorization_details_types": [*types, *restricting_types(restrictions)] or None,
    }
    cleared = ("principal_id",) if run_by_nobody else ()
    show_one(remote.patch(path_of(remote, tenant, resource), changes, cleared=cleared))


@click.command()
@tenant_argument
@resource_argument
@json_option
def delete(tenant: str, resource: str) -> None:
    """Delete a RESOURCE server, with its pairs, its clients, the delegations at it and the tokens for it."""
    remote = connect()
    path = path_of(remote, tenant, resource)
    remote.delete(path)
    show_done("The resource server is deleted, with all that rests on it.", id=path.rsplit("/", 1)[1], deleted=True)


def path_of(remote: Remote, tenant: str, named: str) -> str:
    """Return the path of the resource server of an id, or of an audience."""
    path = f"/tenants/{tenant}/resources"
    if (id_ := id_in(named)) is not None:
        return f"{path}/{id_}"
    found = remote.get(path, audience=named)["items"]
    if not found:
        raise Refused(f"there is no resource server {named!r} in {tenant}", NOT_FOUND)
    return f"{path}/{found[0]['id']}"


def restricting_types(restrictions: tuple[tuple[str, str], ...]) -> list[dict[str, object]]:
    """Return each type with all the scopes that it was given with."""
    scopes: dict[str, list[str]] = {}
    for type_, scope in restrictions:
        scopes.setdefault(type_, []).append(scope)
    return [{"type": type_, "scopes": restricted} for type_, restricted in scopes.items()]
