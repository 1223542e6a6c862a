"""``identity tenant``."""

import click

from cli.arguments import after_option, id_argument, limit_option
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_list, show_one


@click.group()
def tenant() -> None:
    """Manage tenants. Each is isolated and has an issuer of its own."""


@tenant.command()
@id_argument("slug")
@click.option("--name", help="What people call it. Default: the slug.")
@json_option
def create(slug: str, name: str | None) -> None:
    """Create a tenant, with its issuer and its first signing key."""
    show_one(connect().post("/tenants", {"slug": slug, "display_name": name or slug}))


@tenant.command("list")
@limit_option
@after_option
@json_option
def list_(limit: int, after: str | None) -> None:
    """List tenants."""
    show_list(connect().pages("/tenants", limit=limit, after=after), "slug", "display_name", "state", "issuer")


@tenant.command()
@id_argument("slug")
@json_option
def show(slug: str) -> None:
    """Show one tenant."""
    show_one(connect().get(f"/tenants/{slug}"))


@tenant.command()
@id_argument("slug")
@click.option("--name", "display_name", help="What people call it.")
@click.option("--task-lifetime-max-s", type=int, help="The longest life of a delegated token, in seconds: 1 to 300.")
@click.option("--max-task-s", type=int, help="How long a task may go on, in seconds: 60 to 86400.")
@json_option
def change(slug: str, **changes: object) -> None:
    """Change the name of a tenant, or what it allows of tokens and tasks from now on."""
    show_one(connect().patch(f"/tenants/{slug}", changes))
