"""Idempotent requests: the first response is stored under the caller's Idempotency-Key and replayed."""

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
    """One request under its key. Hashes, since a key or a request may contain a secret."""

    key_hash: bytes
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """Status and body of the response to the first request, byte for byte."""

    status: int
    body: bytes


def claim_key(
    tx: Tx, request: IdempotentRequest, *, encryption: EnvelopeEncryption, caller: Caller, now: datetime
) -> StoredResponse | None:
    """Claim the key for this request and return None, or return the response that it had before.

    The second of two concurrent requests waits for the first. Raises ``Conflict`` when the key was used for another
    request, ``Unavailable`` when the stored response expires at this moment.
    """
    name = _name(caller)
    if idempotency_claim(
        tx, caller=name, key_hash=request.key_hash, request_hash=request.request_hash, expired=now - KEPT, now=now
    ):
        return None
    kept = idempotency_get(tx, caller=name, key_hash=request.key_hash)
    if kept is None:
        raise Unavailable("another request with this Idempotency-Key has just ended; try again")
    if kept.request_hash != request.request_hash:
        raise Conflict(
            "this Idempotency-Key was used for another request; send a new one", reason="idempotency_key_reused"
        )
    return StoredResponse(
        kept.status, encryption.decrypt(kept.sealed_answer, tenant_id=tx.tenant_id, purpose=_purpose(request))
    )


def store_response(
    tx: Tx, request: IdempotentRequest, response: StoredResponse, *, encryption: EnvelopeEncryption, caller: Caller
) -> None:
    """Store a response, encrypted: its body may show a secret that is stored nowhere else."""
    sealed = encryption.encrypt(response.body, tenant_id=tx.tenant_id, purpose=_purpose(request))
    idempotency_keep(tx, caller=_name(caller), key_hash=request.key_hash, status=response.status, sealed_answer=sealed)


def _name(caller: Caller) -> str:
    return f"{caller.kind}:{caller.id}"


def _purpose(request: IdempotentRequest) -> str:
    return f"idempotency:{request.key_hash.hex()}"
