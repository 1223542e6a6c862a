"""Whether the key-encryption key is the one that encrypted the signing keys in the database: checked at the start."""

from dataclasses import dataclass
from datetime import datetime

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.actions.signing_keys import is_key_opened
from identity.model.ids import PLATFORM, TenantId
from identity.store import Engine
from identity.store.tenants import tenant_ids
from identity.store.transaction import transaction

LOOKED_AT = 2
"""Tenants from either end of the registry whose newest signing key is decrypted."""

WRONG_KEY = (
    "IDENTITY_KEY_ENCRYPTION_KEY is not the key that sealed the signing keys in this database: set that one. Where it "
    "is lost, `identity restored --key-lost` makes new signing keys"
)


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """How many of the sampled signing keys the key-encryption key decrypts, and how many it does not."""

    opened: int
    refused: int

    @property
    def is_wrong_key(self) -> bool:
        """True when it decrypts none of them."""
        return self.refused > 0 and self.opened == 0


def look_at_keys(engine: Engine, encryption: EnvelopeEncryption, now: datetime) -> KeyCheck:
    """Decrypt a signing key of the oldest tenants and of the newest ones, each in a transaction of its own.

    Raises ``Unavailable`` and SQLAlchemy's errors when the database does not answer.
    """
    found: list[bool | None] = []
    for tenant_id in _tenants(engine):
        with transaction(engine, tenant_id) as tx:
            found.append(is_key_opened(tx, encryption=encryption, now=now))
    return KeyCheck(found.count(True), found.count(False))


def _tenants(engine: Engine) -> dict[TenantId, None]:
    with transaction(engine, PLATFORM) as tx:
        ends = [tenant_ids(tx, limit=LOOKED_AT), tenant_ids(tx, limit=LOOKED_AT, newest_first=True)]
    return dict.fromkeys(id_ for end in ends for id_ in end)
