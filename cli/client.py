"""``identity client``."""

import json
import os
from pathlib import Path
from typing import Any

import click
from joserfc.jwk import ECKey

from cli.arguments import JSON
from cli.naming import CONNECTION, PRINCIPAL
from cli.noun import Noun, Target, Values, by_id
from cli.problems import Refused
from cli.showing import show_one
from identity.model.client import AuthMethod

client = Noun(
    "client", "Manage OAuth clients of agents, resource servers and SCIM connections.", "/tenants/{tenant}/clients",
    ("client_id", "client_name", "principal_id", "audience", "connection_id", "token_endpoint_auth_method",
     "revoked_at"), by_id("client_id"),
)  # fmt: skip


def _with_auth_method(values: Values) -> Values:
    """Return the values with the authentication method. Raises ``click.UsageError``."""
    if (values["connection_id"] is None) == (values["principal_id"] is None and values["audience"] is None):
        raise click.UsageError("give --principal, --audience or both of them, or --connection")
    if values["jwks"] is not None and values["generate_key"] is not None:
        raise click.UsageError("give either --jwks or --generate-key")
    has_key = values["jwks"] is not None or values["generate_key"] is not None
    method = values.pop("auth_method") or ("private_key_jwt" if has_key else "client_secret_basic")
    if has_key is not (method == "private_key_jwt"):
        raise click.UsageError("--auth-method private_key_jwt comes with a key, and every other without one")
    return values | {"token_endpoint_auth_method": method}


def _create(target: Target, values: Values) -> None:
    file: Path | None = values.pop("generate_key")
    if file is not None:
        values["jwks"] = {"keys": [write_new_key(file)]}
    try:
        made = target.remote.post(target.path, values)
    except Refused:
        if file is not None:
            file.unlink()  # no client has the key
        raise
    show_one(made, shown_once="client_secret")


def write_new_key(file: Path) -> dict[str, Any]:
    """Write a new private JWK where only its owner can read it; return the public half."""
    pair = ECKey.generate_key("P-256", private=True)
    named = {"kid": pair.thumbprint(), "alg": "ES256", "use": "sig"}
    try:
        # Never over a key that may be in use, nor through another account's link.
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}", 1) from error
    with os.fdopen(opened, "w") as out:
        json.dump(pair.as_dict(private=True) | named, out)
    return pair.as_dict(private=False) | named


client.add(
    "create", "Register a client; without a key it gets a secret, shown once.", _create,
    click.option("--principal", "principal_id", type=PRINCIPAL,
                 help="Whose client: an agent or service account, by name or id."),
    click.option("--audience", help="Or, or besides: the resource server that introspects with it."),
    click.option("--connection", "connection_id", type=CONNECTION,
                 help="Or: the SCIM connection that it provisions for, by name or id."),
    click.option("--name", "client_name"),
    click.option("--scope", help="What it may ask for as itself, separated by spaces."),
    click.option("--jwks", type=JSON, help="Its public keys, @FILE; it then authenticates by private_key_jwt."),
    click.option("--auth-method", type=click.Choice([method.value for method in AuthMethod]),
                 help="How it authenticates: by its key where it has one, else by its secret, which goes by HTTP Basic"
                 " (the default) or in the body."),
    click.option("--generate-key", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="Make a key, write its private JWK to FILE (0600) and register the public half."),
    of_one=False, prepare=_with_auth_method,
)  # fmt: skip
client.add_list(
    "List clients, revoked ones among them.",
    click.option("--principal", type=PRINCIPAL, help="Only those of this principal, by name or id."),
)  # fmt: skip
client.add_show("Show one client.")
client.add_post(
    "rotate-secret", "Replace a client's secret, shown once; the old one is refused at once.", below="/secret",
    shown_once="client_secret",
)  # fmt: skip
client.add_post(
    "add-key", "Register another public key of a client.",
    click.option("--jwk", type=JSON, required=True, help="A public key, @FILE."),
    below="/keys",
)  # fmt: skip
client.add_delete(
    "revoke", "Revoke a client and every token that it obtained, for ever.",
    "The client is revoked, and every token that it obtained.", member="client_id", outcome="revoked",
)  # fmt: skip
