"""OAuth clients: register, read, change their credential, revoke (RFC 7591 names)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.jwks import KEYS_MAX, check_jwks
from identity.actions.preconditions import require
from identity.actions.principals import check_actor
from identity.model.access import Caller
from identity.model.client import CLIENTS_MAX, SCIM_SCOPE, AuthMethod, Client, GrantType
from identity.model.connection import ConnectionKind
from identity.model.credential import hash_secret
from identity.model.cutoff import CutoffKind
from identity.model.errors import Conflict, InvalidRequest, LimitExceeded, NotFound
from identity.model.event import Event
from identity.model.scope import check_scopes
from identity.store import Tx
from identity.store.clients import (
    client_get,
    client_insert,
    client_list,
    client_lock,
    client_revoke,
    client_update,
    live_clients_count,
)
from identity.store.connections import connection_lock
from identity.store.events import event_insert
from identity.store.resources import resource_server_get, resource_servers_lock
from identity.store.tokens import cutoff_set

UNKNOWN = "no client with this id"


@dataclass(frozen=True)
class NewClient:
    """Client metadata of a registration (RFC 7591 §2). ``grant_types`` None: all that such a client can use."""

    client_name: str | None
    principal_id: UUID | None
    audience: str | None
    auth_method: AuthMethod
    jwks: Mapping[str, Any] | None
    scopes: tuple[str, ...]
    grant_types: tuple[GrantType, ...] | None
    connection_id: UUID | None = None


def register_client(tx: Tx, requested: NewClient, *, new_secret: str, caller: Caller, now: datetime) -> Client:
    """Write a new client of an active agent or service account, of a resource server that introspects, of both where
    the first runs the second, or of a live SCIM connection.

    ``new_secret`` becomes its secret when it authenticates with one; only the hash is stored.
    Raises ``InvalidRequest``, ``Conflict``.
    """
    check_scopes(requested.scopes)
    principal_end_count, audience_end_count = _check_party(tx, requested)
    changed = {
        "jwks": _jwks_of(requested),
        "scopes": _scopes_of(requested),
        "grant_types": _grant_types_of(requested),
        "secret_hash": hash_secret(new_secret) if requested.auth_method.has_secret else None,
    }
    client = Client(
        **{**vars(requested), **changed}, client_id=str(tx.new_id()), version=1, created_at=now, revoked_at=None
    )
    client_insert(tx, client, principal_end_count=principal_end_count, audience_end_count=audience_end_count)
    _record(tx, "client.registered", client, {"auth_method": client.auth_method}, caller=caller, now=now)
    return client


def get_client(tx: Tx, client_id: str) -> Client:
    """Return one client, revoked or not. Raises ``NotFound``."""
    return require(client_get(tx, client_id), UNKNOWN)


list_clients = client_list


def rotate_client_secret(tx: Tx, client_id: str, *, new_secret: str, caller: Caller, now: datetime) -> Client:
    """Replace the secret at once: the old one is refused from now on. Raises ``NotFound``, ``Conflict``."""
    client = _active(client_lock(tx, client_id))
    if not client.auth_method.has_secret:
        raise Conflict("this client authenticates with a key", reason="client_has_no_secret")
    changed = client_update(tx, client_id, {"secret_hash": hash_secret(new_secret)})
    _record(tx, "client.secret_rotated", changed, {}, caller=caller, now=now)
    return changed


def add_client_key(tx: Tx, client_id: str, jwk: Mapping[str, Any], *, caller: Caller, now: datetime) -> Client:
    """Register another public key beside the present ones. Repeating it changes nothing.

    Raises ``NotFound``, ``Conflict``, ``InvalidRequest``, ``LimitExceeded``.
    """
    client = _active(client_lock(tx, client_id))
    present = _keys_of(client)
    [added] = check_jwks({"keys": [dict(jwk)]}, pointer="/jwk")["keys"]
    if added in present:
        return client
    if any(key["kid"] == added["kid"] for key in present):
        raise Conflict("the client has another key with this kid", reason="kid_taken")
    if len(present) >= KEYS_MAX:
        raise LimitExceeded(f"a client has at most {KEYS_MAX} keys", reason="too_many_keys")
    return _write_keys(tx, client, [*present, added], "client.key_added", added["kid"], caller=caller, now=now)


def remove_client_key(tx: Tx, client_id: str, kid: str, *, caller: Caller, now: datetime) -> Client:
    """Refuse a key from now on. Raises ``NotFound``; ``Conflict`` for the last one, which must be replaced first."""
    client = _active(client_lock(tx, client_id))
    present = _keys_of(client)
    left = [key for key in present if key["kid"] != kid]
    if len(left) == len(present):
        raise NotFound("the client has no key with this kid")
    if not left:
        raise Conflict("this is the client's only key; add another first, or revoke the client", reason="last_key")
    return _write_keys(tx, client, left, "client.key_removed", kid, caller=caller, now=now)


def revoke_client(tx: Tx, client_id: str, *, caller: Caller, now: datetime) -> None:
    """End a client and every token that it obtained, for ever. Raises ``NotFound``."""
    client = require(client_lock(tx, client_id), UNKNOWN)
    if client.revoked_at is not None:
        return
    client_revoke(tx, client_id, now=now)
    cutoff_set(tx, CutoffKind.CLIENT, client_id, reason="client_revoked", now=now)
    _record(tx, "client.revoked", client, {}, caller=caller, now=now)


def _check_party(tx: Tx, requested: NewClient) -> tuple[int, int]:
    """Lock the owner of the new client; return the end counts of its principal and of its resource server, or 0."""
    if (requested.connection_id is None) == (requested.principal_id is None and requested.audience is None):
        raise InvalidRequest(
            "a client is of a principal_id, an audience or both, or of a connection_id", pointer="/principal_id"
        )
    if requested.connection_id is not None:
        _check_connection(tx, requested.connection_id)
    return (
        0 if requested.principal_id is None else _check_principal(tx, requested.principal_id),
        0 if requested.audience is None else _check_audience(tx, requested.audience, requested.principal_id),
    )


def _check_principal(tx: Tx, principal_id: UUID) -> int:
    principal = check_actor(tx, principal_id)
    if live_clients_count(tx, principal.id, limit=CLIENTS_MAX) >= CLIENTS_MAX:
        raise LimitExceeded(f"a principal has at most {CLIENTS_MAX} clients", reason="too_many_clients")
    return principal.end_count


def _check_audience(tx: Tx, audience: str, principal_id: UUID | None) -> int:
    """Refuse an audience that is not registered; beside a principal, also one that this principal does not run."""
    resource_servers_lock(tx, {audience})
    server = resource_server_get(tx, audience)
    if server is None:
        raise InvalidRequest(
            "there is no such resource server; register it first", pointer="/audience", reason="unknown_resource"
        )
    if principal_id is not None and server.principal_id != principal_id:
        raise InvalidRequest(
            "the resource server does not name this principal as the one that runs it",
            pointer="/principal_id",
            reason="not_run_by_principal",
        )
    return server.end_count


def _check_connection(tx: Tx, connection_id: UUID) -> None:
    """Lock the connection, so that it does not end before its client is written."""
    connection = connection_lock(tx, connection_id)
    if connection is None or connection.kind is not ConnectionKind.SCIM:
        raise InvalidRequest("no SCIM connection has this id", pointer="/connection_id", reason="unknown_connection")
    if connection.ended_at is not None:
        raise Conflict("the connection was ended", reason="connection_ended")


def _jwks_of(requested: NewClient) -> Mapping[str, Any] | None:
    if requested.auth_method is AuthMethod.PRIVATE_KEY_JWT:
        if requested.jwks is None:
            raise InvalidRequest("private_key_jwt requires jwks", pointer="/jwks", reason="jwks_required")
        return check_jwks(requested.jwks)
    if requested.jwks is not None:
        raise InvalidRequest(f"jwks must be absent for {requested.auth_method}", pointer="/jwks")
    return None


def _scopes_of(requested: NewClient) -> tuple[str, ...]:
    if requested.connection_id is None:
        return requested.scopes
    if requested.scopes not in ((), (SCIM_SCOPE,)):
        raise InvalidRequest(f"scope must be {SCIM_SCOPE} for a client of a connection", pointer="/scope")
    return (SCIM_SCOPE,)


def _grant_types_of(requested: NewClient) -> tuple[GrantType, ...]:
    if requested.connection_id is not None:
        if requested.grant_types not in (None, (GrantType.CLIENT_CREDENTIALS,)):
            raise InvalidRequest(
                "grant_types must be client_credentials for a client of a connection", pointer="/grant_types"
            )
        return (GrantType.CLIENT_CREDENTIALS,)
    if requested.principal_id is not None:
        return tuple(GrantType) if requested.grant_types is None else requested.grant_types
    if requested.grant_types or requested.scopes:
        raise InvalidRequest(
            "grant_types and scope must be absent for a client of a resource server: it only introspects",
                        pointer="/grant_types" if requested.grant_types else "/scope")  # fmt: skip
    return ()


def _keys_of(client: Client) -> list[dict[str, Any]]:
    if client.jwks is None:
        raise Conflict("this client authenticates with a secret", reason="client_has_no_keys")
    return [dict(key) for key in client.jwks["keys"]]


def _write_keys(
    tx: Tx, client: Client, keys: list[dict[str, Any]], type_: str, kid: str, *, caller: Caller, now: datetime
) -> Client:
    checked = check_jwks({"keys": keys})
    changed = client_update(tx, client.client_id, {"jwks": checked})
    _record(tx, type_, changed, {"kid": kid}, caller=caller, now=now)
    return changed


def _active(client: Client | None) -> Client:
    found = require(client, UNKNOWN)
    if found.revoked_at is not None:
        raise Conflict("the client is revoked; a revocation cannot be undone", reason="client_revoked")
    return found


def _record(tx: Tx, type_: str, client: Client, detail: Mapping[str, Any], *, caller: Caller, now: datetime) -> None:
    owner = {"audience": client.audience, "connection_id": client.connection_id and str(client.connection_id)}
    members = {"client_id": client.client_id, **{name: value for name, value in owner.items() if value}, **detail}
    event_insert(tx, Event(type=type_, subject_id=client.principal_id, detail=members), caller=caller, now=now)
