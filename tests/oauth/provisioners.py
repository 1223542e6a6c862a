"""Sources that prove themselves with an OAuth client of their connection, and what opens which door."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
from joserfc.jwk import ECKey

from identity.actions.clients import NewClient, register_client
from identity.actions.connections import create_scim_connection
from identity.model.client import AuthMethod
from identity.model.connection import Dialect
from tests.fixtures import ADMINISTRATOR, Client, Tenant, access_token

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"


@dataclass(frozen=True, slots=True)
class Provisioner:
    """A SCIM connection with a token of its own and a client beside it."""

    tenant: Tenant
    connection_id: UUID
    own_token: str
    client: Client

    @property
    def resource(self) -> str:
        return f"{self.tenant.issuer}/scim/v2"

    def token(self, **form: Any) -> str:
        """An access token for the SCIM endpoint."""
        return access_token(self.tenant.ask(self.client, grant_type="client_credentials", **form))

    def ask(self, token: str | None, method: str = "GET", path: str = "/Users", body: Any = None) -> httpx2.Response:
        """Ask the SCIM endpoint with a token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.tenant.http.request(method, f"/t/{self.tenant.slug}/scim/v2{path}", json=body, headers=headers)

    def create(self, token: str, user_name: str) -> httpx2.Response:
        return self.ask(token, "POST", "/Users", {"schemas": [USER], "userName": user_name})


def provisioner(tenant: Tenant, *, signs: bool = True, name: str = "people") -> Provisioner:
    """Make a SCIM connection of a tenant, with a client that signs or has a secret."""
    token = f"idf_scim_{uuid4().hex}"
    with tenant.tx() as tx:
        connection = create_scim_connection(
            tx, name=name, dialect=Dialect.RFC, token=token, caller=ADMINISTRATOR, now=tenant.now
        )
    return Provisioner(tenant, connection.id, token, client_of(tenant, connection.id, signs=signs))


def client_of(tenant: Tenant, connection_id: UUID, *, signs: bool = True) -> Client:
    """Register a client of a connection."""
    key, secret = ECKey.generate_key("P-256"), f"idf_client_{uuid4().hex}"
    asked = NewClient(
        client_name=None,
        principal_id=None,
        audience=None,
        connection_id=connection_id,
        auth_method=AuthMethod.PRIVATE_KEY_JWT if signs else AuthMethod.CLIENT_SECRET_BASIC,
        jwks={"keys": [key.as_dict(private=False) | {"kid": "client-1"}]} if signs else None,
        scopes=(),
        grant_types=None,
    )
    with tenant.tx() as tx:
        client = register_client(tx, asked, new_secret=secret, caller=ADMINISTRATOR, now=tenant.now)
    return Client(client.client_id, key if signs else None, None if signs else secret)
