"""Encryption of secrets that must be read again: AES-256-GCM under the deployment's key-encryption key."""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.model.errors import Unavailable
from identity.model.ids import TenantId

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class EnvelopeEncryption:
    """Encrypts and decrypts bytes for one tenant and one purpose; they decrypt for no other."""

    def __init__(self, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != KEY_BYTES:
            raise ValueError(f"the key-encryption key must have {KEY_BYTES} bytes")
        self._cipher = AESGCM(key_encryption_key)

    def encrypt(self, plain: bytes, *, tenant_id: TenantId, purpose: str) -> bytes:
        """Return nonce and ciphertext of ``plain``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, _context(tenant_id, purpose))

    def decrypt(self, sealed: bytes, *, tenant_id: TenantId, purpose: str) -> bytes:
        """Return the plain bytes. Raises ``Unavailable`` when the key, tenant or purpose is another."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _context(tenant_id, purpose))
        except (InvalidTag, ValueError):  # the latter for fewer bytes than a nonce
            raise Unavailable(
                "a stored secret cannot be decrypted",
                cause="is IDENTITY_KEY_ENCRYPTION_KEY the key that encrypted it?",
            ) from None


def _context(tenant_id: TenantId, purpose: str) -> bytes:
    return f"{tenant_id}|{purpose}".encode()
