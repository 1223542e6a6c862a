"""Pairs of resource servers: register, read, change, delete."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.preconditions import check_version, require
from identity.model.access import Caller
from identity.model.errors import AlreadyExists, InvalidRequest, LimitExceeded
from identity.model.event import Event
from identity.model.ids import parse_id
from identity.model.resource import ResourceServer
from identity.model.resource_pair import PAIRS_MAX, ResourcePair, check_pair, narrows
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.resource_pairs import (
    resource_pair_between,
    resource_pair_delete,
    resource_pair_get,
    resource_pair_insert,
    resource_pair_list,
    resource_pair_lock,
    resource_pair_update,
    resource_pairs_count,
)
from identity.store.resources import resource_server_find, resource_server_get, resource_servers_lock

UNKNOWN = "there is no such pair of resource servers"


def register_resource_pair(
    tx: Tx,
    *,
    source: str,
    target: str,
    scopes: Mapping[str, tuple[str, ...]],
    authorization_details_types: Mapping[str, str],
    caller: Caller,
    now: datetime,
) -> ResourcePair:
    """Let tokens for ``source`` be traded for tokens for ``target``, each an audience or an id of a resource server.

    Repeating it changes nothing. Raises ``InvalidRequest``; ``AlreadyExists`` when the two are a pair
    otherwise; ``LimitExceeded``.
    """
    first, second = _audience(tx, source), _audience(tx, target)
    wanted = ResourcePair(tx.new_id(), first, second, scopes, authorization_details_types, now)
    resource_servers_lock(tx, {first, second})
    check_pair(wanted, *_both(tx, wanted))
    known = resource_pair_between(tx, first, second)
    if known is not None:
        if (known.scopes, known.authorization_details_types) == (scopes, authorization_details_types):
            return known
        raise AlreadyExists("there is a pair of these two already", reason="pair_taken")
    _check_room(tx, wanted)
    resource_pair_insert(tx, wanted)
    _record(tx, "resource_pair.registered", wanted, caller=caller, now=now)
    return wanted


def get_resource_pair(tx: Tx, pair_id: UUID) -> ResourcePair:
    """Return one pair. Raises ``NotFound``."""
    return require(resource_pair_get(tx, pair_id), UNKNOWN)


list_resource_pairs = resource_pair_list


def change_resource_pair(
    tx: Tx, pair_id: UUID, changes: Mapping[str, Any], *, expected_version: int | None, caller: Caller, now: datetime
) -> ResourcePair:
    """Change the ``scopes`` or ``authorization_details_types`` of a pair; less than before ends the crossed tokens.

    Raises ``NotFound``, ``PreconditionFailed``, ``InvalidRequest``.
    """
    found = get_resource_pair(tx, pair_id)
    resource_servers_lock(tx, {found.source, found.target})
    before = require(resource_pair_lock(tx, pair_id), UNKNOWN)
    check_version("pair", before.version, expected_version)
    after = check_pair(replace(before, **changes), *_both(tx, before))
    if after == before:
        return before
    is_narrowed = narrows(before, after)
    changed = resource_pair_update(tx, after, is_narrowed=is_narrowed)
    _record(tx, "resource_pair.changed", changed, caller=caller, now=now, is_narrowed=is_narrowed)
    return changed


def delete_resource_pair(tx: Tx, pair_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Delete a pair, and end the tokens that crossed by it. Raises ``NotFound``."""
    deleted = require(resource_pair_delete(tx, pair_id), UNKNOWN)
    _record(tx, "resource_pair.deleted", deleted, caller=caller, now=now)


def _audience(tx: Tx, named: str) -> str:
    """Return an audience as it is, or the audience of the resource server with this id; no audience is an id."""
    id_ = parse_id(named)
    found = None if id_ is None else resource_server_find(tx, id_)
    return found.audience if found else named


def _both(tx: Tx, pair: ResourcePair) -> tuple[ResourceServer, ResourceServer]:
    """Return the two resource servers of a pair; their rows are locked."""
    return _server(tx, pair.source, "/from"), _server(tx, pair.target, "/to")


def _server(tx: Tx, audience: str, pointer: str) -> ResourceServer:
    found = resource_server_get(tx, audience)
    if found is None:
        raise InvalidRequest(
            "there is no such resource server; register it first", pointer=pointer, reason="unknown_resource"
        )
    return found


def _check_room(tx: Tx, pair: ResourcePair) -> None:
    most = max(resource_pairs_count(tx, source=pair.source), resource_pairs_count(tx, target=pair.target))
    if most >= PAIRS_MAX:
        raise LimitExceeded(
            f"at most {PAIRS_MAX} pairs lead from one resource server, and to one; delete some", reason="too_many_pairs"
        )


def _record(tx: Tx, type_: str, pair: ResourcePair, *, caller: Caller, now: datetime, **more: bool) -> None:
    detail = {
        "pair_id": str(pair.id),
        "from": pair.source,
        "to": pair.target,
        "scopes": {scope: list(allowed) for scope, allowed in pair.scopes.items()},
        "authorization_details_types": dict(pair.authorization_details_types),
        **more,
    }
    event_insert(tx, Event(type=type_, detail=detail), caller=caller, now=now)
