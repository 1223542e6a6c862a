"""What a token says, once every rule has held."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """One party that acts for the subject (RFC 8693 §4.1); ``profile`` is the issuer's word for it."""

    subject: str
    issuer: str
    profile: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedClaims:
    """Facts that were true when the token was issued. Instants are aware UTC.

    ``actors`` starts with the current actor and ends with the first one; it is empty when the subject acts
    itself. An actor whose ``issuer`` is not the token's was named by an upstream issuer. ``acr``, ``amr`` and
    ``auth_time`` are how and when the person signed in there, as far as it said (OpenID Connect Core §2). ``claims`` is
    every claim as it was signed, read-only at its top: leave what is inside as it is.
    """

    issuer: str
    tenant: str
    subject: str
    subject_profile: str | None
    audience: str
    client_id: str
    client_profile: str | None
    actors: tuple[Actor, ...]
    scopes: tuple[str, ...]
    authorization_details: tuple[Mapping[str, Any], ...]
    acr: str | None
    amr: tuple[str, ...]
    auth_time: datetime | None
    txn: str | None
    token_id: str
    issued_at: datetime
    expires_at: datetime
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def depth(self) -> int:
        """How many actors stand between the subject and this request."""
        return len(self.actors)

    @property
    def actor(self) -> Actor | None:
        """Who acts now. Name it in logs, never ``client_id`` alone."""
        return self.actors[0] if self.actors else None

    def has_scope(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def details_stand_alone(self) -> bool:
        """True when there is no scope at all: the authorization details say everything that may be done."""
        return not self.scopes and bool(self.authorization_details)

    def is_within_details(self, types: Collection[str], permits: Callable[[Mapping[str, Any]], bool]) -> bool:
        """True when no authorization details restrict, or an entry of one of ``types`` permits the call.

        ``permits`` gets one entry; a member that it does not understand may be a limit, so let it answer False.
        """
        entries = self.authorization_details
        return not entries or any(permits(entry) for entry in entries if entry["type"] in types)

    def opens(self, scope: str, types: Collection[str], permits: Callable[[Mapping[str, Any]], bool]) -> bool:
        """Read scopes and authorization details together, as the issuer means them.

        ``types`` are those that your resource registers as restricting ``scope``; none: the scope is enough.
        """
        if types and self.details_stand_alone:
            return self.is_within_details(types, permits)
        return self.has_scope(scope) and (not types or self.is_within_details(types, permits))


def read_claims(claims: dict[str, Any]) -> VerifiedClaims:
    """Give names and types to claims that have passed every rule; it checks nothing itself."""
    return VerifiedClaims(
        issuer=claims["iss"],
        tenant=claims["tenant"],
        subject=claims["sub"],
        subject_profile=claims.get("sub_profile"),
        audience=claims["aud"],
        client_id=claims["client_id"],
        client_profile=claims.get("client_profile"),
        actors=tuple(Actor(act["sub"], act["iss"], act.get("sub_profile")) for act in unfold_actors(claims)),
        scopes=tuple(claims.get("scope", "").split()),
        authorization_details=tuple(map(MappingProxyType, claims.get("authorization_details", []))),
        acr=claims.get("acr"),
        amr=tuple(claims.get("amr", ())),
        auth_time=datetime.fromtimestamp(claims["auth_time"], timezone.utc) if "auth_time" in claims else None,
        txn=claims.get("txn"),
        token_id=claims["jti"],
        issued_at=datetime.fromtimestamp(claims["iat"], timezone.utc),
        expires_at=datetime.fromtimestamp(claims["exp"], timezone.utc),
        claims=MappingProxyType(claims),
    )


def unfold_actors(claims: Mapping[str, Any]) -> list[Any]:
    """The nested ``act`` members, outermost first; one that is no object is the last item."""
    chain: list[Any] = []
    holder: Any = claims
    while isinstance(holder, Mapping) and "act" in holder:
        holder = holder["act"]
        chain.append(holder)
    return chain
