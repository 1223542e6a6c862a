"""``identity connection``."""

from collections.abc import Callable
from typing import Any

import click

from cli.arguments import JSON, after_option, id_argument, limit_option, tenant_argument
from cli.output import json_option
from cli.remote import connect, principal_id
from cli.showing import show_done, show_list, show_one
from identity.model.connection import Dialect, TokenKind, UpstreamAct
from identity.model.request import RequestOutcome

DIALECT = click.Choice([dialect.value for dialect in Dialect])
COLUMNS = ("id", "kind", "name", "dialect", "issuer", "created_at", "ended_at")

POLICY = (
    click.option("--token-kind", "token_kinds", type=click.Choice([kind.value for kind in TokenKind]), multiple=True,
                 help="oidc: a kind of its tokens that is taken; repeatable. Default: id_token and access_token."),
    click.option("--max-age-s", type=int, help="oidc: how long ago its tokens may have been issued. Default: a day."),
    click.option("--max-lifetime-s", type=int, help="oidc: for how long its tokens may be good. Default: a day."),
    click.option("--upstream-act", type=click.Choice([choice.value for choice in UpstreamAct]),
                 help="oidc: what becomes of its tokens that name actors themselves. Default: refuse."),
)  # fmt: skip


def policy_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which tokens of an upstream issuer are taken."""
    for option in reversed(POLICY):
        command = option(command)
    return command


@click.group()
def connection() -> None:
    """Connections: the sources that feed a tenant."""


@connection.command()
@tenant_argument
@click.option("--kind", type=click.Choice(["scim", "oidc"]), required=True)
@click.option("--name", required=True)
@click.option("--dialect", type=DIALECT, help="scim: which readings its client needs.")
@click.option("--issuer", help="oidc: the upstream issuer's URL.")
@click.option("--jwks-uri", help="oidc: where its keys are.")
@click.option("--jwks", type=JSON, help="oidc: its keys themselves, @FILE.")
@click.option("--audience", "audiences", multiple=True, help="oidc: an accepted aud; may be repeated.")
@click.option("--subject-claim", help="oidc: the claim that names the person. Default: sub.")
@click.option("--match", type=click.Choice(["subject", "externalId"]), help="oidc: what it is compared with.")
@click.option("--provisioned-by", help="oidc: the scim connection whose externalId it is; needed for that match.")
@policy_options
@json_option
def create(tenant: str, audiences: tuple[str, ...], token_kinds: tuple[str, ...], **members: Any) -> None:
    """Create a connection; a scim connection's bearer token is shown this once."""
    lists = {"audiences": list(audiences) or None, "token_kinds": list(token_kinds) or None}
    made = connect().post(f"/tenants/{tenant}/connections", members | lists)
    show_one(made, shown_once="token" if made.get("token") else None)


@connection.command("list")
@tenant_argument
@limit_option
@after_option
@json_option
def list_(tenant: str, limit: int, after: str | None) -> None:
    """List connections, ended ones among them."""
    show_list(connect().pages(f"/tenants/{tenant}/connections", limit=limit, after=after), *COLUMNS)


@connection.command()
@tenant_argument
@id_argument("connection_id")
@json_option
def show(tenant: str, connection_id: str) -> None:
    """Show one connection."""
    show_one(connect().get(f"/tenants/{tenant}/connections/{connection_id}"))


@connection.command()
@tenant_argument
@id_argument("connection_id")
@click.option("--name")
@click.option("--dialect", type=DIALECT)
@policy_options
@json_option
def change(tenant: str, connection_id: str, token_kinds: tuple[str, ...], **members: Any) -> None:
    """Change a connection's name, a scim one's dialect, or which tokens of an oidc one are taken."""
    asked = members | {"token_kinds": list(token_kinds) or None}
    show_one(connect().patch(f"/tenants/{tenant}/connections/{connection_id}", asked))


@connection.command("rotate-token")
@tenant_argument
@id_argument("connection_id")
@click.option("--overlap-s", type=int, help="Seconds that the present token lives on. Default: a day.")
@json_option
def rotate_token(tenant: str, connection_id: str, overlap_s: int | None) -> None:
    """Give a scim connection a new bearer token, shown this once."""
    path = f"/tenants/{tenant}/connections/{connection_id}/tokens"
    show_one(connect().post(path, {"overlap_s": overlap_s}), shown_once="token")


@connection.command()
@tenant_argument
@id_argument("connection_id")
@json_option
def end(tenant: str, connection_id: str) -> None:
    """Refuse everything from this source from now on; what it provisioned stays."""
    connect().delete(f"/tenants/{tenant}/connections/{connection_id}")
    show_done("The connection has ended.", id=connection_id, ended=True)


@connection.command("log")
@tenant_argument
@id_argument("connection_id")
@click.option("--principal", help="Only what concerns this principal, by id or name.")
@click.option("--name", help="Only what was asked under this userName or displayName, also where it was refused.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in RequestOutcome]))
@click.option("--since", help="Only from this instant on, as 2026-11-24T09:00:00Z.")
@click.option("--until", help="Only before this instant.")
@limit_option
@after_option
@json_option
def log_(tenant: str, connection_id: str, principal: str | None, limit: int, after: str | None, **which: Any) -> None:
    """Read what a scim connection asked in the last week, oldest first; --json shows bodies and changes."""
    remote = connect()
    whom = None if principal is None else principal_id(remote, tenant, principal)
    path = f"/tenants/{tenant}/connections/{connection_id}/requests"
    page = remote.pages(path, limit=limit, after=after, principal=whom, **which)
    show_list(page, "at", "method", "path", "name", "outcome", "status", "scim_type", "detail", "id")
