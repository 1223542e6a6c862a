"""The provisioning log of a connection: the SCIM requests of its source."""

from datetime import datetime
from typing import Any
from uuid import UUID

from identity.actions.provisioning_log import list_log_entries
from identity.admin.endpoints import listing
from identity.admin.paging import LOG
from identity.admin.requests import LogPage, Name, PrincipalFilter
from identity.admin.responses import Flattened, Items, ResponseModel
from identity.model.provisioning_log import RequestOutcome


class RequestPage(LogPage):
    """A connection's log behind one request: of one principal, of one name (without case), in a span of time."""

    principal_id: PrincipalFilter = None
    name: Name | None = None
    outcome: RequestOutcome | None = None


class Change(ResponseModel):
    """One attribute before and after, null where there was or is none; secrets are masked, long values cut."""

    attribute: str
    old: Any
    new: Any


class Request(Flattened):
    """One request of a source. ``done`` was committed with this row; of ``refused`` and ``failed`` nothing changed."""

    INNER = "entry"

    id: UUID
    at: datetime
    connection_id: UUID
    request_id: str | None
    method: str
    path: str
    resource_type: str | None
    principal_id: UUID | None
    name: str | None
    outcome: RequestOutcome
    status: int
    scim_type: str | None
    reason: str | None
    detail: str | None
    duration_ms: int
    body: Any
    changes: list[Change]


class RequestList(Items[Request]):
    """Requests of one connection, in the requested order."""


listing(
    "/tenants/{tenant}/connections/{connection_id}/requests",
    list_log_entries,
    "Read the requests of a connection in the last days: their bodies, changes and refusals",
    RequestList,
    query=RequestPage,
    cursor=LOG,
)
