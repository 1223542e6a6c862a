"""The parties of the story, before the product as anybody runs it: `identity dev`, reached over HTTP alone."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx2
from joserfc.jwk import ECKey

from dev.demo.api import Api
from dev.demo.bodies import entra_group, entra_user
from dev.demo.upstream import UpstreamIssuer

ROOT = Path(__file__).parent.parent.parent
ADMIN_TOKEN = "an-administrator-of-the-tests-0123456789"
ERP, MCP = "https://erp.example", "https://mcp.example/mcp"
READ, PAY = "invoices.read", "invoices.pay"
PORTAL = "portal"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


@dataclass(frozen=True, slots=True)
class Registered:
    """A client and what it proves itself with: a key or a secret."""

    client_id: str
    key: ECKey | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """One tenant, from outside. ``invoice_bot`` and the source ``people`` have keys, ``ocr_bot``, its other client
    ``poster`` and the resource server ``erp`` have secrets; ``poster`` sends its own in the body.
    """

    issuer: str
    scim: Api
    upstream: UpstreamIssuer
    ids: dict[str, str]
    invoice_bot: Registered
    ocr_bot: Registered
    poster: Registered
    erp: Registered
    people: Registered

    def id_token(self, name: str) -> str:
        return self.upstream.id_token(f"oid-{name}", PORTAL)


@contextmanager
def identity_dev(database_url: str, owner_url: str, **more: str) -> Iterator[str]:
    """Run `identity dev` on a database, with ``more`` in its environment; yield its URL."""
    folder = Path(mkdtemp(prefix="identity-conformance-"))
    given = {
        "IDENTITY_DATABASE_URL": database_url,
        "IDENTITY_OWNER_DATABASE_URL": owner_url,
        "IDENTITY_ADMIN_TOKEN": ADMIN_TOKEN,
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
    command = [sys.executable, "-m", "cli", "dev", "--port", str(free_port()), "--data", str(folder), "--json"]
    process = subprocess.Popen(command, cwd=ROOT, env=clean | given | more, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it ended without being ready"
        yield json.loads(line)["base_url"]
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def set_up(http: httpx2.Client, base_url: str, slug: str, upstream: UpstreamIssuer, mcp_url: str = MCP) -> Party:
    """Make a tenant in which invoice-bot, and ocr-bot after it, may act for Sam at the ERP and at an MCP server."""
    admin = Api(http, f"{base_url}/admin/v1/tenants/{slug}", ADMIN_TOKEN)
    _post(Api(http, f"{base_url}/admin/v1", ADMIN_TOKEN), "/tenants", {"slug": slug, "display_name": slug.title()})
    connection = _post(admin, "/connections", {"kind": "scim", "name": "people", "dialect": "rfc"})
    scim = Api(http, connection["scim_base_url"], connection["token"])
    ids = _push(scim)
    _post(admin, "/connections", _sign_in(upstream, connection["id"]))
    for audience in (ERP, mcp_url):
        _post(admin, "/resources", {"audience": audience, "scopes": [READ, PAY], "authorization_details_types": []})
        for name, depth in (("invoice-bot", 2), ("ocr-bot", 1)):
            parties = {"actor_id": ids[name], "subject_group_id": ids["finance"]}
            limits = {"resource": audience, "scopes": [READ], "max_lifetime_s": 120, "max_depth": depth}
            _post(admin, "/delegations", parties | limits)
    post = {"token_endpoint_auth_method": "client_secret_post"}
    return Party(
        f"{base_url}/t/{slug}",
        scim,
        upstream,
        ids,
        invoice_bot=_register(admin, ECKey.generate_key("P-256"), principal_id=ids["invoice-bot"], scope=READ),
        ocr_bot=_register(admin, None, principal_id=ids["ocr-bot"], scope=READ),
        poster=_register(admin, None, principal_id=ids["ocr-bot"], scope=READ, **post),
        erp=_register(admin, None, audience=ERP),
        people=_register(admin, ECKey.generate_key("P-256"), connection_id=connection["id"]),
    )


def _push(scim: Api) -> dict[str, str]:
    ids = {}
    for name in ("dana", "sam"):
        person = entra_user(f"{name}@example.com", f"oid-{name}", name.title(), "Example", "Clerk")
        ids[name] = _post(scim, "/Users", person)["id"]
    group = entra_group("Finance", "group-finance") | {"members": [{"value": ids[name]} for name in ("dana", "sam")]}
    ids["finance"] = _post(scim, "/Groups", group)["id"]
    for name in ("invoice-bot", "ocr-bot"):
        schemas = ["urn:ietf:params:scim:schemas:core:2.0:Agent"]
        agent = {"schemas": schemas, "agentUserName": name, "active": True, "owners": [{"value": ids["dana"]}]}
        ids[name] = _post(scim, "/Agents", agent)["id"]
    return ids


def _sign_in(upstream: UpstreamIssuer, provisioned_by: str) -> dict[str, Any]:
    return {
        "kind": "oidc",
        "name": "sign-in",
        "issuer": upstream.url,
        "jwks_uri": f"{upstream.url}/keys",
        "audiences": [PORTAL],
        "subject_claim": "oid",
        "match": "externalId",
        "provisioned_by": provisioned_by,
    }


def _register(admin: Api, key: ECKey | None, **more: str) -> Registered:
    if key is None:
        made = _post(admin, "/clients", {"token_endpoint_auth_method": "client_secret_basic"} | more)
        return Registered(made["client_id"], secret=made["client_secret"])
    key.ensure_kid()
    jwks = {"keys": [key.as_dict(private=False)]}
    made = _post(admin, "/clients", {"token_endpoint_auth_method": "private_key_jwt", "jwks": jwks} | more)
    return Registered(made["client_id"], key=key)


def _post(api: Api, path: str, body: dict[str, Any]) -> Any:
    answer = api.call("POST", path, body)
    assert answer.status == 201, (path, answer)
    return answer.body
