"""Resource servers: register and read."""

from datetime import datetime

from identity.model.access import Caller
from identity.model.errors import Malformed, NotThere
from identity.model.event import Event
from identity.model.resource import DetailsType, ResourceServer, check_details_types
from identity.model.scope import check_audience, check_scopes
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.resources import resource_server_get, resource_server_insert, resource_server_list


def register_resource(
    tx: Tx,
    *,
    audience: str,
    scopes: tuple[str, ...],
    authorization_details_types: tuple[DetailsType, ...],
    external_url: str,
    caller: Caller,
    now: datetime,
) -> ResourceServer:
    """Let tokens be asked for ``audience``. Saying the same again changes nothing.

    Our own issuers are audiences already, for tokens that prove an actor: nobody may have others issued for them.

    Raises ``Malformed``; ``Taken`` when it is registered with other scopes.
    """
    check_scopes(scopes)
    if audience == external_url or audience.startswith(f"{external_url}/t/"):
        raise Malformed(
            "must be a resource server; this URL is an issuer of this server", pointer="/audience", reason="own_issuer"
        )
    types = check_details_types(authorization_details_types, scopes)
    known = resource_server_get(tx, check_audience(audience))
    if known and (known.scopes, known.authorization_details_types) == (scopes, types):
        return known
    registered = resource_server_insert(tx, audience=audience, scopes=scopes, details_types=types, now=now)
    event_insert(tx, Event(type="resource.registered", detail={"audience": audience}), caller=caller, now=now)
    return registered


def get_resource(tx: Tx, audience: str) -> ResourceServer:
    """Return the resource server that ``audience`` names. Raises ``NotThere``."""
    found = resource_server_get(tx, audience)
    if found is None:
        raise NotThere("no resource server is registered with this audience")
    return found


def list_resources(tx: Tx, *, after: str | None, limit: int) -> list[ResourceServer]:
    """Return one page of resource servers."""
    return resource_server_list(tx, after=after, limit=limit)
