"""Delegations: standing permission for an agent to act for a person, or for the members of a group."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from identity.model.errors import InvalidRequest
from identity.model.tenant import (
    DEPTH_MAX,
    TASK_DURATION_MAX_S,
    TASK_DURATION_MIN_S,
    TASK_DURATION_S,
    TASK_LIFETIME_MAX_S,
    Tenant,
)

Details = tuple[Mapping[str, Any], ...]
"""authorization_details (RFC 9396 §2)."""

PARTY_ENDED = "party_ended"
"""Why a delegation ended whose actor or subject was deprovisioned or deleted, or lost its last owner."""

RESOURCE_DELETED = "resource_deleted"
"""Why a delegation ended whose resource server was deleted; it stays ended when the audience is registered anew."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """``actor_id`` may act for ``subject_id``, or for whoever is in ``subject_group_id``, at ``resource``.

    ``max_depth`` counts the actors that a chain may have from this one on, itself included; 1: may not hand on.
    A task under it goes on for ``max_task_s`` seconds at most. ``version`` grows with every change, ``epoch`` with
    every one that narrows it.
    """

    id: UUID
    actor_id: UUID
    subject_id: UUID | None
    subject_group_id: UUID | None
    resource: str
    scopes: tuple[str, ...]
    authorization_details: Details
    max_lifetime_s: int
    max_depth: int
    created_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    ended_reason: str | None
    granted_by: str = "administrator"
    max_task_s: int = TASK_DURATION_S
    version: int = 1
    epoch: int = 0

    @property
    def terms(self) -> tuple[object, ...]:
        """Return what makes it the same delegation as another: for whom, where, with what, within which limits."""
        details = sorted(json.dumps(entry, sort_keys=True) for entry in self.authorization_details)
        limits = (self.max_lifetime_s, self.max_depth, self.max_task_s, self.expires_at)
        whom = (self.actor_id, self.subject_id, self.subject_group_id, self.resource)
        return (*whom, frozenset(self.scopes), tuple(details), *limits)


def is_in_force(delegation: Delegation, now: datetime) -> bool:
    """True when a delegation has neither ended nor expired at ``now``: it is checked at each use."""
    return delegation.ended_at is None and (delegation.expires_at is None or now < delegation.expires_at)


DELEGATIONS_MAX = 100
"""Not ended, expired ones among them: of one actor for groups at one resource, and for one person there. An exchange
looks at as many.
"""


def check_limits(limits: Mapping[str, Any], tenant: Tenant) -> None:
    """Refuse a limit, by the name of its member, that no token or task could ever reach. Raises ``InvalidRequest``."""
    longest = min(TASK_LIFETIME_MAX_S, tenant.task_lifetime_max_s)
    task = min(TASK_DURATION_MAX_S, tenant.max_task_s)
    ranges = {
        "max_lifetime_s": (1, longest, "seconds"),
        "max_depth": (1, DEPTH_MAX, "actors"),
        "max_task_s": (TASK_DURATION_MIN_S, task, "seconds"),
    }
    for name, (least, most, unit) in ranges.items():
        if name in limits and not least <= limits[name] <= most:
            raise InvalidRequest(f"{name} must be {least} to {most} {unit}", pointer=f"/{name}")
