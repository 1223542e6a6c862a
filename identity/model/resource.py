"""Resource servers: whom a token may be meant for, and what may be asked of them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from identity.model.authority import Restrictions, opened_scopes
from identity.model.delegation import Details
from identity.model.errors import Malformed

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
    """

    id: UUID
    audience: str
    principal_id: UUID | None
    scopes: tuple[str, ...]
    authorization_details_types: tuple[DetailsType, ...]
    created_at: datetime

    @property
    def type_names(self) -> frozenset[str]:
        """Every type of authorization details that it knows."""
        return frozenset(known.type for known in self.authorization_details_types)

    @property
    def restrictions(self) -> Restrictions:
        """The types that restrict scopes."""
        return {known.type: frozenset(known.scopes) for known in self.authorization_details_types if known.scopes}


def check_details_types(types: tuple[DetailsType, ...], scopes: tuple[str, ...]) -> tuple[DetailsType, ...]:
    """Return the types of authorization details of a resource server that has ``scopes``. Raises ``Malformed``."""
    names = [known.type for known in types]
    if len(names) > TYPES_MAX or len(set(names)) != len(names):
        raise _malformed(f"a resource server knows at most {TYPES_MAX} types, each once")
    if not all(0 < len(name) <= TYPE_LENGTH_MAX and name.isprintable() for name in names):
        raise _malformed(f"a type is 1 to {TYPE_LENGTH_MAX} printable characters")
    for known in types:
        if len(set(known.scopes)) != len(known.scopes) or not set(known.scopes) <= set(scopes):
            raise _malformed("a type restricts scopes of its resource server, each once")
    return types


def _malformed(fault: str) -> Malformed:
    return Malformed(fault, pointer="/authorization_details_types")


def check_offered(server: ResourceServer, *, scopes: tuple[str, ...], details: Details) -> None:
    """Refuse authority that the resource server does not know or would never use. Raises ``Malformed``."""
    unknown = [scope for scope in scopes if scope not in server.scopes]
    if unknown:
        raise Malformed(f"{server.audience} has no scope {unknown[0]}", pointer="/scopes", reason="unknown_scope")
    strange = [entry["type"] for entry in details if entry["type"] not in server.type_names]
    if strange:
        raise Malformed(
            f"{server.audience} has no authorization_details type {strange[0]}",
            pointer="/authorization_details",
            reason="unknown_authorization_details_type",
        )
    shut = set(scopes) - set(opened_scopes(scopes, details, server.restrictions))
    if shut:
        raise Malformed(
            f"authorization_details are given, and none of a type that restricts {min(shut)}: it would open nothing",
            pointer="/authorization_details",
            reason="scope_without_authorization_details",
        )
