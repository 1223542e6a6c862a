"""Resource servers: register and read."""

from datetime import datetime
from uuid import UUID

from identity.actions.principals import check_actor
from identity.model.access import Caller
from identity.model.errors import Malformed, NotThere
from identity.model.event import Event
from identity.model.resource import DetailsType, ResourceServer, check_details_types
from identity.model.scope import check_audience, check_scopes
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.resources import (
    resource_server_find,
    resource_server_get,
    resource_server_insert,
    resource_server_list,
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

    Raises ``Malformed``; ``Conflict`` for a principal that is not active; ``Taken`` when it is registered otherwise.
    """
    check_scopes(scopes)
    if audience == external_url or audience.startswith(f"{external_url}/t/"):
        raise Malformed("this is an issuer of ours, not a resource server", pointer="/audience", reason="own_issuer")
    types = check_details_types(authorization_details_types, scopes)
    known = resource_server_get(tx, check_audience(audience))
    if known and (known.scopes, known.authorization_details_types, known.principal_id) == (scopes, types, principal_id):
        return known
    if principal_id is not None:
        check_actor(tx, principal_id)
    registered = resource_server_insert(
        tx, audience=audience, principal_id=principal_id, scopes=scopes, details_types=types, now=now
    )
    told = Event(type="resource.registered", subject_id=principal_id, detail={"audience": audience})
    event_insert(tx, told, caller=caller, now=now)
    return registered


def get_resource(tx: Tx, resource_id: UUID) -> ResourceServer:
    """Return one resource server. Raises ``NotThere``."""
    found = resource_server_find(tx, resource_id)
    if found is None:
        raise NotThere("there is no such resource server")
    return found


def list_resources(tx: Tx, *, after: str | None, limit: int) -> list[ResourceServer]:
    """Return one page of resource servers."""
    return resource_server_list(tx, after=after, limit=limit)
