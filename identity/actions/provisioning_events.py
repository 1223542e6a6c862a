"""What others are told of the directory's changes (RFC 9967)."""

from collections.abc import Sequence
from uuid import UUID

from identity.model.provisioning_event import RecordedProvisioningEvent
from identity.store import Tx
from identity.store.provisioning_events import provisioning_event_list


def list_provisioning_events(tx: Tx, *, after: UUID | None, limit: int) -> Sequence[RecordedProvisioningEvent]:
    """Return one page of what there is to tell, oldest first."""
    return provisioning_event_list(tx, after=after, limit=limit)
