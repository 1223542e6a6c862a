"""How much authority an exchange gives: never more than each holder has, as a resource server reads it.

Types of authorization details that a resource registers with scopes restrict these scopes; other types stand alone
(RFC 9396 §2, §3). A holder without details is therefore unrestricted by types that restrict, and has nothing of types
that stand alone.
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
    """What authority is taken from: a token of ours, or a delegation."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Scopes, in order."""

    @property
    def authorization_details(self) -> Details:
        """Entries; none where it has none, which is not the same as an entry that permits nothing."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What a token may be used for, at one resource."""

    scopes: tuple[str, ...]
    authorization_details: Details


@dataclass(frozen=True, slots=True)
class Exceeded:
    """Why not: ``fault`` is scope or details."""

    fault: str
    reason: str


def narrow_authority(
    holders: Sequence[Holder],
    scopes_asked: tuple[str, ...] | None,
    details_asked: Details | None,
    restrictions: Restrictions,
) -> Authority | Exceeded:
    """Return what is asked when every holder has it; where nothing is asked, what all of them have in common.

    A holder that has neither scopes nor details has nothing, and is no holder without restrictions.
    Where a holder has details, the result has at least one entry. Scopes that the result's details would shut are left
    out, and refused where they were asked for.
    """
    if not all(holder.scopes or holder.authorization_details for holder in holders):
        return Exceeded("scope", "nothing_left")
    scopes = narrow_scopes(_scopes_in_common(holders), scopes_asked)
    if scopes is None:
        return Exceeded("scope", "scope_exceeded")
    details = _narrow_details(holders, scopes, details_asked, restrictions)
    opened = opened_scopes(scopes, details, restrictions)
    if scopes_asked is not None and opened != scopes:
        return Exceeded("scope", "scope_exceeded")
    usable = details if opened else _standing_alone(holders, details, restrictions)
    if details_asked is not None and (not usable or usable != details_asked):
        return Exceeded("details", "authorization_details_exceeded")
    if not usable and (not opened or any(holder.authorization_details for holder in holders)):
        return Exceeded("scope", "nothing_left")
    return Authority(opened, usable)


def covers_authority(wider: Holder, holder: Holder, restrictions: Restrictions) -> bool:
    """True when all of what ``holder`` has may be had of ``wider``."""
    had = Authority(holder.scopes, holder.authorization_details)
    return narrow_authority([wider], had.scopes, had.authorization_details or None, restrictions) == had


def opened_scopes(scopes: tuple[str, ...], details: Details, restrictions: Restrictions) -> tuple[str, ...]:
    """Return the scopes that a token with these details opens at all.

    Without details every scope stands alone. With details, a scope that types restrict needs an entry of one of them.
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
    holders: Sequence[Holder], scopes: tuple[str, ...], asked: Details | None, restrictions: Restrictions
) -> Details:
    """Return what is asked, or nothing when a holder has it not; what all holders have when nothing is asked."""
    if asked is None:
        return _details_in_common(holders, restrictions)
    return asked if _may_have(holders, scopes, asked, restrictions) else ()


def _details_in_common(holders: Sequence[Holder], restrictions: Restrictions) -> Details:
    held = [holder.authorization_details for holder in holders if holder.authorization_details]
    common = reduce(common_details, held) if held else ()
    return common if len(held) == len(holders) else _restricting(common, restrictions)


def _may_have(holders: Sequence[Holder], scopes: tuple[str, ...], asked: Details, restrictions: Restrictions) -> bool:
    """True when every holder that has details covers each entry, and the others are only restricted by it.

    What no holder has may only be added where all the scopes that its type restricts are granted.
    """
    held = [holder.authorization_details for holder in holders if holder.authorization_details]
    if len(held) < len(holders) and _restricting(asked, restrictions) != asked:
        return False
    if not held:
        return all(restrictions[entry["type"]] <= set(scopes) for entry in asked)
    return all(covers_each(details, asked) for details in held)


def _standing_alone(holders: Sequence[Holder], details: Details, restrictions: Restrictions) -> Details:
    """Return the entries that are left where no scope is.

    Types that restrict scopes stand alone only where all holders have them so: with a scope they meant less.
    """
    if not any(holder.scopes for holder in holders):
        return details
    return tuple(entry for entry in details if entry["type"] not in restrictions)


def _restricting(details: Details, restrictions: Restrictions) -> Details:
    return tuple(entry for entry in details if entry["type"] in restrictions)
