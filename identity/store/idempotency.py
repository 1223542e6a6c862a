"""Answers kept under an Idempotency-Key. The unique key decides a race; the loser waits for the winner's answer."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from identity.store.rows import RowMapper
from identity.store.tables import idempotency_keys
from identity.store.tx import Tx


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to the first request of a key. ``sealed_answer`` may hold secrets."""

    request_hash: bytes
    status: int
    sealed_answer: bytes


KEPT_ANSWERS = RowMapper(idempotency_keys, KeptAnswer)


def idempotency_claim(
    tx: Tx, *, caller: str, key_hash: bytes, request_hash: bytes, expired: datetime, now: datetime
) -> bool:
    """Take the key for this request; False when another request has it since ``expired``.

    Waits while another transaction that has taken it is open. What that one rolls back was never taken.
    """
    statement = insert(idempotency_keys).values(
        tenant_id=tx.tenant_id, caller=caller, key_hash=key_hash, request_hash=request_hash, created_at=now
    )
    claimed = statement.on_conflict_do_update(
        index_elements=["tenant_id", "caller", "key_hash"],
        set_={"request_hash": request_hash, "created_at": now, "status": None, "sealed_answer": None},
        where=idempotency_keys.c.created_at < expired,
    ).returning(idempotency_keys.c.created_at)
    return tx.execute(claimed).first() is not None


def idempotency_keep(tx: Tx, *, caller: str, key_hash: bytes, status: int, sealed_answer: bytes) -> None:
    """Keep the answer to the request that holds the key."""
    tx.execute(
        update(idempotency_keys)
        .where(
            idempotency_keys.c.tenant_id == tx.tenant_id,
            idempotency_keys.c.caller == caller,
            idempotency_keys.c.key_hash == key_hash,
        )
        .values(status=status, sealed_answer=sealed_answer)
    )


def idempotency_get(tx: Tx, *, caller: str, key_hash: bytes) -> KeptAnswer | None:
    """Return what was answered under a key."""
    columns = idempotency_keys.c
    return KEPT_ANSWERS.get(tx, columns.caller == caller, columns.key_hash == key_hash, columns.status.is_not(None))
