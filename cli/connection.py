"""``identity connection``."""

from collections.abc import Callable
from typing import Any

import click

from cli.arguments import JSON, after_option, limit_option, named_argument, tenant_argument
from cli.logs import log_options, reading_of, show_log
from cli.naming import connection_id, principal_id
from cli.output import json_option
from cli.remote import connect
from cli.showing import show_done, show_list, show_one
from identity.model.connection import Dialect, TokenKind, UpstreamAct
from identity.model.provisioning_log import RequestOutcome

DIALECT = click.Choice([dialect.value for dialect in Dialect])
COLUMNS = ("id", "name", "kind", "dialect", "issuer", "created_at", "ended_at")
LOG_COLUMNS = ("at", "method", "path", "name", "outcome", "status", "scim_type", "detail", "id")

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
    """Manage connections to identity providers."""


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
@click.option(
    "--provisioned-by", help="oidc: the SCIM connection whose externalId it is, by name or id; needed for that match."
)
@policy_options
@json_option
def create(tenant: str, audiences: tuple[str, ...], token_kinds: tuple[str, ...], **members: Any) -> None:
    """Create a connection; the bearer token of a SCIM connection is shown once."""
    lists = {"audiences": list(audiences) or None, "token_kinds": list(token_kinds) or None}
    remote = connect()
    if members["provisioned_by"] is not None:
        members["provisioned_by"] = connection_id(remote, tenant, members["provisioned_by"])
    made = remote.post(f"/tenants/{tenant}/connections", members | lists)
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
@named_argument
@json_option
def show(tenant: str, named: str) -> None:
    """Show one connection."""
    remote = connect()
    show_one(remote.get(f"/tenants/{tenant}/connections/{connection_id(remote, tenant, named)}"))


@connection.command()
@tenant_argument
@named_argument
@click.option("--name")
@click.option("--dialect", type=DIALECT)
@policy_options
@json_option
def change(tenant: str, named: str, token_kinds: tuple[str, ...], **members: Any) -> None:
    """Change a connection's name, a scim one's dialect, or which tokens of an oidc one are taken."""
    asked = members | {"token_kinds": list(token_kinds) or None}
    remote = connect()
    show_one(remote.patch(f"/tenants/{tenant}/connections/{connection_id(remote, tenant, named)}", asked))


@connection.command("rotate-token")
@tenant_argument
@named_argument
@click.option("--overlap-s", type=int, help="Seconds that the present token lives on. Default: a day.")
@json_option
def rotate_token(tenant: str, named: str, overlap_s: int | None) -> None:
    """Give a SCIM connection a new bearer token, shown once."""
    remote = connect()
    path = f"/tenants/{tenant}/connections/{connection_id(remote, tenant, named)}/tokens"
    show_one(remote.post(path, {"overlap_s": overlap_s}), shown_once="token")


@connection.command()
@tenant_argument
@named_argument
@json_option
def end(tenant: str, named: str) -> None:
    """End a connection for ever. Provisioned users are kept."""
    remote = connect()
    id_ = connection_id(remote, tenant, named)
    remote.delete(f"/tenants/{tenant}/connections/{id_}")
    show_done("The connection has ended. Provisioned users are kept.", id=id_, ended=True)


@connection.command("log")
@tenant_argument
@named_argument
@click.option("--principal", help="Only what concerns this user, group, agent or service account, by name or id.")
@click.option("--name", help="Only what was asked under this userName or displayName, also where it was refused.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in RequestOutcome]))
@log_options
@json_option
def log_(tenant: str, named: str, principal: str | None, name: str | None, outcome: str | None, **options: Any) -> None:
    """Read what a SCIM connection asked in the last week, newest first; --json shows bodies and changes."""
    reading = reading_of(options)
    remote = connect()
    whom = None if principal is None else principal_id(remote, tenant, principal)
    path = f"/tenants/{tenant}/connections/{connection_id(remote, tenant, named)}/requests"
    show_log(remote, path, reading, {"principal": whom, "name": name, "outcome": outcome}, LOG_COLUMNS)
