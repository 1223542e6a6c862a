"""The audit log: events of a tenant."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import StringConstraints, ValidationInfo, model_validator

from identity.actions.events import list_events
from identity.admin.endpoints import listing
from identity.admin.paging import LOG
from identity.admin.requests import LogPage, PrincipalFilter
from identity.admin.responses import Items, JsonObject, ResponseModel, members_of
from identity.edge.call import Call
from identity.model.event import Outcome, RecordedEvent


class EventPage(LogPage):
    """The audit log behind the event whose id is ``after``, of one task, principal or type, in a span of time."""

    txn: UUID | None = None
    principal_id: PrincipalFilter = None
    type: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None


class Caller(ResponseModel):
    """Who sent the request."""

    kind: str
    id: str | None


class Event(ResponseModel):
    """One row of the audit log."""

    id: UUID
    at: datetime
    tenant: str
    type: str
    outcome: Outcome
    caller: Caller
    subject_id: UUID | None
    actor_ids: list[UUID]
    txn: UUID | None
    reason: str | None
    request_id: str | None
    detail: JsonObject

    @model_validator(mode="before")
    @classmethod
    def flatten(cls, recorded: RecordedEvent, info: ValidationInfo[Call]) -> dict[str, Any]:
        """Return the members of a recorded event and of its event, with its tenant and caller."""
        caller = {"kind": recorded.caller_kind, "id": recorded.caller_id}
        added = {"tenant": info.context.slug, "caller": caller}
        return members_of(recorded.event) | members_of(recorded) | added


class EventList(Items[Event]):
    """Events, in the requested order."""


listing(
    "/tenants/{tenant}/events",
    list_events,
    "Read the audit log in either direction, of one task, principal or type, in a span of time",
    EventList,
    query=EventPage,
    cursor=LOG,
)
