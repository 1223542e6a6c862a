"""Resource servers: whom a token may be meant for, and what may be asked of them."""

from dataclasses import dataclass
from datetime import datetime

from identity.model.delegation import Details
from identity.model.errors import Malformed

TYPES_MAX = 50
TYPE_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """``audience`` is the ``resource`` of RFC 8707 and the ``aud`` of every token meant for it."""

    audience: str
    scopes: tuple[str, ...]
    authorization_details_types: tuple[str, ...]
    created_at: datetime


def check_details_types(types: tuple[str, ...]) -> tuple[str, ...]:
    """Return the types of authorization details that a resource server knows (RFC 9396 §2). Raises ``Malformed``."""
    if len(types) > TYPES_MAX or len(set(types)) != len(types):
        raise Malformed(
            f"a resource server knows at most {TYPES_MAX} types, each once", pointer="/authorization_details_types"
        )
    if not all(0 < len(name) <= TYPE_LENGTH_MAX and name.isprintable() for name in types):
        raise Malformed(
            f"a type is 1 to {TYPE_LENGTH_MAX} printable characters", pointer="/authorization_details_types"
        )
    return types


def check_offered(server: ResourceServer, *, scopes: tuple[str, ...], details: Details) -> None:
    """Refuse authority that the resource server does not know. Raises ``Malformed``."""
    unknown = [scope for scope in scopes if scope not in server.scopes]
    if unknown:
        raise Malformed(f"{server.audience} has no scope {unknown[0]}", pointer="/scopes", reason="unknown_scope")
    strange = [entry["type"] for entry in details if entry["type"] not in server.authorization_details_types]
    if strange:
        raise Malformed(
            f"{server.audience} has no authorization_details type {strange[0]}",
            pointer="/authorization_details",
            reason="unknown_authorization_details_type",
        )
