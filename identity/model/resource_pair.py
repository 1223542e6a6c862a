"""Pairs of resource servers: what authority at the first may become at the second."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from identity.model.authority import Authority, Holder
from identity.model.delegation import Details
from identity.model.errors import InvalidRequest
from identity.model.resource import ResourceServer

PAIRS_MAX = 100
"""Of one resource server with others, in each direction: they end with it, in one transaction."""


@dataclass(frozen=True, slots=True)
class ResourcePair:
    """A token for ``source`` may be traded for one for ``target``, both audiences of resource servers.

    ``scopes`` says which scopes of the first allow which of the second, ``authorization_details_types`` which type an
    entry of the first becomes at the second. What is not named does not cross. ``version`` grows with every change,
    ``epoch`` with every one that narrows it.
    """

    id: UUID
    source: str
    target: str
    scopes: Mapping[str, tuple[str, ...]]
    authorization_details_types: Mapping[str, str]
    created_at: datetime
    version: int = 1
    epoch: int = 0

    def allowed_by(self, scopes: frozenset[str]) -> frozenset[str]:
        """Return the scopes of the second that these of the first allow."""
        return frozenset(target for scope in scopes for target in self.scopes.get(scope, ()))


def carry(pair: ResourcePair, held: Holder, source: ResourceServer, target: ResourceServer) -> Authority | None:
    """Return what is held at the first as it is held at the second; None where an entry of its details may not cross.

    Whatever a resource server lets through at the second, it lets through at the first in a scope that allows it, and
    within the same entries: a restriction that would be lost on the way takes its scope with it.
    """
    types = _types_that_cross(pair, source, target)
    if not all(_may_cross(entry["type"], held, pair, types, source, target) for entry in held.authorization_details):
        return None
    details = tuple({**entry, "type": types[entry["type"]]} for entry in held.authorization_details)
    scopes = tuple(
        wanted
        for wanted in target.scopes
        if any(
            wanted in pair.scopes.get(scope, ())
            and (not details or _stays_restricted(scope, wanted, types, source, target))
            for scope in held.scopes
        )
    )
    return Authority(scopes, details if scopes or not held.scopes else _standing_alone(details, target))


def _types_that_cross(pair: ResourcePair, source: ResourceServer, target: ResourceServer) -> Mapping[str, str]:
    """Return the types that both know now, and that restrict scopes at both or at neither."""
    return {
        known: become
        for known, become in pair.authorization_details_types.items()
        if known in source.type_names
        and become in target.type_names
        and (known in source.restrictions) == (become in target.restrictions)
    }


def _may_cross(
    type_: str,
    held: Holder,
    pair: ResourcePair,
    types: Mapping[str, str],
    source: ResourceServer,
    target: ResourceServer,
) -> bool:
    """True when the pair names the type. Where no scope is held, an entry opens every scope that its type restricts: it
    crosses only where those at the second are allowed by those at the first.
    """
    if type_ not in types:
        return False
    restricted = source.restrictions.get(type_, frozenset()).intersection(source.scopes)
    return bool(held.scopes) or target.restrictions.get(types[type_], frozenset()) <= pair.allowed_by(restricted)


def _stays_restricted(
    scope: str, wanted: str, types: Mapping[str, str], source: ResourceServer, target: ResourceServer
) -> bool:
    """True when ``scope`` is not limited at the first; or what limits ``wanted`` at the second is what its limits
    became, and nothing else that crosses.
    """
    limiting = {type_ for type_, restricted in source.restrictions.items() if scope in restricted}
    if not limiting:
        return True
    first_of = {become: known for known, become in types.items()}
    there = {first_of.get(type_) for type_, restricted in target.restrictions.items() if wanted in restricted} - {None}
    return bool(there) and there <= limiting


def _standing_alone(details: Details, target: ResourceServer) -> Details:
    """Return the entries that are left where no scope crossed: types that restrict stood with a scope, and mean more
    without one.
    """
    return tuple(entry for entry in details if entry["type"] not in target.restrictions)


def narrows(before: ResourcePair, after: ResourcePair) -> bool:
    """True when something crossed that does not any more, or as something else."""
    return not (
        all(set(allowed) <= set(after.scopes.get(scope, ())) for scope, allowed in before.scopes.items())
        and before.authorization_details_types.items() <= after.authorization_details_types.items()
    )


def check_pair(pair: ResourcePair, source: ResourceServer, target: ResourceServer) -> ResourcePair:
    """Return a pair of which each entry can take effect. Raises ``InvalidRequest``."""
    if source.audience == target.audience:
        raise InvalidRequest("a pair is of two resource servers", pointer="/to")
    if not (pair.scopes or pair.authorization_details_types):
        raise InvalidRequest("a pair without scopes and authorization_details_types allows nothing", pointer="/scopes")
    _check_scopes(pair, source, target)
    _check_types(pair, source, target)
    return pair


def _check_scopes(pair: ResourcePair, source: ResourceServer, target: ResourceServer) -> None:
    for scope, allowed in pair.scopes.items():
        if scope not in source.scopes:
            raise _unknown("/scopes", source, f"scope {scope}")
        if not allowed or len(set(allowed)) != len(allowed):
            raise InvalidRequest("a scope allows at least one scope, each once", pointer="/scopes")
        for other in allowed:
            if other not in target.scopes:
                raise _unknown("/scopes", target, f"scope {other}")


def _check_types(pair: ResourcePair, source: ResourceServer, target: ResourceServer) -> None:
    pointer, types = "/authorization_details_types", pair.authorization_details_types
    for known, become in types.items():
        if known not in source.type_names:
            raise _unknown(pointer, source, f"authorization_details type {known}")
        if become not in target.type_names:
            raise _unknown(pointer, target, f"authorization_details type {become}")
        restricted, there = source.restrictions.get(known), target.restrictions.get(become)
        if (restricted is None) != (there is None):
            raise InvalidRequest(
                "a type that restricts scopes becomes one that does, and one that stands alone one that does",
                pointer=pointer,
                reason="types_differ",
            )
        if restricted is not None and there is not None and not pair.allowed_by(restricted) & there:
            raise InvalidRequest(
                f"{become} restricts no scope that is allowed by one that {known} restricts",
                pointer=pointer,
                reason="type_restricts_other_scopes",
            )
    if len(set(types.values())) != len(types):
        raise InvalidRequest("two types may not become one: the entries of each would open what the other's open",
                        pointer=pointer)  # fmt: skip


def _unknown(pointer: str, server: ResourceServer, what: str) -> InvalidRequest:
    return InvalidRequest(f"{server.audience} has no {what}", pointer=pointer, reason="unknown_at_resource")
