"""The outbox: work for the workers, and what they gave up on."""

from datetime import datetime
from uuid import UUID

from identity.actions.outbox import discard_outbox, list_outbox, replay_outbox
from identity.admin.endpoints import listing, post
from identity.admin.requests import Page
from identity.admin.responses import Items, ResponseModel
from identity.model.outbox import OutboxState

OUTBOX = "/tenants/{tenant}/outbox"
ROW = f"{OUTBOX}/{{outbox_id}}"


class OutboxPage(Page):
    """Outbox rows in one state."""

    state: OutboxState = OutboxState.DEAD


class OutboxRow(ResponseModel):
    """Work for the workers: "reconcile this principal", or "do this asynchronous request", which has the same id."""

    id: UUID
    principal_id: UUID | None
    kind: str
    state: OutboxState
    attempts: int
    last_error: str | None
    created_at: datetime
    available_at: datetime
    done_at: datetime | None
    dead_at: datetime | None


class OutboxList(Items[OutboxRow]):
    """Outbox rows, oldest first."""


listing(OUTBOX, list_outbox, "List outbox rows, in one state", OutboxList, query=OutboxPage)
post(f"{ROW}/replay", replay_outbox, "Try again what the workers gave up on", OutboxRow)
post(
    f"{ROW}/discard",
    discard_outbox,
    "Close what the workers gave up on, without its work",
    OutboxRow,
)
