"""Resource servers: the audiences of tokens, with their scopes and types of authorization details."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from identity.model.authority import Restrictions, opened_scopes
from identity.model.delegation import Delegation, Details
from identity.model.errors import Conflict, InvalidRequest

TYPES_MAX = 50
TYPE_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class DetailsType:
    """A type of authorization details (RFC 9396 §2), and the scopes that it restricts; with none it stands alone."""

    type: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """``audience`` is the ``resource`` of RFC 8707 and the ``aud`` of every token meant for it.

    ``principal_id`` is the agent or service account that runs it, if one does: only its clients may have the audience
    beside a principal.

    ``retired_types`` were taken away: what they restricted stays restricted, or a delegation that has entries of them
    besides others would open it. ``version`` grows with every change, ``epoch`` with every one that narrows it, and
    ``end_count`` when it is deleted.
    """

    id: UUID
    audience: str
    principal_id: UUID | None
    scopes: tuple[str, ...]
    authorization_details_types: tuple[DetailsType, ...]
    created_at: datetime
    retired_types: tuple[DetailsType, ...] = ()
    version: int = 1
    epoch: int = 0
    end_count: int = 0

    @property
    def type_names(self) -> frozenset[str]:
        """Every type of authorization details that it knows."""
        return frozenset(known.type for known in self.authorization_details_types)

    @property
    def restrictions(self) -> Restrictions:
        """The types that restrict scopes, or did."""
        ever = (*self.authorization_details_types, *self.retired_types)
        return {known.type: frozenset(known.scopes) for known in ever if known.scopes}


def check_details_types(types: tuple[DetailsType, ...], scopes: tuple[str, ...]) -> tuple[DetailsType, ...]:
    """Return the types of authorization details of a resource server that has ``scopes``. Raises ``InvalidRequest``."""
    names = [known.type for known in types]
    if len(names) > TYPES_MAX or len(set(names)) != len(names):
        raise _malformed(f"must be at most {TYPES_MAX} types, each once")
    if not all(0 < len(name) <= TYPE_LENGTH_MAX and name.isprintable() for name in names):
        raise _malformed(f"a type must be 1 to {TYPE_LENGTH_MAX} printable characters")
    for known in types:
        if len(set(known.scopes)) != len(known.scopes) or not set(known.scopes) <= set(scopes):
            raise _malformed("a type must restrict registered scopes of the resource server, each once")
    return types


def check_changed_types(server: ResourceServer, types: tuple[DetailsType, ...], scopes: tuple[str, ...]) -> None:
    """Refuse types that mean another thing than before: what a type restricts decides what was granted with entries of
    it, and without. Raises ``InvalidRequest``, ``Conflict``.
    """
    before = {known.type: known.scopes for known in (*server.authorization_details_types, *server.retired_types)}
    check_details_types(types, tuple({*scopes, *(scope for restricted in before.values() for scope in restricted)}))
    for known in types:
        if known.type in before and set(before[known.type]) != set(known.scopes):
            raise Conflict(
                f"{known.type} restricts other scopes, and that never changes: use another type, or delete the resource"
                " server and register it anew",
                reason="details_type_taken",
            )
        if known.type not in before and not set(known.scopes) <= set(scopes):
            raise _malformed("a type restricts scopes of its resource server, each once")


def narrows(before: ResourceServer, after: ResourceServer) -> bool:
    """True when a token for the one might not be given for the other: scopes or types are gone, another principal
    runs it, or a new type restricts a scope that was there.
    """
    new = [known for known in after.authorization_details_types if known.type not in before.type_names]
    return (
        not set(before.scopes) <= set(after.scopes)
        or not before.type_names <= after.type_names
        or before.principal_id not in (None, after.principal_id)
        or any(scope in before.scopes for known in new for scope in known.scopes)
    )


def still_offered(delegation: Delegation, server: ResourceServer) -> Delegation | None:
    """Return as much of a delegation as its resource server knows now; None where that is nothing, or all its details
    are gone, which were its limits.

    Where no scope is left, the entries that restricted them go too: alone they would open whatever they restrict.
    """
    scopes = tuple(scope for scope in delegation.scopes if scope in server.scopes)
    known = server.type_names if scopes or not delegation.scopes else server.type_names - server.restrictions.keys()
    details = tuple(entry for entry in delegation.authorization_details if entry["type"] in known)
    if not details and (delegation.authorization_details or not scopes):
        return None
    return replace(delegation, scopes=scopes, authorization_details=details)


def _malformed(fault: str) -> InvalidRequest:
    return InvalidRequest(fault, pointer="/authorization_details_types")


def check_offered(server: ResourceServer, *, scopes: tuple[str, ...], details: Details) -> None:
    """Refuse authority that the resource server does not know or would never use. Raises ``InvalidRequest``."""
    unknown = [scope for scope in scopes if scope not in server.scopes]
    if unknown:
        raise InvalidRequest(f"{server.audience} has no scope {unknown[0]}", pointer="/scopes", reason="unknown_scope")
    strange = [entry["type"] for entry in details if entry["type"] not in server.type_names]
    if strange:
        raise InvalidRequest(
            f"{server.audience} has no authorization_details type {strange[0]}",
            pointer="/authorization_details",
            reason="unknown_authorization_details_type",
        )
    shut = set(scopes) - set(opened_scopes(scopes, details, server.restrictions))
    if shut:
        raise InvalidRequest(
            f"authorization_details must have an object of a type that restricts the scope {min(shut)}; "
            "without one the scope allows nothing",
            pointer="/authorization_details",
            reason="scope_without_authorization_details",
        )
