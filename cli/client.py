"""``identity client``."""

import json
import os
from pathlib import Path
from typing import Any

import click
from joserfc.jwk import ECKey

from cli.arguments import JSON, after_option, id_argument, limit_option, tenant_argument
from cli.naming import connection_id, principal_id
from cli.output import json_option
from cli.problems import Refused
from cli.remote import connect
from cli.showing import show_done, show_list, show_one
from identity.model.client import AuthMethod

COLUMNS = (
    "client_id", "client_name", "principal_id", "audience", "connection_id", "token_endpoint_auth_method", "revoked_at"
)  # fmt: skip


@click.group()
def client() -> None:
    """Manage OAuth clients of agents, resource servers and SCIM connections."""


@client.command()
@tenant_argument
@click.option("--principal", help="Whose client: an agent or service account, by name or id.")
@click.option("--audience", help="Or, or besides: the resource server that introspects with it.")
@click.option("--connection", "connection_id", help="Or: the SCIM connection that it provisions for, by name or id.")
@click.option("--name", "client_name")
@click.option("--scope", help="What it may ask for as itself, separated by spaces.")
@click.option("--jwks", type=JSON, help="Its public keys, @FILE; it then authenticates by private_key_jwt.")
@click.option("--auth-method", type=click.Choice([method.value for method in AuthMethod]),
              help="How it authenticates: by its key where it has one, else by its secret, which goes by HTTP Basic"
              " (the default) or in the body.")  # fmt: skip
@click.option("--generate-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Make a key, write its private JWK to FILE (0600) and register the public half.")  # fmt: skip
@json_option
def create(
    tenant: str,
    principal: str | None,
    jwks: Any,
    auth_method: str | None,
    generate_key: Path | None,
    **members: str | None,
) -> None:
    """Register a client; without a key it gets a secret, shown once."""
    if (members["connection_id"] is None) == (principal is None and members["audience"] is None):
        raise click.UsageError("give --principal, --audience or both of them, or --connection")
    if jwks is not None and generate_key is not None:
        raise click.UsageError("give either --jwks or --generate-key")
    has_key = jwks is not None or generate_key is not None
    auth_method = auth_method or ("private_key_jwt" if has_key else "client_secret_basic")
    if has_key is not (auth_method == "private_key_jwt"):
        raise click.UsageError("--auth-method private_key_jwt comes with a key, and every other without one")
    remote = connect()
    asked: dict[str, object] = dict(members)
    if principal is not None:
        asked["principal_id"] = principal_id(remote, tenant, principal)
    if members["connection_id"] is not None:
        asked["connection_id"] = connection_id(remote, tenant, members["connection_id"])
    if generate_key is not None:
        jwks = {"keys": [write_new_key(generate_key)]}
    asked |= {"jwks": jwks, "token_endpoint_auth_method": auth_method}
    try:
        made = remote.post(f"/tenants/{tenant}/clients", asked)
    except Refused:
        if generate_key is not None:
            generate_key.unlink()  # written a moment ago, and of no use to anybody
        raise
    show_one(made, shown_once="client_secret" if "client_secret" in made else None)


def write_new_key(file: Path) -> dict[str, Any]:
    """Write a new private JWK where only its owner can read it; return the public half."""
    pair = ECKey.generate_key("P-256", private=True)
    named = {"kid": pair.thumbprint(), "alg": "ES256", "use": "sig"}
    try:
        # Never over a key that may be in use, nor through a link that somebody laid out.
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}", 1) from error
    with os.fdopen(opened, "w") as out:
        json.dump(pair.as_dict(private=True) | named, out)
    return pair.as_dict(private=False) | named


@client.command("list")
@tenant_argument
@click.option("--principal", help="Only those of this principal, by name or id.")
@limit_option
@after_option
@json_option
def list_(tenant: str, principal: str | None, limit: int, after: str | None) -> None:
    """List clients, revoked ones among them."""
    remote = connect()
    whose = None if principal is None else principal_id(remote, tenant, principal)
    show_list(remote.pages(f"/tenants/{tenant}/clients", limit=limit, after=after, principal=whose), *COLUMNS)


@client.command()
@tenant_argument
@id_argument("client_id")
@json_option
def show(tenant: str, client_id: str) -> None:
    """Show one client."""
    show_one(connect().get(f"/tenants/{tenant}/clients/{client_id}"))


@client.command("rotate-secret")
@tenant_argument
@id_argument("client_id")
@json_option
def rotate_secret(tenant: str, client_id: str) -> None:
    """Replace a client's secret, shown once; the old one is refused at once."""
    made = connect().post(f"/tenants/{tenant}/clients/{client_id}/secret")
    show_one(made, shown_once="client_secret")


@client.command("add-key")
@tenant_argument
@id_argument("client_id")
@click.option("--jwk", type=JSON, required=True, help="A public key, @FILE.")
@json_option
def add_key(tenant: str, client_id: str, jwk: Any) -> None:
    """Register another public key of a client."""
    show_one(connect().post(f"/tenants/{tenant}/clients/{client_id}/keys", {"jwk": jwk}))


@client.command()
@tenant_argument
@id_argument("client_id")
@json_option
def revoke(tenant: str, client_id: str) -> None:
    """Revoke a client and every token that it obtained, for ever."""
    connect().delete(f"/tenants/{tenant}/clients/{client_id}")
    show_done("The client is revoked, and every token that it obtained.", client_id=client_id, revoked=True)
