"""The provisioning log, as this edge writes it: requests, their changes, refusals and the reasons.

The entry of a change is written in the change's transaction, that of a refusal with the refusal's event. So the log is
never wrong about an outcome. Reads are entered only when they are refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from identity.actions.provisioning_log import log_entry_insert
from identity.edge.tx import Tx
from identity.model.access import Caller
from identity.model.errors import Refusal
from identity.model.principal import Amended, Principal
from identity.model.provisioning_log import (
    DETAIL_CHARACTERS_MAX,
    Change,
    LogEntry,
    RequestOutcome,
    changes_of,
    text_of,
)
from scim.errors import render_refusal
from scim.log_redaction import kept_body, kept_name, kept_query
from scim.schema.resource_types import ResourceType

NAMES = ("username", "agentusername", "displayname", "name")

log = structlog.get_logger("scim")


@dataclass(slots=True)
class DraftEntry:
    """The facts of a request so far. ``status`` is None until it has changed, or could have changed, something.

    ``sent`` is the body or the query as it came. The log keeps its attributes that one of ``types`` knows: the type of
    the resource, or all of the tenant's before that is known.
    """

    method: str
    path: str
    principal_id: UUID | None = None
    sent: Mapping[str, Any] | None = None
    is_query: bool = False
    types: Sequence[ResourceType] = ()
    resource_type: str | None = None
    name: str | None = None
    changes: tuple[Change, ...] = ()
    status: int | None = None
    started_s: float = field(default_factory=time.monotonic)

    def is_about(self, type_: ResourceType) -> None:
        """Enter the type of the resource."""
        self.types, self.resource_type = [type_], type_.name

    def receives(self, body: Mapping[str, Any]) -> None:
        """Enter the body."""
        self.sent, self.is_query = body, False

    def names(self, principal: Principal) -> None:
        """Enter the principal, which is named in a refusal as well."""
        self.principal_id, self.name = principal.id, principal.name

    def changed(self, amended: Amended, status: int) -> None:
        """Enter a change. The first of several gives the status."""
        self.changes, self.status = (*self.changes, *changes_of(amended)), self.status or status

    def done(self, status: int) -> LogEntry:
        """Return the entry of a request that was done."""
        return replace(self._entry(RequestOutcome.DONE, status), changes=self.changes)

    def refused(self, refusal: Refusal) -> LogEntry:
        """Return the entry of a refused request, with the reason."""
        body, status = render_refusal(refusal)
        return replace(
            self._entry(RequestOutcome.REFUSED, status),
            scim_type=body.get("scimType"),
            reason=refusal.reason,
            detail=text_of(str(body["detail"]), DETAIL_CHARACTERS_MAX),
        )

    def failed(self) -> LogEntry:
        """Return the entry of a fault of this server."""
        return replace(self._entry(RequestOutcome.FAILED, 500), detail="internal error; it was logged")

    def _entry(self, outcome: RequestOutcome, status: int) -> LogEntry:
        name, body = self.name, None
        if self.sent is not None:
            body = kept_query(self.sent, self.types) if self.is_query else kept_body(self.sent, self.types)
            name = kept_name(self.sent, self.types, NAMES) if name is None and not self.is_query else name
        return LogEntry(
            method=self.method,
            path=self.path,
            resource_type=self.resource_type,
            principal_id=self.principal_id,
            name=None if name is None else text_of(name),
            body=body,
            outcome=outcome,
            status=status,
            duration_ms=round((time.monotonic() - self.started_s) * 1000),
        )


def write_fault(
    entry: DraftEntry, open_transaction: Callable[[], AbstractContextManager[Tx]], caller: Caller, now: datetime
) -> None:
    """Write the entry of a fault in a transaction of its own. A second fault there is logged and not raised."""
    if caller.connection_id is None:
        return
    try:
        with open_transaction() as tx:
            log_entry_insert(tx, entry.failed(), caller=caller, now=now)
    except Exception:  # the first fault is on its way to the edge, and must arrive there
        log.exception("fault_not_recorded")
