"""Deciding a renewal: another edition of the presented token, while all that it rests on is active. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from identity.model.exchange import (
    Allowed,
    Denied,
    Held,
    Requested,
    Route,
    TenantLimits,
    earliest,
    grant,
    refuse_parties,
)
from identity.model.tenant import TASK_LIFETIME_MAX_S
from identity.model.token import Party, TokenFacts


def decide_renewal(
    requested: Requested,
    held: Held,
    actor: Party | None,
    *,
    others: Sequence[Party],
    route: Route,
    limits: TenantLimits,
    now: datetime,
) -> Allowed | Denied:
    """Decide whether the present actor of a token gets another edition of it. The token may have expired.

    The new one has the same chain and audience, and at most the same authority. A delegation that was narrowed or has
    ended since makes the token inactive, so its authority is within the delegations of today.
    """
    denied = refuse_parties(held, actor, others, now) or _refuse_token(requested, held, actor, now)
    if denied is not None or held.parent is None:
        return denied or Denied("renewal", "not_renewable")
    parent = held.parent
    granted = grant(requested, [parent], held.task, parent.audience, route.target)
    if isinstance(granted, Denied):
        return granted
    renewable_until = _end(parent, held, others, limits)
    expires_at = earliest(now, _lifetimes(parent, limits), [renewable_until, parent.task_expires_at])
    if expires_at <= now:
        return Denied("party", "lifetime_spent")
    return Allowed(
        audience=parent.audience,
        chain=held.chain,
        scopes=granted.scopes,
        authorization_details=granted.authorization_details,
        depth_max=parent.depth_max,
        expires_at=expires_at,
        task_expires_at=parent.task_expires_at or expires_at,
        delegation=None,
        renewable_until=renewable_until,
    )


def _refuse_token(requested: Requested, held: Held, actor: Party | None, now: datetime) -> Denied | None:
    parent = held.parent
    if parent is None or parent.renewable_until is None or not held.chain:
        return Denied("renewal", "not_renewable")
    if actor is None or held.chain[0].id != actor.id:
        return Denied("renewal", "renewal_of_another")
    if requested.resource not in (None, parent.audience):
        return Denied("target", "audience_differs")
    return Denied("renewal", "renewable_no_more") if parent.renewable_until <= now else None


def _end(parent: TokenFacts, held: Held, others: Sequence[Party], limits: TenantLimits) -> datetime:
    """Return the end of the new token's renewals: the earliest of the presented token's, the longest task of the
    tenant, and the ends that its delegations and parties have now.
    """
    longest = held.task.created_at + timedelta(seconds=limits.max_task_s) if held.task else None
    ends = [parent.renewable_until, longest, *(each.expires_at for each in parent.delegations)]
    windows = (party.valid_until for party in (held.subject, *held.chain, *others))
    return min(filter(None, [*ends, *windows]))


def _lifetimes(parent: TokenFacts, limits: TenantLimits) -> list[int]:
    """Return the longest lifetimes of the tenant and of each delegation, in seconds: no parent's expiry bounds them."""
    of_delegations = [each.max_lifetime_s for each in parent.delegations if each.max_lifetime_s is not None]
    return [TASK_LIFETIME_MAX_S, limits.lifetime_max_s, *of_delegations]


def editions_of(parent: TokenFacts) -> tuple[tuple[UUID, ...], UUID]:
    """Return the ancestors of a renewed token, and its first edition, which is one of them.

    Every renewal keeps them: a revocation of the first edition ends all editions.
    """
    if parent.first_jti is not None:
        return parent.ancestor_ids, parent.first_jti
    return (*parent.ancestor_ids, parent.jti), parent.jti
