"""Provisioning events (RFC 9967): read them, and sign them as Security Event Tokens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from identity.actions.issuance import sign
from identity.actions.signing_keys import KeyRing
from identity.model.provisioning_event import TYP, RecordedProvisioningEvent, claims_of
from identity.model.signing_key import signing_key
from identity.store import Tx
from identity.store.provisioning_events import provisioning_event_list
from identity.store.signing_keys import signing_keys_list


def list_provisioning_events(tx: Tx, *, after: UUID | None, limit: int) -> Sequence[RecordedProvisioningEvent]:
    """Return one page of events, oldest first."""
    return provisioning_event_list(tx, after=after, limit=limit)


def sign_provisioning_event(
    tx: Tx, recorded: RecordedProvisioningEvent, *, issuer: str, audience: str, keys: KeyRing, now: datetime
) -> str:
    """Return the Security Event Token of an event, for one receiver. Raises ``Unavailable`` without a key."""
    key = signing_key(signing_keys_list(tx, now=now), now)
    claims = {**claims_of(recorded, issuer), "aud": audience}
    return sign(claims, key, keys.private(tx.tenant_id, key), type_=TYP)
