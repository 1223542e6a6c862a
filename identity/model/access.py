"""The authenticated caller of a request, and the principals that each kind of caller may change."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from identity.model.errors import NotAllowed
from identity.model.principal import Principal


class CallerKind(StrEnum):
    """The kind of credential that a caller presented."""

    ADMINISTRATOR = "administrator"
    CONNECTION = "connection"
    CLIENT = "client"
    WORKER = "worker"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller of a request. ``request_id`` ties every event of one request together.

    ``catalogue_version`` is that of the tenant's schemas and resource types when the caller was authenticated.
    ``txn`` is the ``Set-Txn`` of the answer (RFC 9967 §3), where the caller does not wait for the outcome.
    ``client_id`` is the OAuth client that spoke for a connection; None where the connection's own token did.
    """

    kind: CallerKind
    id: str | None
    request_id: str
    connection_id: UUID | None = None
    dialect: str | None = None
    catalogue_version: int = 0
    txn: str | None = None
    client_id: str | None = None


def check_reach(caller: Caller, principal: Principal) -> None:
    """Refuse a connection that would change a principal of another source (account takeover by adoption), or one that
    an administrator protects (accounts for the emergency).

    Raises ``NotAllowed``.
    """
    if caller.kind is not CallerKind.CONNECTION:
        return
    if principal.connection_id != caller.connection_id:
        raise NotAllowed(
            "another connection created this resource, so this connection cannot change it", reason="foreign_provenance"
        )
    if principal.is_protected:
        raise NotAllowed(
            "this resource is protected by an administrator and cannot be changed by SCIM", reason="protected"
        )
