"""Resource servers: register, read, change, delete."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.principals import check_actor
from identity.model.access import Caller
from identity.model.errors import InvalidRequest, LimitExceeded, NotFound, PreconditionFailed
from identity.model.event import Event
from identity.model.resource import (
    TYPES_MAX,
    DetailsType,
    ResourceServer,
    check_changed_types,
    check_details_types,
    narrows,
)
from identity.model.scope import check_audience, check_scopes
from identity.store import Tx
from identity.store.clients import runner_clients_revoke
from identity.store.events import event_insert
from identity.store.resource_pairs import resource_pairs_delete
from identity.store.resources import (
    resource_server_delete,
    resource_server_find,
    resource_server_get,
    resource_server_insert,
    resource_server_list,
    resource_server_update,
    resource_servers_lock,
)


def register_resource(
    tx: Tx,
    *,
    audience: str,
    scopes: tuple[str, ...],
    authorization_details_types: tuple[DetailsType, ...],
    principal_id: UUID | None = None,
    external_url: str,
    caller: Caller,
    now: datetime,
) -> ResourceServer:
    """Let tokens be asked for ``audience``, which ``principal_id`` runs. Saying the same again changes nothing.

    Our own issuers are audiences already, for tokens that prove an actor: nobody may have others issued for them.

    Raises ``InvalidRequest``; ``Conflict`` for a principal that is not active; ``AlreadyExists`` when it is registered
    otherwise.
    """
    check_scopes(scopes)
    if audience == external_url or audience.startswith(f"{external_url}/t/"):
        raise InvalidRequest(
            "must be a resource server; this URL is an issuer of this server", pointer="/audience", reason="own_issuer"
        )
    types = check_details_types(authorization_details_types, scopes)
    known = resource_server_get(tx, check_audience(audience))
    if known and (known.scopes, known.authorization_details_types, known.principal_id) == (scopes, types, principal_id):
        return known
    if principal_id is not None:
        check_actor(tx, principal_id)
    wanted = ResourceServer(tx.new_id(), audience, principal_id, scopes, types, now)
    registered = resource_server_insert(tx, wanted)
    _tell(tx, "resource.registered", registered, {}, caller=caller, now=now)
    return registered


def get_resource(tx: Tx, resource_id: UUID) -> ResourceServer:
    """Return one resource server. Raises ``NotFound``."""
    found = resource_server_find(tx, resource_id)
    if found is None:
        raise NotFound("no resource server is registered with this audience")
    return found


def list_resources(tx: Tx, *, audience: str | None, after: str | None, limit: int) -> list[ResourceServer]:
    """Return one page of resource servers, or the one that is named."""
    return resource_server_list(tx, audience=audience, after=after, limit=limit)


def change_resource(
    tx: Tx,
    resource_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None,
    caller: Caller,
    now: datetime,
) -> ResourceServer:
    """Give a resource server other ``scopes``, ``authorization_details_types`` or ``principal_id``.

    Where it offers less than before, the tokens that rest on it end. Who runs it no longer loses the clients that have
    its audience. Raises ``NotFound``, ``PreconditionFailed``, ``InvalidRequest``, ``Conflict``.
    """
    if changes.get("principal_id") is not None:
        check_actor(tx, changes["principal_id"])  # principals are locked before what refers to them
    before = _held(tx, resource_id, expected_version)
    after = _checked(replace(before, **changes), before)
    if after == before:
        return before
    is_narrowed = narrows(before, after)
    changed = resource_server_update(tx, after, is_narrowed=is_narrowed)
    _end_runner(tx, before, after, now)
    detail = {"changed": sorted(changes), "is_narrowed": is_narrowed}
    _tell(tx, "resource.changed", changed, detail, caller=caller, now=now)
    return changed


def delete_resource(
    tx: Tx, resource_id: UUID, *, expected_version: int | None = None, caller: Caller, now: datetime
) -> None:
    """Delete a resource server, and with it its pairs, its clients, the delegations at it and the tokens for it.

    What rests on it stays ended when its audience is registered anew. Raises ``NotFound``, ``PreconditionFailed``.
    """
    server = _held(tx, resource_id, expected_version)
    resource_server_delete(tx, server.audience, now=now)
    pairs = resource_pairs_delete(tx, server.audience)
    _end_runner(tx, server, None, now)
    _tell(tx, "resource.deleted", server, {"pairs": pairs}, caller=caller, now=now)


def _held(tx: Tx, resource_id: UUID, expected_version: int | None) -> ResourceServer:
    """Return a resource server whose row is held: as it is when the lock is there, and not as it was before."""
    resource_servers_lock(tx, {get_resource(tx, resource_id).audience})
    server = get_resource(tx, resource_id)
    if expected_version is not None and expected_version != server.version:
        raise PreconditionFailed("the resource server has changed since the version in If-Match")
    return server


def _checked(after: ResourceServer, before: ResourceServer) -> ResourceServer:
    """Return a changed resource server, with the types that it lost kept apart."""
    check_scopes(after.scopes)
    check_changed_types(before, after.authorization_details_types, after.scopes)
    ever = (*before.authorization_details_types, *before.retired_types)
    retired = tuple(known for known in ever if known.type not in after.type_names)
    if len(retired) > TYPES_MAX:
        raise LimitExceeded(
            f"at most {TYPES_MAX} types may be taken away; delete the resource server", reason="too_many_types"
        )
    return replace(after, retired_types=retired)


def _end_runner(tx: Tx, before: ResourceServer, after: ResourceServer | None, now: datetime) -> None:
    """End the clients that speak for the principal and its resource server, where it is that no more."""
    if before.principal_id is not None and (after is None or after.principal_id != before.principal_id):
        runner_clients_revoke(tx, before.principal_id, before.audience, now=now)


def _tell(
    tx: Tx, type_: str, server: ResourceServer, detail: Mapping[str, Any], *, caller: Caller, now: datetime
) -> None:
    told = {"resource_id": str(server.id), "audience": server.audience, **detail}
    event_insert(tx, Event(type=type_, subject_id=server.principal_id, detail=told), caller=caller, now=now)
