"""Deciding an exchange: who may act for whom, and with how much authority. Pure: a decision is a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from identity.model.authority import Authority, Exceeded, Holder, narrow_authority
from identity.model.delegation import Delegation, Details, is_in_force
from identity.model.principal import ACTORS
from identity.model.resource import ResourceServer, still_offered
from identity.model.resource_pair import ResourcePair, carry
from identity.model.task import Task
from identity.model.tenant import DEPTH_MAX, TASK_DURATION_S, TASK_LIFETIME_MAX_S
from identity.model.token import Party, TokenFacts, is_active
from identity.model.upstream_token import Upstream

ANCESTORS_MAX = 16  # tokens from which one may be narrowed in turn; lifetimes of seconds never need as many


@dataclass(frozen=True, slots=True)
class Requested:
    """The authority that a client requests; a member that is None leaves the choice to the authority that is held.

    ``txn`` names the task that the token is to serve. ``is_renewal``: the token is to have the authority of the
    presented one, and a lifetime of its own.
    """

    resource: str | None = None
    scopes: tuple[str, ...] | None = None
    authorization_details: Details | None = None
    txn: UUID | None = None
    is_renewal: bool = False


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """The most that a tenant allows, in seconds: the life of a delegated token, and of a task."""

    lifetime_max_s: int
    max_task_s: int


@dataclass(frozen=True, slots=True)
class Held:
    """What the presented tokens prove: the person, the chain so far, and until when all of them are valid.

    ``parent`` is the subject token where it is one of ours; None for an upstream token, which ``issued_at`` is of.
    ``task`` is the parent's, or the one that is joined; None where this exchange opens one.
    """

    subject: Party
    chain: tuple[Party, ...]
    parent: TokenFacts | None
    valid_until: datetime
    upstream: Upstream | None = None
    issued_at: datetime | None = None
    task: Task | None = None

    @property
    def depth(self) -> int:
        """How many actors there are already, those that the upstream named included."""
        return len(self.chain) + (self.upstream.depth if self.upstream else 0)


@dataclass(frozen=True, slots=True)
class Route:
    """The resource servers that the token comes from and goes to.

    ``target`` is the requested one, else that of the subject token; None: not registered. ``source`` is that of the
    subject token, and ``pair`` the authority that the tenant lets cross from it to ``target``. ``is_own``: the client
    is the service in the audience of the subject token, and its principal runs that service.
    """

    target: ResourceServer | None
    source: ResourceServer | None = None
    pair: ResourcePair | None = None
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """The authority of the new token. ``chain`` has the present actor first. ``delegation`` is None where an actor
    narrows a token of its own, and ``pair`` where the audience is the subject token's. ``renewable_until`` is the end
    of its renewals; None: it is not renewed.
    """

    audience: str
    chain: tuple[Party, ...]
    scopes: tuple[str, ...]
    authorization_details: Details
    depth_max: int
    expires_at: datetime
    task_expires_at: datetime
    delegation: Delegation | None
    pair: ResourcePair | None = None
    renewable_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal. ``fault`` is the part of the request: party, target, scope, details, delegation or renewal."""

    fault: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Terms:
    """One decision, apart from the delegation that it is tried with. ``holder`` has the authority of the subject token
    at the audience; None for an upstream token.
    """

    requested: Requested
    held: Held
    audience: str
    holder: Holder | None
    pair: ResourcePair | None
    route: Route
    others: Sequence[Party]
    limits: TenantLimits
    now: datetime


def decide_exchange(
    requested: Requested,
    held: Held,
    actor: Party | None,
    delegations: Sequence[Delegation],
    *,
    others: Sequence[Party] = (),
    route: Route,
    limits: TenantLimits,
    now: datetime,
) -> Allowed | Denied:
    """Decide whether ``actor`` may act for the subject, and with what. Every result is a subset of what is held.

    ``others`` are the parties besides subject, chain and actor. They too must be active, and bound the lifetime.
    """
    denied = (
        refuse_parties(held, actor, others, now) or _refuse_ancestors(held) or _refuse_target(requested, held, route)
    )
    if denied is not None or actor is None:
        return denied or Denied("party", "actor_unknown")
    pair = route.pair if _crosses(requested, held) else None
    if pair is not None and actor.id in {link.id for link in held.chain}:
        return Denied("delegation", "actor_already_in_chain")
    audience = str(requested.resource) if pair or held.parent is None else held.parent.audience
    holder = held.parent if pair is None else _carried(pair, held, route)
    if pair is not None and holder is None:
        return Denied("target", "authorization_details_do_not_cross")
    terms = _Terms(requested, held, audience, holder, pair, route, others, limits, now)
    if pair is None and held.chain and held.chain[0].id == actor.id:
        return _narrow(terms, None, held.chain)
    return _decide_by_delegation(terms, actor, delegations)


def _decide_by_delegation(terms: _Terms, actor: Party, delegations: Sequence[Delegation]) -> Allowed | Denied:
    matching = [delegation for delegation in delegations if delegation.resource == terms.audience]
    standing = [delegation for delegation in matching if is_in_force(delegation, terms.now)]
    if not standing:
        return Denied("delegation", "delegation_ended" if matching else "not_delegated")
    if terms.route.target is not None:
        offered = [still_offered(delegation, terms.route.target) for delegation in standing]
        standing = [delegation for delegation in offered if delegation is not None]
    if not standing:
        return Denied("delegation", "delegation_not_offered")
    decisions = [_narrow(terms, delegation, (actor, *terms.held.chain)) for delegation in standing]
    return next((decision for decision in decisions if isinstance(decision, Allowed)), decisions[0])


def _crosses(requested: Requested, held: Held) -> bool:
    return held.parent is not None and requested.resource not in (None, held.parent.audience)


def _carried(pair: ResourcePair, held: Held, route: Route) -> Holder | None:
    if held.parent is None or route.source is None or route.target is None:
        return None
    return carry(pair, held.parent, route.source, route.target)


def refuse_parties(held: Held, actor: Party | None, others: Sequence[Party], now: datetime) -> Denied | None:
    """Refuse when the actor, the subject or another party may not be acted by or for now."""
    if actor is None or actor.kind not in ACTORS:
        return Denied("party", "actor_unknown")
    if not is_active(actor, now):
        return Denied("party", "actor_inactive")
    if not is_active(held.subject, now):
        return Denied("party", "subject_inactive")
    if not all(is_active(link, now) for link in held.chain):
        return Denied("party", "chain_inactive")
    if not all(is_active(other, now) for other in others):
        return Denied("party", "party_inactive")
    if held.subject.id == actor.id:
        return Denied("delegation", "actor_is_subject")
    if actor.id in {link.id for link in held.chain[1:]}:
        return Denied("delegation", "actor_already_in_chain")
    return None


def _refuse_ancestors(held: Held) -> Denied | None:
    if held.parent and len(held.parent.ancestor_ids) >= ANCESTORS_MAX:
        return Denied("delegation", "too_many_ancestors")
    return None


def _refuse_target(requested: Requested, held: Held, route: Route) -> Denied | None:
    if requested.resource is None:
        return None if held.parent else Denied("target", "resource_required")
    if held.parent and _crosses(requested, held):
        return _refuse_crossing(requested.resource, held.parent, route)
    return None if route.target else Denied("target", "unknown_resource")


def _refuse_crossing(wanted: str, parent: TokenFacts, route: Route) -> Denied | None:
    """Refuse another audience to all but the service in the audience of the subject token, and an earlier audience to
    all: there the chain could gain authority that it had lost.
    """
    if not route.is_own:
        return Denied("target", "audience_differs")
    if route.target is None:
        return Denied("target", "unknown_resource")
    if wanted in parent.audiences_left:
        return Denied("target", "audience_was_left")
    if route.pair is None:
        return Denied("target", "pair_not_allowed")
    return None


def _narrow(terms: _Terms, delegation: Delegation | None, chain: tuple[Party, ...]) -> Allowed | Denied:
    held, now = terms.held, terms.now
    depth_max = _depth_max(held, delegation)
    if held.depth + len(chain) - len(held.chain) > depth_max:
        return Denied("delegation", "depth_exceeded")
    holders: list[Holder] = [holder for holder in (terms.holder, delegation) if holder is not None]
    granted = grant(terms.requested, holders, held.task, terms.audience, terms.route.target)
    if isinstance(granted, Denied):
        return granted
    parties = (held.subject, *chain, *terms.others)
    task_expires_at, ends_at = _task_expiry(terms, delegation), _end(terms, delegation, parties)
    expires_at = _expiry(terms, delegation, parties, min(task_expires_at, ends_at or task_expires_at))
    if expires_at <= now:
        return Denied("party", "lifetime_spent")
    return Allowed(
        audience=terms.audience,
        chain=chain,
        scopes=granted.scopes,
        authorization_details=granted.authorization_details,
        depth_max=depth_max,
        expires_at=expires_at,
        task_expires_at=task_expires_at,
        delegation=delegation,
        pair=terms.pair,
        renewable_until=ends_at,
    )


def grant(
    requested: Requested, holders: Sequence[Holder], task: Task | None, audience: str, target: ResourceServer | None
) -> Authority | Denied:
    """Return the requested authority where all holders have it, and the task too if it has an authority of its own."""
    if task is not None and task.authority is not None:
        entry = task.held_at(audience)
        if entry is None:
            return Denied("target", "resource_not_in_task")
        holders = [*holders, entry]
    if target and any(entry["type"] not in target.type_names for entry in requested.authorization_details or ()):
        return Denied("details", "authorization_details_exceeded")
    restrictions = target.restrictions if target else {}
    granted = narrow_authority(holders, requested.scopes, requested.authorization_details, restrictions)
    return Denied(granted.fault, granted.reason) if isinstance(granted, Exceeded) else granted


def _depth_max(held: Held, delegation: Delegation | None) -> int:
    limits = [DEPTH_MAX]
    if held.parent and held.chain:
        limits.append(held.parent.depth_max)
    if held.task and held.task.budget and held.task.budget.depth is not None:
        limits.append(held.task.budget.depth)
    if delegation:
        limits.append(held.depth + delegation.max_depth)
    return min(limits)


def _task_expiry(terms: _Terms, delegation: Delegation | None) -> datetime:
    held = terms.held
    if held.parent and held.parent.task_expires_at:
        return held.parent.task_expires_at
    if held.task:
        return held.task.expires_at
    longest = min([TASK_DURATION_S, terms.limits.max_task_s, *([delegation.max_task_s] if delegation else [])])
    return terms.now + timedelta(seconds=longest)


def _end(terms: _Terms, delegation: Delegation | None, parties: Sequence[Party]) -> datetime | None:
    """Return the end of the token's renewals: the earliest of its parent's, its task's, the longest task of delegation
    and tenant, and the ends that the delegation and each party have now. None where the parent may not be renewed.
    """
    parent, task = terms.held.parent, terms.held.task
    if parent is not None and parent.actor_ids and parent.renewable_until is None:
        return None
    begun = task.created_at if task else terms.now
    longest = min([terms.limits.max_task_s, *([delegation.max_task_s] if delegation else [])])
    bounds = [parent.renewable_until if parent else None, delegation.expires_at if delegation else None]
    ends = [*bounds, *(party.valid_until for party in parties)]
    return min([begun + timedelta(seconds=longest), _task_expiry(terms, delegation), *filter(None, ends)])


def _expiry(terms: _Terms, delegation: Delegation | None, parties: Sequence[Party], ends_at: datetime) -> datetime:
    lifetimes = [TASK_LIFETIME_MAX_S, terms.limits.lifetime_max_s]
    bounds = [terms.held.valid_until, ends_at, *(party.valid_until for party in parties)]
    if delegation:
        lifetimes.append(delegation.max_lifetime_s)
        bounds.append(delegation.expires_at)
    return earliest(terms.now, lifetimes, bounds)


def earliest(now: datetime, lifetimes_s: Sequence[int], bounds: Sequence[datetime | None]) -> datetime:
    """Return the end of the shortest lifetime, or the earliest bound, in whole seconds, never later."""
    ends = [bound.replace(microsecond=0) for bound in bounds if bound is not None]
    return min([now.replace(microsecond=0) + timedelta(seconds=min(lifetimes_s)), *ends])


def parties_of(allowed: Allowed, held: Held, *others: Party | None) -> tuple[Party, ...]:
    """Return every principal that the new token rests on, each once."""
    parties = (held.subject, *allowed.chain, *filter(None, others))
    return tuple({party.id: party for party in parties}.values())
