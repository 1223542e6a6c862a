"""One authenticated SCIM request, or one operation of a Bulk. No Flask here: workers make calls, too."""

from dataclasses import dataclass
from datetime import datetime

from identity.actions.provisioning_log import log_entry_insert
from identity.edge.tx import Tx
from identity.model.access import Caller
from scim.dialects import Dialect, dialect_named
from scim.provisioning_log import DraftEntry
from scim.resource.locations import Endpoints
from scim.schema.catalogue import catalogue_of
from scim.schema.resource_types import ResourceType


@dataclass(frozen=True, slots=True)
class ScimCall:
    """An authenticated call with its open transaction. ``entry`` is the draft of its entry in the provisioning log."""

    tx: Tx
    caller: Caller
    now: datetime
    endpoints: Endpoints
    dialect: Dialect
    entry: DraftEntry

    def type_at(self, endpoint: str) -> ResourceType:
        """Return the resource type at an endpoint, and enter it in the log. Raises ``NotFound``."""
        type_ = self.endpoints.catalogue.at(endpoint)
        self.entry.is_about(type_)
        return type_

    def write_entry(self) -> None:
        """Write the log's entry, if it has a status, and with it the events that the transaction holds."""
        if self.entry.status is not None:
            log_entry_insert(self.tx, self.entry.done(self.entry.status), caller=self.caller, now=self.now)


def make_call(tx: Tx, caller: Caller, now: datetime, base_url: str, entry: DraftEntry) -> ScimCall:
    """Return the call of a caller, with the resource types that its tenant has at this moment."""
    endpoints = Endpoints(base_url, catalogue_of(tx, caller))
    return ScimCall(tx, caller, now, endpoints, dialect_named(caller.dialect), entry)
