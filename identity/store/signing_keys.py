"""Signing keys: public halves to publish, private halves sealed."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from identity.model.signing_key import KeyState, SigningKey
from identity.store.tables import signing_keys
from identity.store.tx import Tx

COLUMNS = (
    signing_keys.c.kid,
    signing_keys.c.alg,
    signing_keys.c.state,
    signing_keys.c.public_jwk,
    signing_keys.c.sealed_private,
    signing_keys.c.created_at,
    signing_keys.c.activates_at,
    signing_keys.c.verify_until,
)
KEYS_MAX = 20  # of one tenant that still verify; a rotation beyond that waits


def signing_key_from(row: Any) -> SigningKey:
    """Return the key in a row that holds ``COLUMNS``."""
    return SigningKey(
        kid=row.kid,
        alg=row.alg,
        state=KeyState(row.state),
        public_jwk=row.public_jwk,
        sealed_private=bytes(row.sealed_private),
        created_at=row.created_at,
        activates_at=row.activates_at,
        verify_until=row.verify_until,
    )


def signing_key_insert(tx: Tx, key: SigningKey) -> None:
    """Write a new key."""
    tx.execute(
        insert(signing_keys).values(
            tenant_id=tx.tenant_id,
            kid=key.kid,
            alg=key.alg,
            state=key.state,
            public_jwk=dict(key.public_jwk),
            sealed_private=key.sealed_private,
            created_at=key.created_at,
            activates_at=key.activates_at,
            verify_until=key.verify_until,
        )
    )


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
        select(*COLUMNS)
        .where(
            signing_keys.c.tenant_id == tx.tenant_id,
            signing_keys.c.state == KeyState.LIVE,
            signing_keys.c.verify_until.is_(None) | (signing_keys.c.verify_until > now),
        )
        .order_by(signing_keys.c.activates_at, signing_keys.c.kid)
        .limit(KEYS_MAX)
    )
    return [signing_key_from(row) for row in tx.execute(statement)]


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
