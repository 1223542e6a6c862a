"""Pairs of resource servers: what of one allows what of another. Write, read, delete."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from identity.model.access import Caller
from identity.model.errors import Malformed, NotThere, OverLimit, Taken
from identity.model.event import Event
from identity.model.ids import parse_id
from identity.model.resource import ResourceServer
from identity.model.resource_pair import PAIRS_MAX, ResourcePair, check_pair
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.resource_pairs import (
    resource_pair_between,
    resource_pair_delete,
    resource_pair_get,
    resource_pair_insert,
    resource_pair_list,
    resource_pairs_count,
)
from identity.store.resources import resource_server_find, resource_server_get, resource_servers_lock


def register_pair(
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

    Saying the same again changes nothing. Raises ``Malformed``; ``Taken`` when the two are a pair otherwise;
    ``OverLimit``.
    """
    first, second = _server(tx, source, "/from"), _server(tx, target, "/to")
    wanted = ResourcePair(tx.new_id(), first.audience, second.audience, scopes, authorization_details_types, now)
    check_pair(wanted, first, second)
    resource_servers_lock(tx, {first.audience, second.audience})
    known = resource_pair_between(tx, first.audience, second.audience)
    if known is not None:
        if (known.scopes, known.authorization_details_types) == (scopes, authorization_details_types):
            return known
        raise Taken("there is a pair of these two already", reason="pair_taken")
    _check_room(tx, wanted)
    resource_pair_insert(tx, wanted)
    _tell(tx, "resource_pair.registered", wanted, caller=caller, now=now)
    return wanted


def get_pair(tx: Tx, pair_id: UUID) -> ResourcePair:
    """Return one pair. Raises ``NotThere``."""
    found = resource_pair_get(tx, pair_id)
    if found is None:
        raise NotThere("there is no such pair of resource servers")
    return found


def list_pairs(tx: Tx, *, after: UUID | None, limit: int) -> list[ResourcePair]:
    """Return one page of pairs."""
    return resource_pair_list(tx, after=after, limit=limit)


def delete_pair(tx: Tx, pair_id: UUID, *, caller: Caller, now: datetime) -> None:
    """Let nothing cross any more, and end the tokens that crossed. Raises ``NotThere``."""
    deleted = resource_pair_delete(tx, pair_id)
    if deleted is None:
        raise NotThere("there is no such pair of resource servers")
    _tell(tx, "resource_pair.deleted", deleted, caller=caller, now=now)


def _server(tx: Tx, named: str, pointer: str) -> ResourceServer:
    """Return the resource server of an audience, or of an id, which no audience looks like."""
    id_ = parse_id(named)
    found = resource_server_get(tx, named) if id_ is None else resource_server_find(tx, id_)
    if found is None:
        raise Malformed(
            "there is no such resource server; register it first", pointer=pointer, reason="unknown_resource"
        )
    return found


def _check_room(tx: Tx, pair: ResourcePair) -> None:
    most = max(resource_pairs_count(tx, source=pair.source), resource_pairs_count(tx, target=pair.target))
    if most >= PAIRS_MAX:
        raise OverLimit(
            f"at most {PAIRS_MAX} pairs lead from one resource server, and to one; delete some", reason="too_many_pairs"
        )


def _tell(tx: Tx, type_: str, pair: ResourcePair, *, caller: Caller, now: datetime) -> None:
    detail = {
        "pair_id": str(pair.id),
        "from": pair.source,
        "to": pair.target,
        "scopes": {scope: list(allowed) for scope, allowed in pair.scopes.items()},
        "authorization_details_types": dict(pair.authorization_details_types),
    }
    event_insert(tx, Event(type=type_, detail=detail), caller=caller, now=now)
