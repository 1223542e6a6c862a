"""``identity resource``."""

import click

from cli.arguments import grouped
from cli.naming import PRINCIPAL, id_in
from cli.noun import Item, Noun, Values, clear
from cli.problems import NOT_FOUND, Refused
from cli.remote import Remote


def _find(remote: Remote, tenant: str, values: Values) -> str:
    """Return the id of the resource server of an id, or of an audience."""
    named: str = values.pop("resource")
    if (id_ := id_in(named)) is not None:
        return id_
    found = remote.get(f"/tenants/{tenant}/resources", audience=named)["items"]
    if not found:
        raise Refused(f"there is no resource server {named!r} in {tenant}", NOT_FOUND)
    return str(found[0]["id"])


def _with_types(values: Values) -> Values:
    """Join types that stand alone with those that restrict scopes."""
    restricting = [{"type": type_, "scopes": scopes} for type_, scopes in grouped(values.pop("restrictions")).items()]
    return values | {"authorization_details_types": (*values["authorization_details_types"], *restricting)}


def _changes(values: Values) -> Values:
    is_cleared = values.pop("run_by_nobody") or values["no_run_by"]
    return clear(_with_types(values | {"no_run_by": is_cleared}), "no_run_by", "principal_id")


resource = Noun(
    "resource", "Manage resource servers, the audiences of tokens.", "/tenants/{tenant}/resources",
    ("id", "audience", "principal_id", "scopes", "authorization_details_types"),
    Item(click.argument("resource"), _find),
)  # fmt: skip

restricting_option = click.option(
    "--restricting-type", "restrictions", nargs=2, multiple=True, metavar="TYPE SCOPE",
    help="A type of authorization details, and a scope that it restricts; may be repeated.",
)  # fmt: skip

resource.add_post(
    "register", "Register a resource server, whose tokens name AUDIENCE.",
    click.argument("audience"),
    click.option("--run-by", "principal_id", type=PRINCIPAL,
                 help="The agent or service account that runs it, by id or name."),
    click.option("--scope", "scopes", multiple=True, help="A scope that may be asked for; may be repeated."),
    click.option("--details-type", "authorization_details_types", multiple=True,
                 help="A type of authorization details that stands alone; may be repeated."),
    restricting_option, of_one=False, prepare=_with_types,
)  # fmt: skip
resource.add_list("List resource servers.")
resource.add_show("Show one RESOURCE server, named by audience or id.")
resource.add_patch(
    "change", "Change what a RESOURCE server offers, or who runs it; less than before ends the tokens that rest on it.",
    click.option("--run-by", "principal_id", type=PRINCIPAL,
                 help="The agent or service account that runs it from now on, by id or name."),
    click.option("--no-run-by", is_flag=True, help="No principal runs it any more."),
    click.option("--run-by-nobody", is_flag=True, hidden=True),  # the name of --no-run-by in earlier versions
    click.option("--scope", "scopes", multiple=True, help="All its scopes from now on; may be repeated."),
    click.option("--details-type", "authorization_details_types", multiple=True,
                 help="With --restricting-type: all its types of authorization details from now on."),
    restricting_option, prepare=_changes,
)  # fmt: skip
resource.add_delete(
    "delete", "Delete a RESOURCE server, with its pairs, its clients, the delegations at it and the tokens for it.",
    "The resource server is deleted, with all that rests on it.",
)  # fmt: skip
