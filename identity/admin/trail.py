"""What happened: the audit trail, cut-offs, and news that the workers gave up on."""

from uuid import UUID

from identity.actions.audit import list_events
from identity.actions.cutoffs import list_cutoffs
from identity.actions.dead_letters import discard_dead_letter, list_outbox, replay_dead_letter
from identity.actions.provisioning_events import list_provisioning_events
from identity.admin import requests, responses
from identity.admin.endpoints import operation
from identity.admin.parsing import cut_page, known_id, read_cursor, read_id_cursor, write_cursor
from identity.admin.tenants import tenant_of_call
from identity.edge.call import Call
from identity.edge.runtime import runtime
from identity.model.event import RecordedEvent
from identity.model.provisioning_event import claims_of
from identity.model.tenant import issuer_of


def _event(tenant: str, recorded: RecordedEvent) -> responses.Event:
    event = recorded.event
    return responses.Event(
        id=recorded.id,
        at=recorded.at,
        tenant=tenant,
        type=event.type,
        outcome=event.outcome,
        caller=responses.Caller(kind=recorded.caller_kind, id=recorded.caller_id),
        subject_id=event.subject_id,
        actor_ids=list(event.actor_ids),
        txn=event.txn,
        reason=event.reason,
        request_id=recorded.request_id,
        detail=dict(event.detail),
    )


@operation("GET", "/tenants/{tenant}/events", query=requests.EventPage, answer=responses.EventList)
def list_events_(call: Call, page: requests.EventPage) -> responses.EventList:
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
    return responses.EventList(items=[_event(tenant, recorded) for recorded in shown], next_cursor=cursor)


@operation(
    "GET",
    "/tenants/{tenant}/provisioning-events",
    query=requests.ProvisioningEventPage,
    answer=responses.ProvisioningEventList,
)
def list_provisioning_events_(call: Call, page: requests.ProvisioningEventPage) -> responses.ProvisioningEventList:
    """Read the claims of the tokens that tell of the directory's changes, after one of them."""
    after = None if page.after is None else known_id(page.after)
    rows = list_provisioning_events(call.tx, after=after, limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda recorded: str(recorded.id))
    issuer = issuer_of(runtime().external_url, tenant_of_call(call).slug)
    items = [responses.ProvisioningEvent.model_validate(claims_of(recorded, issuer)) for recorded in shown]
    return responses.ProvisioningEventList(items=items, next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/cutoffs", query=requests.Page, answer=responses.CutoffList)
def list_cutoffs_(call: Call, page: requests.Page) -> responses.CutoffList:
    """List cut-offs."""
    key = read_cursor(page.after, length=2)
    rows = list_cutoffs(call.tx, after=None if key is None else (key[0], key[1]), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda cutoff: write_cursor(cutoff.kind, cutoff.key))
    return responses.CutoffList(items=[responses.Cutoff.model_validate(row) for row in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}/outbox", query=requests.OutboxPage, answer=responses.OutboxList)
def list_outbox_(call: Call, page: requests.OutboxPage) -> responses.OutboxList:
    """List news for the workers, in one state."""
    rows = list_outbox(call.tx, page.state, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda row: write_cursor(str(row.id)))
    return responses.OutboxList(items=[responses.OutboxRow.model_validate(row) for row in shown], next_cursor=cursor)


@operation("POST", "/tenants/{tenant}/outbox/{outbox_id}/replay", body=requests.Nothing, answer=responses.OutboxRow)
def replay_outbox(call: Call, outbox_id: UUID) -> responses.OutboxRow:
    """Try again what the workers gave up on."""
    return responses.OutboxRow.model_validate(replay_dead_letter(call.tx, outbox_id, caller=call.caller, now=call.now))


@operation("POST", "/tenants/{tenant}/outbox/{outbox_id}/discard", body=requests.Nothing, answer=responses.OutboxRow)
def discard_outbox(call: Call, outbox_id: UUID) -> responses.OutboxRow:
    """Close what the workers gave up on, without its work."""
    return responses.OutboxRow.model_validate(discard_dead_letter(call.tx, outbox_id, caller=call.caller, now=call.now))
