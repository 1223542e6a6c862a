"""Deciding an exchange: who may act for whom, with how much of what is held. Pure; a decision is a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from identity.model.authority import Exceeded, Holder, Restrictions, narrow_authority
from identity.model.delegation import Delegation, Details, stands
from identity.model.principal import ACTORS
from identity.model.tenant import DEPTH_MAX, TASK_DURATION_S, TASK_LIFETIME_MAX_S
from identity.model.token import Party, TokenFacts, lives
from identity.model.upstream_token import Upstream

ANCESTORS_MAX = 16  # tokens from which one may be narrowed in turn; lifetimes of seconds never need as many


@dataclass(frozen=True, slots=True)
class Asked:
    """What the client asks for; None where it leaves the choice to what is held."""

    resource: str | None
    scopes: tuple[str, ...] | None
    authorization_details: Details | None


@dataclass(frozen=True, slots=True)
class Held:
    """On what the request stands: the person, the chain so far, and until when every token presented is good.

    ``parent`` is the subject token when it is one of ours; a person's upstream token has none.
    """

    subject: Party
    chain: tuple[Party, ...]
    parent: TokenFacts | None
    good_until: datetime
    upstream: Upstream | None = None
    issued_at: datetime | None = None

    @property
    def depth(self) -> int:
        """How many actors there are already, those that the upstream named included."""
        return len(self.chain) + (self.upstream.depth if self.upstream else 0)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The authority of the new token. ``chain`` has the present actor first. ``delegation`` is None when an actor
    only narrows what it holds already."""

    audience: str
    chain: tuple[Party, ...]
    scopes: tuple[str, ...]
    authorization_details: Details
    depth_max: int
    expires_at: datetime
    task_expires_at: datetime
    delegation: Delegation | None


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not. ``fault`` says which part of the request is at fault: party, target, scope, details, delegation."""

    fault: str
    reason: str


def decide_exchange(
    asked: Asked,
    held: Held,
    actor: Party | None,
    delegations: Sequence[Delegation],
    *,
    others: Sequence[Party] = (),
    restrictions: Restrictions | None,
    tenant_lifetime_max_s: int,
    now: datetime,
) -> Allowed | Denied:
    """Decide whether ``actor`` may act for the subject, and with what. Every result is a subset of what is held.

    ``others`` are the parties besides subject, chain and actor: they too must live, and bound the lifetime.
    ``restrictions`` are those of the resource: the subject token's audience, or what is asked; None: not registered.
    """
    denied = _refuse_parties(held, actor, others, now) or _refuse_target(asked, held, restrictions is not None)
    if denied is not None or actor is None:
        return denied or Denied("party", "actor_unknown")
    audience = held.parent.audience if held.parent else str(asked.resource)
    if held.chain and held.chain[0].id == actor.id:
        return _narrow(asked, held, audience, None, held.chain, others, restrictions or {}, tenant_lifetime_max_s, now)
    matching = [delegation for delegation in delegations if delegation.resource == audience]
    standing = [delegation for delegation in matching if stands(delegation, now)]
    if not standing:
        return Denied("delegation", "delegation_ended" if matching else "not_delegated")
    decisions = [
        _narrow(
            asked,
            held,
            audience,
            delegation,
            (actor, *held.chain),
            others,
            restrictions or {},
            tenant_lifetime_max_s,
            now,
        )
        for delegation in standing
    ]
    return next((decision for decision in decisions if isinstance(decision, Allowed)), decisions[0])


def _refuse_parties(held: Held, actor: Party | None, others: Sequence[Party], now: datetime) -> Denied | None:
    if actor is None or actor.kind not in ACTORS:
        return Denied("party", "actor_unknown")
    if not lives(actor, now):
        return Denied("party", "actor_inactive")
    if not lives(held.subject, now):
        return Denied("party", "subject_inactive")
    if not all(lives(link, now) for link in held.chain):
        return Denied("party", "chain_inactive")
    if not all(lives(other, now) for other in others):
        return Denied("party", "party_inactive")
    if held.subject.id == actor.id:
        return Denied("delegation", "actor_is_subject")
    if actor.id in {link.id for link in held.chain[1:]}:
        return Denied("delegation", "actor_already_in_chain")
    if held.parent and len(held.parent.ancestor_ids) >= ANCESTORS_MAX:
        return Denied("delegation", "too_many_ancestors")
    return None


def _refuse_target(asked: Asked, held: Held, resource_known: bool) -> Denied | None:
    if asked.resource is None:
        return None if held.parent else Denied("target", "resource_required")
    if held.parent and asked.resource != held.parent.audience:
        return Denied("target", "audience_differs")
    return None if resource_known else Denied("target", "unknown_resource")


def _narrow(
    asked: Asked,
    held: Held,
    audience: str,
    delegation: Delegation | None,
    chain: tuple[Party, ...],
    others: Sequence[Party],
    restrictions: Restrictions,
    tenant_lifetime_max_s: int,
    now: datetime,
) -> Allowed | Denied:
    depth_max = _depth_max(held, delegation)
    if held.depth + len(chain) - len(held.chain) > depth_max:
        return Denied("delegation", "depth_exceeded")
    holders: list[Holder] = [holder for holder in (held.parent, delegation) if holder is not None]
    granted = narrow_authority(holders, asked.scopes, asked.authorization_details, restrictions)
    if isinstance(granted, Exceeded):
        return Denied(granted.fault, granted.reason)
    task_expires_at = _task_expiry(held, now)
    expires_at = _expiry(held, delegation, (held.subject, *chain, *others), task_expires_at, tenant_lifetime_max_s, now)
    if expires_at <= now:
        return Denied("party", "lifetime_spent")
    return Allowed(
        audience=audience,
        chain=chain,
        scopes=granted.scopes,
        authorization_details=granted.authorization_details,
        depth_max=depth_max,
        expires_at=expires_at,
        task_expires_at=task_expires_at,
        delegation=delegation,
    )


def _depth_max(held: Held, delegation: Delegation | None) -> int:
    limits = [DEPTH_MAX]
    if held.parent and held.chain:
        limits.append(held.parent.depth_max)
    if delegation:
        limits.append(held.depth + delegation.max_depth)
    return min(limits)


def _task_expiry(held: Held, now: datetime) -> datetime:
    if held.parent and held.parent.task_expires_at:
        return held.parent.task_expires_at
    return now + timedelta(seconds=TASK_DURATION_S)


def _expiry(
    held: Held,
    delegation: Delegation | None,
    parties: Sequence[Party],
    task_expires_at: datetime,
    tenant_lifetime_max_s: int,
    now: datetime,
) -> datetime:
    lifetimes = [TASK_LIFETIME_MAX_S, tenant_lifetime_max_s]
    bounds = [held.good_until, task_expires_at, *(party.valid_until for party in parties)]
    if delegation:
        lifetimes.append(delegation.max_lifetime_s)
        bounds.append(delegation.expires_at)
    whole_now = now.replace(microsecond=0)
    ends = [bound.replace(microsecond=0) for bound in bounds if bound is not None]
    return min([whole_now + timedelta(seconds=min(lifetimes)), *ends])


def parties_of(allowed: Allowed, held: Held, *others: Party | None) -> tuple[Party, ...]:
    """Return every principal that the new token rests on, each once."""
    parties: dict[UUID, Party] = {held.subject.id: held.subject}
    parties |= {actor.id: actor for actor in allowed.chain}
    parties |= {other.id: other for other in others if other is not None}
    return tuple(parties.values())
