"""Provisioning events of the directory's changes (RFC 9967): read and sign them."""

from datetime import datetime

from identity.actions.issuance import sign
from identity.actions.signing_keys import KeyRing
from identity.model.provisioning_event import TYP, RecordedProvisioningEvent, claims_of
from identity.model.signing_key import signing_key
from identity.store import Tx
from identity.store.provisioning_events import provisioning_event_list
from identity.store.signing_keys import signing_keys_list

list_provisioning_events = provisioning_event_list


def sign_provisioning_event(
    tx: Tx, recorded: RecordedProvisioningEvent, *, issuer: str, audience: str, keys: KeyRing, now: datetime
) -> str:
    """Return the Security Event Token of an event, for one receiver. Raises ``Unavailable`` without a key."""
    key = signing_key(signing_keys_list(tx, now=now), now)
    claims = {**claims_of(recorded, issuer), "aud": audience}
    return sign(claims, key, keys.private(tx.tenant_id, key), type_=TYP)
