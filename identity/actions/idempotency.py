"""Doing it twice is doing it once: the answer to a request is kept under the caller's Idempotency-Key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.access import Caller
from identity.model.errors import Conflict, Unavailable
from identity.store import Tx
from identity.store.idempotency import idempotency_claim, idempotency_get, idempotency_keep

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """One request under its key. Hashes, since a key or a request may hold what must not be stored."""

    key_hash: bytes
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was answered: status and body, byte for byte."""

    status: int
    body: bytes


def claim_key(
    tx: Tx, once: IdempotentRequest, *, encryption: EnvelopeEncryption, caller: Caller, now: datetime
) -> Answer | None:
    """Take the key for this request, or return what was answered to the same request before.

    Of two at once, the second waits for the first. Raises ``Conflict`` when the key was used for another request,
    ``Unavailable`` when what was answered is just being forgotten.
    """
    name = _name(caller)
    if idempotency_claim(
        tx, caller=name, key_hash=once.key_hash, request_hash=once.request_hash, expired=now - KEPT, now=now
    ):
        return None
    kept = idempotency_get(tx, caller=name, key_hash=once.key_hash)
    if kept is None:
        raise Unavailable("another request with this Idempotency-Key has just ended; try again")
    if kept.request_hash != once.request_hash:
        raise Conflict(
            "this Idempotency-Key was used for another request; send a new one", reason="idempotency_key_reused"
        )
    return Answer(kept.status, encryption.decrypt(kept.sealed_answer, tenant_id=tx.tenant_id, purpose=_purpose(once)))


def keep_answer(
    tx: Tx, once: IdempotentRequest, answer: Answer, *, encryption: EnvelopeEncryption, caller: Caller
) -> None:
    """Keep what is answered, sealed: it may show a secret that is stored nowhere else."""
    sealed = encryption.encrypt(answer.body, tenant_id=tx.tenant_id, purpose=_purpose(once))
    idempotency_keep(tx, caller=_name(caller), key_hash=once.key_hash, status=answer.status, sealed_answer=sealed)


def _name(caller: Caller) -> str:
    return f"{caller.kind}:{caller.id}"


def _purpose(once: IdempotentRequest) -> str:
    return f"idempotency:{once.key_hash.hex()}"
