"""Signing keys: public halves to publish, private halves sealed."""

from datetime import datetime

from sqlalchemy import func, insert, select, update

from identity.model.signing_key import KeyState, SigningKey
from identity.store.rows import RowMapper
from identity.store.tables import signing_keys
from identity.store.tx import Tx

SIGNING_KEYS = RowMapper(signing_keys, SigningKey)
KEYS_MAX = 20  # of one tenant that still verify; a rotation beyond that waits


def signing_key_insert(tx: Tx, key: SigningKey) -> None:
    """Write a new key."""
    tx.execute(insert(signing_keys).values(tenant_id=tx.tenant_id, **SIGNING_KEYS.values(key)))


def signing_keys_lock(tx: Tx) -> None:
    """Hold the live keys until the transaction ends: rotations of one tenant come one after the other."""
    tx.execute(
        select(signing_keys.c.kid)
        .where(signing_keys.c.tenant_id == tx.tenant_id, signing_keys.c.state == KeyState.LIVE)
        .order_by(signing_keys.c.kid)
        .with_for_update()
    )


def signing_keys_list(tx: Tx, *, now: datetime) -> list[SigningKey]:
    """Return the keys that may still verify, oldest first."""
    statement = (
        select(*SIGNING_KEYS.columns)
        .where(
            signing_keys.c.tenant_id == tx.tenant_id,
            signing_keys.c.state == KeyState.LIVE,
            signing_keys.c.verify_until.is_(None) | (signing_keys.c.verify_until > now),
        )
        .order_by(signing_keys.c.activates_at, signing_keys.c.kid)
        .limit(KEYS_MAX)
    )
    return SIGNING_KEYS.all(tx.execute(statement))


def signing_keys_revoke(tx: Tx) -> None:
    """Let no present key verify or sign any more."""
    tx.execute(
        update(signing_keys)
        .where(signing_keys.c.tenant_id == tx.tenant_id, signing_keys.c.state == KeyState.LIVE)
        .values(state=KeyState.REVOKED)
    )


def signing_keys_retire(tx: Tx, *, verify_until: datetime) -> None:
    """Let every present key end at ``verify_until``, if not earlier."""
    tx.execute(
        update(signing_keys)
        .where(signing_keys.c.tenant_id == tx.tenant_id, signing_keys.c.state == KeyState.LIVE)
        .values(verify_until=func.least(func.coalesce(signing_keys.c.verify_until, verify_until), verify_until))
    )
