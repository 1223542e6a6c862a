"""Events of the audit trail. No secret, token or password is ever part of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from identity.model.provisioning_event import ProvisioningEvent


class Outcome(StrEnum):
    """Whether the requested operation was done."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the audit trail. ``type`` is ``noun.past_participle``; ``reason`` is a stable code.

    ``provisioning`` is the provisioning event about the same change, if there is one.
    """

    type: str
    outcome: Outcome = Outcome.DONE
    subject_id: UUID | None = None
    actor_ids: tuple[UUID, ...] = ()
    txn: UUID | None = None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    provisioning: ProvisioningEvent | None = None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as read back."""

    id: UUID
    at: datetime
    caller_kind: str
    caller_id: str | None
    request_id: str | None
    event: Event
