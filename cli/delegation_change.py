"""``identity delegation change``."""

from typing import Any

import click

from cli.arguments import JSON, id_argument, tenant_argument
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_one


@click.command()
@tenant_argument
@id_argument("delegation_id")
@click.option("--scope", "scopes", multiple=True, help="All its scopes from now on; may be repeated.")
@click.option("--details", type=JSON, help="All its authorization_details from now on (RFC 9396), @FILE.")
@click.option("--max-lifetime-s", type=int, help="The longest life of a token, in seconds.")
@click.option("--max-depth", type=int, help="How many agents a chain may have; 1: it may not be handed on.")
@click.option("--max-task-s", type=int, help="How long a task under it may go on, in seconds: 60 to 86400.")
@click.option("--expires-at", help="Until when, as 2027-01-31T12:00:00Z.")
@click.option("--no-expiry", is_flag=True, help="It does not expire any more.")
@json_option
def change(
    tenant: str, delegation_id: str, scopes: tuple[str, ...], details: Any, no_expiry: bool, **limits: Any
) -> None:
    """Change what a delegation permits; less than before ends the tokens that rest on it."""
    if no_expiry and limits["expires_at"] is not None:
        raise click.UsageError("give either --expires-at or --no-expiry")
    changes = limits | {"scopes": list(scopes) or None, "authorization_details": details}
    cleared = ("expires_at",) if no_expiry else ()
    show_one(connect().patch(f"/tenants/{tenant}/delegations/{delegation_id}", changes, cleared=cleared))
