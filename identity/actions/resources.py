"""Resource servers: register, read, change, delete."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.preconditions import check_version, require
from identity.actions.principals import check_actor
from identity.model.access import Caller
from identity.model.errors import InvalidRequest, LimitExceeded
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
    """Let tokens be requested for ``audience``, which ``principal_id`` runs. Repeating it changes nothing.

    The issuers of this installation are audiences already, for tokens that prove an actor: no other token may be
    issued for them.

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
    _record(tx, "resource.registered", registered, {}, caller=caller, now=now)
    return registered


def get_resource(tx: Tx, resource_id: UUID) -> ResourceServer:
    """Return one resource server. Raises ``NotFound``."""
    return require(resource_server_find(tx, resource_id), "no resource server is registered with this audience")


list_resources = resource_server_list


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

    Where it offers less than before, the tokens that rest on it end. A principal that no longer runs it loses the
    clients that have its audience. Raises ``NotFound``, ``PreconditionFailed``, ``InvalidRequest``, ``Conflict``.
    """
    if changes.get("principal_id") is not None:
        check_actor(tx, changes["principal_id"])  # principals are locked before what refers to them
    before = _locked(tx, resource_id, expected_version)
    after = _checked(replace(before, **changes), before)
    if after == before:
        return before
    is_narrowed = narrows(before, after)
    changed = resource_server_update(tx, after, is_narrowed=is_narrowed)
    _end_runner(tx, before, after, now)
    detail = {"changed": sorted(changes), "is_narrowed": is_narrowed}
    _record(tx, "resource.changed", changed, detail, caller=caller, now=now)
    return changed


def delete_resource(
    tx: Tx, resource_id: UUID, *, expected_version: int | None = None, caller: Caller, now: datetime
) -> None:
    """Delete a resource server, and with it its pairs, its clients, the delegations at it and the tokens for it.

    Everything that rests on it stays ended when its audience is registered anew.
    Raises ``NotFound``, ``PreconditionFailed``.
    """
    server = _locked(tx, resource_id, expected_version)
    resource_server_delete(tx, server.audience, now=now)
    pairs = resource_pairs_delete(tx, server.audience)
    _end_runner(tx, server, None, now)
    _record(tx, "resource.deleted", server, {"pairs": pairs}, caller=caller, now=now)


def _locked(tx: Tx, resource_id: UUID, expected_version: int | None) -> ResourceServer:
    """Lock a resource server and return it as it is after the lock."""
    resource_servers_lock(tx, {get_resource(tx, resource_id).audience})
    server = get_resource(tx, resource_id)
    check_version("resource server", server.version, expected_version)
    return server


def _checked(after: ResourceServer, before: ResourceServer) -> ResourceServer:
    """Return a changed resource server whose removed types are in ``retired_types``."""
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
    """Revoke the clients of the runner at its resource server, when it no longer runs it."""
    if before.principal_id is not None and (after is None or after.principal_id != before.principal_id):
        runner_clients_revoke(tx, before.principal_id, before.audience, now=now)


def _record(
    tx: Tx, type_: str, server: ResourceServer, detail: Mapping[str, Any], *, caller: Caller, now: datetime
) -> None:
    members = {"resource_id": str(server.id), "audience": server.audience, **detail}
    event_insert(tx, Event(type=type_, subject_id=server.principal_id, detail=members), caller=caller, now=now)
