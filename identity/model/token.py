"""Issued tokens, and the parties, grants and epochs that they rest on. Why a token is not active."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.delegation import Details
from identity.model.lifecycle import State
from identity.model.principal import Kind
from identity.model.task import TaskState
from identity.model.upstream_token import Upstream


@dataclass(frozen=True, slots=True)
class Party:
    """A principal as far as tokens are concerned. ``epoch`` only grows, with every cut."""

    id: UUID
    kind: Kind
    state: str
    epoch: int
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class GrantStatus:
    """A delegation, client or resource server that a token rests on. It is active only with its group basis.

    ``epoch`` grows with every change that narrows it. ``max_lifetime_s`` and ``expires_at`` are a delegation's, and
    bound the tokens that rest on it.
    """

    id: str
    is_active: bool
    epoch: int = 0
    max_lifetime_s: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """A pair of resource servers by which a chain left ``audience``. Deleted pairs are not read."""

    pair_id: UUID
    audience: str
    epoch: int = 0


Basis = Mapping[str, int]
"""The epochs of delegations, resource servers, pairs and connections; each only grows."""


Memberships = tuple[Mapping[str, Any], ...]
"""The memberships from the group of each delegation down to the subject, as the store found them."""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Every token of ``key`` that was issued up to ``not_before`` is inactive."""

    kind: str
    key: str
    not_before: datetime


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """One issued token and the present state of all that it rests on, read in one statement.

    A token of a connection's client has no ``subject_id``, and is not traded.
    ``connection_id`` and ``upstream_key`` name the oidc connection and its subject whose token began the chain.
    ``renewable_until`` is the end of its renewals; None: it is not renewed. ``first_jti`` is the first edition of a
    renewed token. ``is_branch_active``: no branch of the task was cancelled for an actor of its chain.
    ``memberships`` are None for a token of a version that stored none: then its delegations say whether they hold.
    """

    jti: UUID
    txn: UUID | None
    client_id: str
    subject_id: UUID | None
    actor_ids: tuple[UUID, ...]
    ancestor_ids: tuple[UUID, ...]
    delegation_ids: tuple[UUID, ...]
    client_ids: tuple[str, ...]
    party_ids: tuple[UUID, ...]
    epoch_sum: int
    depth_max: int
    audience: str
    scopes: tuple[str, ...]
    authorization_details: Details
    issued_at: datetime
    expires_at: datetime
    is_revoked: bool
    parties: tuple[Party, ...]
    delegations: tuple[GrantStatus, ...]
    clients: tuple[GrantStatus, ...]
    task_state: TaskState | None
    task_expires_at: datetime | None
    cutoffs: tuple[Cutoff, ...]
    tenant_state: str
    upstream: Upstream | None = None
    connection_id: UUID | None = None
    upstream_key: str | None = None
    is_connection_active: bool = True
    pair_ids: tuple[UUID, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    resources: tuple[GrantStatus, ...] = ()
    connection_epoch: int = 0
    basis_epoch_sum: int = 0
    renewable_until: datetime | None = None
    first_jti: UUID | None = None
    is_branch_active: bool = True
    memberships: Memberships | None = None
    memberships_hold: bool = True

    @property
    def basis(self) -> Basis:
        """The epoch of each delegation, resource server, pair and connection that it rests on."""
        return {
            **{f"delegation {grant.id}": grant.epoch for grant in self.delegations},
            **{f"resource {grant.id}": grant.epoch for grant in self.resources},
            **{f"pair {crossing.pair_id}": crossing.epoch for crossing in self.crossings},
            f"connection {self.connection_id}": self.connection_epoch,
        }

    @property
    def audiences_left(self) -> frozenset[str]:
        """The audiences of the chain before the present one."""
        return frozenset(crossing.audience for crossing in self.crossings)


def inactive_reason(token: TokenFacts, now: datetime, *, may_have_expired: bool = False) -> str | None:
    """Return why a token is not active, or None. A party or grant that is not known makes it inactive.

    With ``may_have_expired``, for a renewal, the expiry alone is no reason.

    Epochs only grow: with every cut of a party, and with every change that narrows a grant. Their sums are those of
    the issuing only while none of them has grown, whatever the clocks say. That is why the tokens of a principal stay
    inactive after it is reactivated.
    """
    return next(
        (
            reason
            for is_met, reason in (
                (token.tenant_state == "active", "tenant_inactive"),
                (may_have_expired or now < token.expires_at, "expired"),
                (not token.is_revoked, "revoked"),
                (set(token.party_ids) <= {party.id for party in token.parties}, "party_gone"),
                (all(is_active(party, now) for party in token.parties), "party_inactive"),
                (sum(party.epoch for party in token.parties) == token.epoch_sum, "party_cut_off"),
                (_all_active(token.clients, map(str, token.client_ids)), "client_revoked"),
                (_all_active(token.delegations, map(str, token.delegation_ids)), "delegation_ended"),
                (token.memberships_hold, "membership_ended"),
                (set(token.pair_ids) <= {crossing.pair_id for crossing in token.crossings}, "pair_deleted"),
                (token.is_connection_active, "connection_ended"),
                (sum(token.basis.values()) == token.basis_epoch_sum, "authority_narrowed"),
                (token.txn is None or token.task_state == TaskState.OPEN, "task_ended"),
                (token.task_expires_at is None or now < token.task_expires_at, "task_expired"),
                (token.is_branch_active, "branch_cancelled"),
                (not any(token.issued_at <= cutoff.not_before for cutoff in token.cutoffs), "cut_off"),
            )
            if not is_met
        ),
        None,
    )


def is_active(party: Party, now: datetime) -> bool:
    """True for a principal that is active and within its validity window, which is checked at each use."""
    return (
        party.state == State.ACTIVE
        and (party.valid_from is None or party.valid_from <= now)
        and (party.valid_until is None or now < party.valid_until)
    )


def _all_active(grants: Iterable[GrantStatus], needed: Iterable[str]) -> bool:
    return set(needed) <= {grant.id for grant in grants if grant.is_active}


@dataclass(frozen=True, slots=True)
class Issue:
    """A token about to be signed and stored. Without a ``subject`` its ``sub`` is its client.

    ``audiences`` are the resource servers that it rests on, the present one first. ``memberships`` are those of the
    delegations in ``inherited_ids``; the memberships of the others are found when it is stored.
    """

    jti: UUID
    client_id: str
    client_ids: tuple[str, ...]
    audience: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    txn: UUID | None = None
    subject: Party | None = None
    actors: tuple[Party, ...] = ()
    parties: tuple[Party, ...] = ()
    parent_id: UUID | None = None
    ancestor_ids: tuple[UUID, ...] = ()
    first_jti: UUID | None = None
    delegation_ids: tuple[UUID, ...] = ()
    pair_ids: tuple[UUID, ...] = ()
    depth_max: int = 0
    audiences: tuple[str, ...] = ()
    authorization_details: Details = ()
    renewable_until: datetime | None = None
    upstream: Upstream | None = None
    connection_id: UUID | None = None
    upstream_key: str | None = None
    upstream_iat: datetime | None = None
    basis: Basis = field(default_factory=dict)
    memberships: Memberships = ()
    inherited_ids: tuple[UUID, ...] = ()

    @property
    def basis_epoch_sum(self) -> int:
        """The sum of the epochs of all but parties that it rests on, as they were when it was decided."""
        return sum(self.basis.values())

    @property
    def epoch_sum(self) -> int:
        """The sum of the epochs of all parties, as they were when it was decided."""
        return sum(party.epoch for party in self.parties)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token, and the members of the answer about it. ``expires_in`` in seconds."""

    access_token: str
    expires_in: int
    scopes: tuple[str, ...]
    authorization_details: Details
