"""Who is asking: administrators and connections by bearer token. Clients: see ``client_authentication``."""

from datetime import datetime

from identity.model.access import Caller, CallerKind
from identity.model.credential import hash_secret, same_secret
from identity.model.errors import NotAuthenticated
from identity.store import Tx
from identity.store.connections import connection_find_by_token


def authenticate_administrator(token: str, stored_hash: bytes | None, *, request_id: str) -> Caller:
    """Return the administrator whose token this is. Raises ``NotAuthenticated``."""
    if not same_secret(token, stored_hash):
        raise NotAuthenticated("the administrator's token is not valid")
    return Caller(CallerKind.ADMINISTRATOR, "administrator", request_id)


def authenticate_connection(tx: Tx, token: str, *, request_id: str, now: datetime) -> Caller:
    """Return the SCIM connection whose bearer token this is (RFC 6750). Raises ``NotAuthenticated``."""
    found = connection_find_by_token(tx, hash_secret(token), now=now)
    if found is None:
        raise NotAuthenticated("the bearer token is unknown, ended, or of another tenant")
    connection, catalogue_version = found
    return Caller(
        CallerKind.CONNECTION,
        str(connection.id),
        request_id,
        connection_id=connection.id,
        dialect=connection.dialect,
        catalogue_version=catalogue_version,
    )
