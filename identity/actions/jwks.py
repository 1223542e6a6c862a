"""The public keys that clients and connections register (RFC 7517)."""

from collections.abc import Mapping
from typing import Any

from identity_verifier import VerificationError, fault_of_key, parse_key_set
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from identity.model.errors import InvalidRequest

KEYS_MAX = 20
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""The members of a private or symmetric key (RFC 7518 §6)."""


def check_jwks(jwks: Mapping[str, Any], *, pointer: str = "/jwks") -> dict[str, Any]:
    """Return the JWK Set (RFC 7517 §5) as it is stored: every key named, its thumbprint where it has no ``kid``.

    Raises ``InvalidRequest`` for private members, two keys of one name, a weak key (RSA under 2048 bits, an Ed25519
    point of small order), or no key that could verify a signature: EC P-256, Ed25519, RSA, ``use`` absent or ``sig``.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
        raise InvalidRequest(f"must be an array of 1 to {KEYS_MAX} keys", pointer=f"{pointer}/keys")
    named = [_named(jwk, f"{pointer}/keys/{index}") for index, jwk in enumerate(keys)]
    for index, jwk in enumerate(named):
        _refuse_weak(jwk, f"{pointer}/keys/{index}")
    try:
        parse_key_set({"keys": named})
    except VerificationError as error:
        raise InvalidRequest(
            f"the key set cannot be used: {error.detail}; a key must be a public EC P-256, Ed25519 or RSA key "
            "of at least 2048 bits",
            pointer=pointer,
            reason="unusable_jwks",
        ) from None
    return {"keys": named}


def _refuse_weak(jwk: Mapping[str, Any], pointer: str) -> None:
    fault = fault_of_key(jwk)
    if fault is not None:
        raise InvalidRequest(f"the key cannot be used: {fault}", pointer=pointer, reason="unusable_jwks")


def _named(jwk: Any, pointer: str) -> dict[str, Any]:
    if not isinstance(jwk, dict):
        raise InvalidRequest("must be a JSON object", pointer=pointer)
    if PRIVATE_MEMBERS & jwk.keys():
        raise InvalidRequest(
            "must be a public key; discard this private key, and register the public half of a new one",
            pointer=pointer,
            reason="private_key_sent",
        )
    if isinstance(jwk.get("kid"), str) and jwk["kid"]:
        return dict(jwk)
    try:
        return dict(jwk) | {"kid": JWKRegistry.import_key(jwk).thumbprint()}
    except (JoseError, ValueError, TypeError, KeyError):
        raise InvalidRequest("the key cannot be read", pointer=pointer, reason="unusable_jwks") from None
