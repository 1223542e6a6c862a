"""The authority that an exchange grants: never more than each holder has, as a resource server reads it.

A type of authorization details restricts the scopes that its resource server registers with it; a type without scopes
stands alone (RFC 9396 §2, §3). A holder without details is therefore not restricted by the former, and has nothing of
the latter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from identity.model.authorization_details import common_details, covers_each
from identity.model.delegation import Details
from identity.model.scope import narrow_scopes

Restrictions = Mapping[str, frozenset[str]]
"""Types of authorization details that one resource registers, each with the scopes that it restricts."""


class Holder(Protocol):
    """A token of ours, or a delegation: authority is taken from it."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes, in order."""

    @property
    def authorization_details(self) -> Details:
        """Entries, or none, which is not the same as an entry that permits nothing."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The scopes and authorization details of a token at one resource server."""

    scopes: tuple[str, ...]
    authorization_details: Details


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A refusal: ``fault`` is scope or details."""

    fault: str
    reason: str


def narrow_authority(
    holders: Sequence[Holder],
    requested_scopes: tuple[str, ...] | None,
    requested_details: Details | None,
    restrictions: Restrictions,
) -> Authority | Exceeded:
    """Return the requested authority where every holder has it; without a request, the authority common to all.

    A holder with neither scopes nor details has nothing, and is not one without restrictions. Where a holder has
    details, the result has at least one entry. Scopes that the details of the result shut are left out, and refused
    where they were requested.
    """
    if not all(holder.scopes or holder.authorization_details for holder in holders):
        return Exceeded("scope", "nothing_left")
    scopes = narrow_scopes(_scopes_in_common(holders), requested_scopes)
    if scopes is None:
        return Exceeded("scope", "scope_exceeded")
    details = _narrow_details(holders, scopes, requested_details, restrictions)
    opened = opened_scopes(scopes, details, restrictions)
    if requested_scopes is not None and opened != scopes:
        return Exceeded("scope", "scope_exceeded")
    usable = details if opened else _standing_alone(holders, details, restrictions)
    if requested_details is not None and (not usable or usable != requested_details):
        return Exceeded("details", "authorization_details_exceeded")
    if not usable and (not opened or any(holder.authorization_details for holder in holders)):
        return Exceeded("scope", "nothing_left")
    return Authority(opened, usable)


def covers_authority(wider: Holder, holder: Holder, restrictions: Restrictions) -> bool:
    """True when ``wider`` has all the authority of ``holder``."""
    had = Authority(holder.scopes, holder.authorization_details)
    return narrow_authority([wider], had.scopes, had.authorization_details or None, restrictions) == had


def opened_scopes(scopes: tuple[str, ...], details: Details, restrictions: Restrictions) -> tuple[str, ...]:
    """Return the scopes that a token with these details can use.

    Without details that is every scope. With details, a scope that types restrict needs an entry of one of them.
    """
    if not details:
        return scopes
    types = {entry["type"] for entry in details}
    shut = (
        frozenset[str]()
        .union(*restrictions.values())
        .difference(*(restricted for type_, restricted in restrictions.items() if type_ in types))
    )
    return tuple(scope for scope in scopes if scope not in shut)


def _scopes_in_common(holders: Sequence[Holder]) -> tuple[str, ...]:
    first, *others = holders
    return tuple(scope for scope in first.scopes if all(scope in other.scopes for other in others))


def _narrow_details(
    holders: Sequence[Holder], scopes: tuple[str, ...], requested: Details | None, restrictions: Restrictions
) -> Details:
    """Return the requested details, or none when a holder lacks any; without a request, those common to all holders."""
    if requested is None:
        return _details_in_common(holders, restrictions)
    return requested if _may_have(holders, scopes, requested, restrictions) else ()


def _details_in_common(holders: Sequence[Holder], restrictions: Restrictions) -> Details:
    held = [holder.authorization_details for holder in holders if holder.authorization_details]
    common = reduce(common_details, held) if held else ()
    return common if len(held) == len(holders) else _restricting(common, restrictions)


def _may_have(
    holders: Sequence[Holder], scopes: tuple[str, ...], requested: Details, restrictions: Restrictions
) -> bool:
    """True when every holder with details covers each entry, and each entry only restricts the holders without.

    An entry that no holder has may only be added where all scopes that its type restricts are granted.
    """
    held = [holder.authorization_details for holder in holders if holder.authorization_details]
    if len(held) < len(holders) and _restricting(requested, restrictions) != requested:
        return False
    if not held:
        return all(restrictions[entry["type"]] <= set(scopes) for entry in requested)
    return all(covers_each(details, requested) for details in held)


def _standing_alone(holders: Sequence[Holder], details: Details, restrictions: Restrictions) -> Details:
    """Return the entries that are granted without any scope.

    Types that restrict scopes are among them only where no holder has a scope: beside one they permitted less.
    """
    if not any(holder.scopes for holder in holders):
        return details
    return tuple(entry for entry in details if entry["type"] not in restrictions)


def _restricting(details: Details, restrictions: Restrictions) -> Details:
    return tuple(entry for entry in details if entry["type"] in restrictions)
