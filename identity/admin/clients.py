"""OAuth clients (RFC 7591 names)."""

from typing import Any
from uuid import UUID

from identity.actions.clients import (
    Registration,
    add_client_key,
    get_client,
    list_clients,
    register_client,
    remove_client_key,
    revoke_client,
    rotate_client_secret,
)
from identity.admin import requests, responses
from identity.admin.endpoints import operation
from identity.admin.parsing import cut_page, read_cursor, write_cursor
from identity.edge.call import Call
from identity.edge.runtime import new_secret
from identity.model.client import Client
from identity.model.credential import CLIENT_SECRET_PREFIX
from identity.model.errors import InvalidRequest
from identity.model.scope import parse_scope


def _members(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "client_name": client.client_name,
        "principal_id": client.principal_id,
        "audience": client.audience,
        "connection_id": client.connection_id,
        "auth_method": client.auth_method,
        "grant_types": client.grant_types,
        "scope": " ".join(client.scopes),
        "jwks": None if client.jwks is None else dict(client.jwks),
        "version": client.version,
        "created_at": client.created_at,
        "revoked_at": client.revoked_at,
    }


def _client(client: Client) -> responses.Client:
    return responses.Client.model_validate(_members(client))


def _registered(client: Client, secret: str) -> responses.RegisteredClient:
    members = _members(client) | {"client_id_issued_at": int(client.created_at.timestamp())}
    if client.secret_hash is not None:
        members |= {"client_secret": secret, "client_secret_expires_at": 0}
    return responses.RegisteredClient.model_validate(members)


@operation("POST", "/tenants/{tenant}/clients", body=requests.NewClient, answer=responses.RegisteredClient, status=201)
def register_client_(call: Call, asked: requests.NewClient) -> responses.RegisteredClient:
    """Register a client; its secret, if it has one, is shown once."""
    if asked.jwks_uri is not None:
        raise InvalidRequest("jwks_uri is not supported; send the keys in jwks", pointer="/jwks_uri")
    secret = new_secret(CLIENT_SECRET_PREFIX)
    registration = Registration(
        client_name=asked.client_name,
        principal_id=asked.principal_id,
        audience=asked.audience,
        connection_id=asked.connection_id,
        auth_method=asked.token_endpoint_auth_method,
        jwks=asked.jwks,
        scopes=parse_scope(asked.scope),
        grant_types=asked.grant_types,
    )
    client = register_client(call.tx, registration, new_secret=secret, caller=call.caller, now=call.now)
    return _registered(client, secret)


@operation("GET", "/tenants/{tenant}/clients", query=requests.ClientPage, answer=responses.ClientList)
def list_clients_(call: Call, page: requests.ClientPage) -> responses.ClientList:
    """List clients."""
    after = read_cursor(page.after)
    rows = list_clients(call.tx, principal_id=page.principal, after=after[0] if after else None, limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda client: write_cursor(client.client_id))
    return responses.ClientList(items=[_client(client) for client in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/clients/{client_id}", answer=responses.Client)
def get_client_(call: Call, client_id: UUID) -> responses.Client:
    """Read one client."""
    return _client(get_client(call.tx, str(client_id)))


@operation("DELETE", "/tenants/{tenant}/clients/{client_id}")
def revoke_client_(call: Call, client_id: UUID) -> None:
    """Revoke a client and every token that it obtained, for ever."""
    revoke_client(call.tx, str(client_id), caller=call.caller, now=call.now)


@operation(
    "POST",
    "/tenants/{tenant}/clients/{client_id}/secret",
    body=requests.Nothing,
    answer=responses.RegisteredClient,
    status=201,
)
def rotate_client_secret_(call: Call, client_id: UUID) -> responses.RegisteredClient:
    """Replace a client's secret, shown once; the old one is refused at once."""
    secret = new_secret(CLIENT_SECRET_PREFIX)
    client = rotate_client_secret(call.tx, str(client_id), new_secret=secret, caller=call.caller, now=call.now)
    return _registered(client, secret)


@operation(
    "POST",
    "/tenants/{tenant}/clients/{client_id}/keys",
    body=requests.NewClientKey,
    answer=responses.Client,
    status=201,
)
def add_client_key_(call: Call, asked: requests.NewClientKey, client_id: UUID) -> responses.Client:
    """Register another public key of a client."""
    return _client(add_client_key(call.tx, str(client_id), asked.jwk, caller=call.caller, now=call.now))


@operation("DELETE", "/tenants/{tenant}/clients/{client_id}/keys/{kid}")
def remove_client_key_(call: Call, client_id: UUID, kid: str) -> None:
    """Refuse a client's key from now on."""
    remove_client_key(call.tx, str(client_id), kid, caller=call.caller, now=call.now)
