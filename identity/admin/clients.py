"""OAuth clients (RFC 7591 names)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from identity.actions import clients as actions
from identity.admin.endpoints import delete, get, listing, operation, post
from identity.admin.paging import Cursor
from identity.admin.requests import JsonObject, Line, Name, Nothing, Page, PrincipalFilter, RequestModel
from identity.admin.responses import Items, ResponseModel, members_of
from identity.edge.call import Call
from identity.edge.runtime import new_secret
from identity.model import client
from identity.model.client import AuthMethod, GrantType
from identity.model.credential import CLIENT_SECRET_PREFIX
from identity.model.errors import InvalidRequest
from identity.model.scope import parse_scope

CLIENTS = "/tenants/{tenant}/clients"
CLIENT = f"{CLIENTS}/{{client_id}}"


class NewClient(RequestModel):
    """Client metadata (RFC 7591 §2) of an agent or service account, of a resource server that introspects, of both
    where the first runs the second, or of a SCIM connection.
    """

    client_name: Name | None = None
    principal_id: UUID | None = None
    audience: Line | None = None
    connection_id: UUID | None = None
    auth_method: Annotated[AuthMethod, Field(alias="token_endpoint_auth_method")] = AuthMethod.CLIENT_SECRET_BASIC
    jwks: JsonObject | None = None
    jwks_uri: Line | None = None
    scope: Annotated[str, StringConstraints(max_length=4096)] = ""
    grant_types: Annotated[tuple[GrantType, ...], Field(max_length=2)] | None = None


class NewClientKey(RequestModel):
    """A public key (RFC 7517 §4)."""

    jwk: JsonObject


class ClientPage(Page):
    """Clients, of one principal if it is named."""

    principal_id: PrincipalFilter = None


class Client(ResponseModel):
    """Client metadata (RFC 7591 §2)."""

    client_id: str
    client_name: str | None
    principal_id: UUID | None
    audience: str | None
    connection_id: UUID | None
    token_endpoint_auth_method: Annotated[AuthMethod, Field(validation_alias="auth_method")]
    grant_types: list[GrantType]
    scope: Annotated[str, BeforeValidator(" ".join), Field(validation_alias="scopes")]
    jwks: JsonObject | None
    version: int
    created_at: datetime
    revoked_at: datetime | None


class RegisteredClient(Client):
    """With ``client_secret``, where there is one: shown here and never again (RFC 7591 §3.2.1)."""

    client_id_issued_at: int
    client_secret: str | None = None
    client_secret_expires_at: int | None = None


class ClientList(Items[Client]):
    """Clients in the order of creation, revoked ones among them."""


def _registered(registered: client.Client, secret: str) -> dict[str, Any]:
    """Return the members of a client, with ``secret`` when it authenticates with one."""
    members = members_of(registered) | {"client_id_issued_at": int(registered.created_at.timestamp())}
    if registered.secret_hash is None:
        return members
    return members | {"client_secret": secret, "client_secret_expires_at": 0}


@operation("POST", CLIENTS, body=NewClient, response=RegisteredClient, status=201)
def register_client(call: Call, requested: NewClient) -> dict[str, Any]:
    """Register a client; its secret, if it has one, is shown once."""
    if requested.jwks_uri is not None:
        raise InvalidRequest("jwks_uri is not supported; send the keys in jwks", pointer="/jwks_uri")
    members = requested.model_dump(exclude={"jwks_uri", "scope"})
    wanted = actions.NewClient(**members, scopes=parse_scope(requested.scope))
    secret = new_secret(CLIENT_SECRET_PREFIX)
    created = actions.register_client(call.tx, wanted, new_secret=secret, caller=call.caller, now=call.now)
    return _registered(created, secret)


listing(CLIENTS, actions.list_clients, "List clients", ClientList, query=ClientPage, cursor=Cursor({"client_id": str}))
get(CLIENT, actions.get_client, "Read one client", Client)
delete(CLIENT, actions.revoke_client, "Revoke a client and every token that it obtained, for ever")


@operation("POST", f"{CLIENT}/secret", body=Nothing, response=RegisteredClient, status=201)
def rotate_client_secret(call: Call, client_id: str) -> dict[str, Any]:
    """Replace a client's secret, shown once; the old one is refused at once."""
    secret = new_secret(CLIENT_SECRET_PREFIX)
    changed = actions.rotate_client_secret(call.tx, client_id, new_secret=secret, caller=call.caller, now=call.now)
    return _registered(changed, secret)


post(
    f"{CLIENT}/keys",
    actions.add_client_key,
    "Register another public key of a client",
    Client,
    body=NewClientKey,
    status=201,
)
delete(f"{CLIENT}/keys/{{kid}}", actions.remove_client_key, "Refuse a client's key from now on")
