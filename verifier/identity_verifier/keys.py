"""An issuer's public keys, each good for exactly one algorithm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from identity_verifier.errors import Rule, VerificationError
from identity_verifier.strict_json import StrictJsonError, parse_object
from identity_verifier.weakness import MAX_RSA_BITS, MIN_RSA_BITS, weakness_of

MAX_KEYS = 64

ALGORITHMS: Mapping[tuple[str, str | None], str] = {
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", None): "RS256",
}
"""What a key of this type and curve may verify: the key decides, the token never does (RFC 8725 §3.1)."""

PUBLIC_MEMBERS = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}

AnyKey = ECKey | OKPKey | RSAKey
KEY_TYPES: Mapping[str, type[AnyKey]] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}


class MalformedKeySetError(VerificationError):
    """The document is no JWK Set at all."""

    def __init__(self, detail: str) -> None:
        super().__init__(Rule.KEY_SET, detail)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, parsed once."""

    key_id: str
    algorithm: str
    _public_key: AnyKey = field(repr=False)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        # Taken from the registry, not through joserfc's token functions: those parse the header again, by
        # looser rules than ours.
        algorithm: JWSAlgModel = JWSRegistry.algorithms[self.algorithm]
        return algorithm.verify(message, signature, self._public_key)


@dataclass(frozen=True, slots=True)
class KeySet:
    """Keys by ``kid``: an exact map key, never a path, a query or a pattern."""

    by_id: Mapping[str, VerificationKey]

    def __contains__(self, key_id: str) -> bool:
        return key_id in self.by_id

    def find(self, key_id: str) -> VerificationKey | None:
        return self.by_id.get(key_id)


def parse_key_set(document: bytes | str | Mapping[str, Any]) -> KeySet:
    """Read a JWK Set (RFC 7517 §5), as bytes from the network or as an object already parsed.

    A key that is not for us is left out, as the RFC requires: another type, curve, use or algorithm, no ``kid``; and
    so is a weak one (``weakness``). Raises ``VerificationError`` with rule ``key_set`` when the document is malformed,
    names one ``kid`` twice, or holds no usable key.
    """
    keys: dict[str, VerificationKey] = {}
    for candidate in read_candidates(document):
        key = parse_key(candidate)
        if key is None:
            continue
        if key.key_id in keys:
            raise VerificationError(Rule.KEY_SET, "two keys have the same kid")
        keys[key.key_id] = key
    if not keys:
        raise VerificationError(Rule.KEY_SET, "no usable key")
    return KeySet(MappingProxyType(keys))


def read_candidates(document: bytes | str | Mapping[str, Any]) -> list[Any]:
    try:
        parsed = document if isinstance(document, Mapping) else parse_object(as_bytes(document))
    except (StrictJsonError, UnicodeEncodeError) as error:
        raise MalformedKeySetError(f"the document is refused: {error}") from error
    candidates = parsed.get("keys")
    if not isinstance(candidates, list) or len(candidates) > MAX_KEYS:
        raise MalformedKeySetError(f"keys is not a list of at most {MAX_KEYS}")
    return candidates


def as_bytes(document: bytes | str) -> bytes:
    return document if isinstance(document, bytes) else document.encode("utf-8")


def parse_key(jwk: Any) -> VerificationKey | None:
    """The key, or None when it is not one that may verify access tokens."""
    algorithm = algorithm_of(jwk)
    if algorithm is None or not isinstance(jwk.get("kid"), str) or not jwk["kid"]:
        return None
    public_key = import_public_key(jwk["kty"], jwk)
    if public_key is None or weakness_of(public_key.public_key, jwk) is not None:
        return None
    return VerificationKey(jwk["kid"], algorithm, public_key)


def fault_of_key(jwk: Any) -> str | None:
    """Say what is wrong with a key for signatures of a supported type; None when nothing is, or it is another key.

    For registrations, which refuse such a key; ``parse_key_set`` leaves it out.
    """
    if algorithm_of(jwk) is None:
        return None
    public_key = import_public_key(jwk["kty"], jwk)
    return "the key cannot be read" if public_key is None else weakness_of(public_key.public_key, jwk)


def algorithm_of(jwk: Any) -> str | None:
    """The one algorithm that a key for signatures of a supported type, curve and use is good for."""
    if not isinstance(jwk, Mapping) or not is_for_signatures(jwk):
        return None
    key_type, curve = jwk.get("kty"), jwk.get("crv")
    if not isinstance(key_type, str):
        return None
    algorithm = ALGORITHMS.get((key_type, curve if isinstance(curve, str) else None))
    return algorithm if jwk.get("alg", algorithm) == algorithm else None


def is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def import_public_key(key_type: str, jwk: Mapping[str, Any]) -> AnyKey | None:
    """Import the public members alone, so a private key published by mistake is never held here."""
    members: dict[str, Any] = {"kty": key_type}
    members |= {name: jwk.get(name) for name in PUBLIC_MEMBERS[key_type]}
    if key_type == "RSA" and not is_acceptable_modulus(members["n"]):
        return None
    try:
        key: AnyKey = KEY_TYPES[key_type].import_key(members)
    except Exception:  # one unreadable key, broken in whatever way, must not cost the others
        return None
    return key


def is_acceptable_modulus(modulus: Any) -> bool:
    """Look at the length first: joserfc warns of a weak key instead of refusing it, and parses a huge one."""
    return isinstance(modulus, str) and MIN_RSA_BITS / 6 <= len(modulus) <= MAX_RSA_BITS / 6 + 1
