"""The signing keys of a tenant: created, rotated, published. A process parses each once."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from identity_verifier import KeySet, VerificationKey, parse_key_set
from joserfc.jwk import ECKey

from identity.actions.bounded_cache import BoundedCache
from identity.actions.envelope_encryption import EnvelopeEncryption
from identity.model.access import Caller
from identity.model.errors import LimitExceeded, Unavailable
from identity.model.event import Event
from identity.model.ids import TenantId
from identity.model.signing_key import (
    KeyState,
    SigningKey,
    activation_of_next,
    is_published,
    retirement_of_last,
)
from identity.store import Tx
from identity.store.events import event_insert
from identity.store.signing_keys import (
    KEYS_MAX,
    signing_key_insert,
    signing_keys_list,
    signing_keys_lock,
    signing_keys_retire,
)

ALGORITHM = "ES256"
PURPOSE = "signing-key"
PARSED_MAX = 4_096  # keys kept parsed in one process


def create_signing_key(
    tx: Tx, *, encryption: EnvelopeEncryption, activates_at: datetime, caller: Caller, now: datetime
) -> SigningKey:
    """Write a new key pair that signs from ``activates_at``; it is published at once."""
    pair = ECKey.generate_key("P-256", private=True)
    kid = str(tx.new_id())
    public = pair.as_dict(private=False) | {"kid": kid, "alg": ALGORITHM, "use": "sig"}
    private = pair.as_pem(private=True)
    key = SigningKey(
        kid=kid,
        alg=ALGORITHM,
        state=KeyState.LIVE,
        public_jwk=public,
        sealed_private=encryption.encrypt(private, tenant_id=tx.tenant_id, purpose=f"{PURPOSE}:{kid}"),
        created_at=now,
        activates_at=activates_at,
        verify_until=None,
    )
    signing_key_insert(tx, key)
    event_insert(tx, Event(type="key.created", detail={"kid": kid, "alg": ALGORITHM}), caller=caller, now=now)
    return key


def rotate_keys(tx: Tx, *, encryption: EnvelopeEncryption, caller: Caller, now: datetime) -> SigningKey:
    """Publish a new key; it signs once every cached key set has it, and the present ones verify on until then.

    No live token is ever refused for a rotation. Raises ``LimitExceeded`` when too many keys still verify.
    """
    signing_keys_lock(tx)
    if len(signing_keys_list(tx, now=now)) >= KEYS_MAX:
        raise LimitExceeded(
            f"{KEYS_MAX} keys are still in the key set; rotate again when one has retired", reason="too_many_keys"
        )
    activation = activation_of_next(now)
    signing_keys_retire(tx, verify_until=retirement_of_last(activation))
    return create_signing_key(tx, encryption=encryption, activates_at=activation, caller=caller, now=now)


list_signing_keys = signing_keys_list


def is_key_opened(tx: Tx, *, encryption: EnvelopeEncryption, now: datetime) -> bool | None:
    """Return whether ``encryption`` opens the tenant's newest signing key; None where it has none."""
    keys = signing_keys_list(tx, now=now)
    if not keys:
        return None
    try:
        _open(encryption, tx.tenant_id, keys[-1])
    except Unavailable:
        return False
    return True


def published_keys(tx: Tx, *, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return the tenant's JWK Set (RFC 7517 §5)."""
    return {"keys": [dict(key.public_jwk) for key in signing_keys_list(tx, now=now) if is_published(key, now)]}


class KeyRing:
    """The keys of this process, decrypted and parsed once. A key never changes, so a cached one is never stale."""

    def __init__(self, encryption: EnvelopeEncryption) -> None:
        self._encryption = encryption
        self._private: BoundedCache[tuple[TenantId, str], ECKey] = BoundedCache(PARSED_MAX)
        self._public: BoundedCache[tuple[TenantId, str], VerificationKey] = BoundedCache(PARSED_MAX)

    def private(self, tenant_id: TenantId, key: SigningKey) -> ECKey:
        """Return the private half of ``key``."""
        return self._private.get_or_make((tenant_id, key.kid), lambda: self._open(tenant_id, key))

    def public(self, tenant_id: TenantId, keys: Iterable[SigningKey]) -> KeySet:
        """Return the public halves of ``keys``."""
        return KeySet({key.kid: self._public.get_or_make((tenant_id, key.kid), partial(_parse, key)) for key in keys})

    def kept(self, tenant_id: TenantId, kid: str) -> KeySet:
        """Return the public half of that name, or an empty set where this process does not keep it."""
        found = self._public.get((tenant_id, kid))
        return KeySet({} if found is None else {kid: found})

    def _open(self, tenant_id: TenantId, key: SigningKey) -> ECKey:
        return ECKey.import_key(_open(self._encryption, tenant_id, key))


def _open(encryption: EnvelopeEncryption, tenant_id: TenantId, key: SigningKey) -> bytes:
    return encryption.decrypt(key.sealed_private, tenant_id=tenant_id, purpose=f"{PURPOSE}:{key.kid}")


def _parse(key: SigningKey) -> VerificationKey:
    found = parse_key_set({"keys": [key.public_jwk]}).find(key.kid)
    if found is None:
        raise AssertionError("a key of ours is one that our verifier accepts")
    return found
