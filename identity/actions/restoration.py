"""A tenant after its database was restored to a point in time: credentials that ended since are valid again.

So everything that was issued before ends once more. The tenant's cut-off holds for each person, client and token in it:
tokens, upstream tokens and client assertions from before are refused, whether they are on record or not.
"""

from datetime import datetime

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import create_signing_key
from identity.model.access import Caller
from identity.model.cutoff import CutoffKind
from identity.model.event import Event
from identity.model.restoration import AHEAD, EVENT, RestoredTenant
from identity.model.tenant import Tenant
from identity.store import Tx
from identity.store.events import event_insert, event_last
from identity.store.provisioning_log import sources_heard
from identity.store.signing_keys import signing_keys_lock, signing_keys_revoke
from identity.store.tokens import cutoff_set


def restore_tenant(
    tx: Tx,
    tenant: Tenant,
    *,
    restored_to: datetime | None,
    encryption: EnvelopeEncryption,
    caller: Caller,
    now: datetime,
) -> RestoredTenant:
    """Cut off all that was issued, sign with a new key alone, and return the sources that must provision again.

    Without ``restored_to`` it is the instant of the last event on record. Doing it twice for one point is doing it
    once.
    """
    signing_keys_lock(tx)  # two operators at once come one after the other
    point = restored_to or _last_recorded(tx, tenant)
    before = event_last(tx, type=EVENT)
    is_new = before is None or before.event.detail["restored_to"] != point.isoformat()
    if before is None or is_new:
        cut_off = now + AHEAD
        _cut_off(tx, point, cut_off, encryption=encryption, caller=caller, now=now)
    else:
        cut_off = datetime.fromisoformat(before.event.detail["cut_off"])
    return RestoredTenant(tenant.id, tenant.slug, point, cut_off, is_new, sources_heard(tx))


def _last_recorded(tx: Tx, tenant: Tenant) -> datetime:
    last = event_last(tx)
    if last is None:
        return tenant.created_at
    point = last.event.detail.get("restored_to") if last.event.type == EVENT else None
    return last.at if point is None else datetime.fromisoformat(point)


def _cut_off(
    tx: Tx, point: datetime, cut_off: datetime, *, encryption: EnvelopeEncryption, caller: Caller, now: datetime
) -> None:
    """Cut off, and revoke every key: one that was revoked after the point is valid again, and may be stolen."""
    cutoff_set(tx, CutoffKind.TENANT, str(tx.tenant_id), reason="restored", now=cut_off)
    signing_keys_revoke(tx)
    create_signing_key(tx, encryption=encryption, activates_at=now, caller=caller, now=now)
    detail = {"restored_to": point.isoformat(), "cut_off": cut_off.isoformat()}
    event_insert(tx, Event(type=EVENT, detail=detail), caller=caller, now=now)
