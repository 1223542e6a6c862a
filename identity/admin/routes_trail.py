"""What happened: the audit trail, cut-offs, and news that the workers gave up on."""

from uuid import UUID

from identity.actions.audit import list_events
from identity.actions.cutoffs import list_cutoffs
from identity.actions.dead_letters import discard_dead_letter, list_outbox, replay_dead_letter
from identity.actions.provisioning_events import list_provisioning_events
from identity.admin import shapes, views
from identity.admin.operations import operation
from identity.admin.reading import cut_page, known_id, read_cursor, read_id_cursor, write_cursor
from identity.admin.routes_tenants import tenant_of_call
from identity.http import Call, house
from identity.model.event import RecordedEvent
from identity.model.provisioning_event import claims_of
from identity.model.tenant import issuer_of


def _event(tenant: str, recorded: RecordedEvent) -> views.Event:
    event = recorded.event
    return views.Event(
        id=recorded.id,
        at=recorded.at,
        tenant=tenant,
        type=event.type,
        outcome=event.outcome,
        caller=views.Caller(kind=recorded.caller_kind, id=recorded.caller_id),
        subject_id=event.subject_id,
        actor_ids=list(event.actor_ids),
        txn=event.txn,
        reason=event.reason,
        request_id=recorded.request_id,
        detail=dict(event.detail),
    )


@operation("GET", "/tenants/{tenant}/events", query=shapes.EventPage, answer=views.EventList)
def list_events_(call: Call, page: shapes.EventPage) -> views.EventList:
    """Read the audit log in either direction, of one task, principal or type, in a span of time."""
    rows = list_events(
        call.tx,
        after=None if page.after is None else known_id(page.after),
        txn=page.txn,
        principal_id=page.principal,
        type=page.type,
        span=page.span,
        order=page.order,
        limit=page.limit + 1,
    )
    shown, cursor = cut_page(rows, page.limit, lambda recorded: str(recorded.id))
    tenant = tenant_of_call(call).slug
    return views.EventList(items=[_event(tenant, recorded) for recorded in shown], next_cursor=cursor)


@operation(
    "GET",
    "/tenants/{tenant}/provisioning-events",
    query=shapes.ProvisioningEventPage,
    answer=views.ProvisioningEventList,
)
def list_provisioning_events_(call: Call, page: shapes.ProvisioningEventPage) -> views.ProvisioningEventList:
    """Read the claims of the tokens that tell of the directory's changes, after one of them."""
    after = None if page.after is None else known_id(page.after)
    rows = list_provisioning_events(call.tx, after=after, limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda recorded: str(recorded.id))
    issuer = issuer_of(house().external_url, tenant_of_call(call).slug)
    items = [views.ProvisioningEvent.model_validate(claims_of(recorded, issuer)) for recorded in shown]
    return views.ProvisioningEventList(items=items, next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/cutoffs", query=shapes.Page, answer=views.CutoffList)
def list_cutoffs_(call: Call, page: shapes.Page) -> views.CutoffList:
    """List cut-offs."""
    key = read_cursor(page.after, length=2)
    rows = list_cutoffs(call.tx, after=None if key is None else (key[0], key[1]), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda cutoff: write_cursor(cutoff.kind, cutoff.key))
    return views.CutoffList(items=[views.Cutoff.model_validate(row) for row in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/outbox", query=shapes.OutboxPage, answer=views.OutboxList)
def list_outbox_(call: Call, page: shapes.OutboxPage) -> views.OutboxList:
    """List news for the workers, in one state."""
    rows = list_outbox(call.tx, page.state, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda row: write_cursor(str(row.id)))
    return views.OutboxList(items=[views.OutboxRow.model_validate(row) for row in shown], next_cursor=cursor)


@operation("POST", "/tenants/{tenant}/outbox/{outbox_id}/replay", body=shapes.Nothing, answer=views.OutboxRow)
def replay_outbox(call: Call, outbox_id: UUID) -> views.OutboxRow:
    """Try again what the workers gave up on."""
    return views.OutboxRow.model_validate(replay_dead_letter(call.tx, outbox_id, caller=call.caller, now=call.now))


@operation("POST", "/tenants/{tenant}/outbox/{outbox_id}/discard", body=shapes.Nothing, answer=views.OutboxRow)
def discard_outbox(call: Call, outbox_id: UUID) -> views.OutboxRow:
    """Close what the workers gave up on, without its work."""
    return views.OutboxRow.model_validate(discard_dead_letter(call.tx, outbox_id, caller=call.caller, now=call.now))
