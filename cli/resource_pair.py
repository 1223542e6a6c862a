"""``identity resource-pair``."""

from typing import Any

import click

from cli.arguments import grouped
from cli.noun import Noun, by_id

resource_pair = Noun(
    "resource-pair",
    "Manage pairs of resource servers: which scopes of one allow which of the next in a token exchange.",
    "/tenants/{tenant}/resource-pairs", ("id", "from", "to", "scopes", "authorization_details_types"), by_id("pair_id"),
)  # fmt: skip

Texts = tuple[tuple[str, str], ...]


def _scopes(_context: click.Context, _parameter: click.Parameter, value: Texts) -> dict[str, Any] | None:
    return grouped(value) or None


def _types(_context: click.Context, _parameter: click.Parameter, value: Texts) -> dict[str, Any] | None:
    return dict(value) or None


scopes_option = click.option(
    "--scope", "scopes", nargs=2, multiple=True, metavar="FROM TO", callback=_scopes,
    help="A scope of the first, and one of the second that it allows; may be repeated.",
)  # fmt: skip
types_option = click.option(
    "--details-type", "authorization_details_types", nargs=2, multiple=True, metavar="FROM TO", callback=_types,
    help="A type of authorization details of the first, and what it becomes at the second; may be repeated.",
)  # fmt: skip

resource_pair.add_post(
    "register",
    "Let a service exchange tokens for FROM for tokens for TO; both are audiences or ids of resource servers.",
    click.argument("from", metavar="FROM"),
    click.argument("to", metavar="TO"),
    scopes_option, types_option, of_one=False,
)  # fmt: skip
resource_pair.add_list("List pairs of resource servers.")
resource_pair.add_show("Show one pair of resource servers.")
resource_pair.add_patch(
    "change",
    "Set all scopes, or all types, that are mapped from now on; less than before ends the tokens that crossed.",
    scopes_option, types_option,
)  # fmt: skip
resource_pair.add_delete(
    "delete", "Delete a pair of resource servers, and end every token that crossed by it.",
    "The pair is deleted, and every token that crossed by it is dead.",
)  # fmt: skip
