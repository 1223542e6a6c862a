"""Public keys whose signatures others than their holder can make, or that cost too much to verify with."""

from collections.abc import Mapping
from math import gcd, isqrt, prod
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from joserfc.util import urlsafe_b64decode

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Verifying costs the square of the size; no issuer signs tokens of minutes with more."""

MIN_RSA_EXPONENT = 2**16 + 1
MAX_RSA_EXPONENT = 2**31 - 1
"""FIPS 186-5 §A.1.1 begins at 2^16 + 1. Verifying costs the length of the exponent; Go's crypto/rsa takes none above
2^31 - 1, so issuers publish none."""

SMALL_PRIMES = prod(n for n in range(2, 752) if all(n % divisor for divisor in range(2, isqrt(n) + 1)))
"""No prime below 752 divides a modulus (NIST SP 800-89 §5.3.3)."""

FIELD = 2**255 - 19
D = -121_665 * pow(121_666, -1, FIELD) % FIELD
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = frozenset({1, FIELD - 1, 0, ORDER_8, FIELD - ORDER_8})
"""The y coordinates of the eight points of edwards25519 (RFC 7748 §4.1) whose order divides eight: of order 1, 2, 4
and 8. Under such a key one signature is good for every message, or for one in eight."""


def weakness_of(public_key: object, members: Mapping[str, Any]) -> str | None:
    """Say why an imported key is not to be trusted; None when nothing is against it. ``members`` are of its JWK."""
    if isinstance(public_key, RSAPublicKey):
        return weakness_of_rsa(public_key.public_numbers())
    if isinstance(public_key, Ed25519PublicKey):
        return weakness_of_ed25519(public_key.public_bytes_raw())
    if isinstance(public_key, EllipticCurvePublicKey):
        numbers = public_key.public_numbers()
        is_canonical = (number_in(members["x"]), number_in(members["y"])) == (numbers.x, numbers.y)
        return None if is_canonical else "a coordinate is outside of the field"
    return "the key is of an unknown type"


def number_in(member: str) -> int:
    return int.from_bytes(urlsafe_b64decode(member.encode()), "big")


def weakness_of_rsa(numbers: RSAPublicNumbers) -> str | None:
    if not MIN_RSA_BITS <= numbers.n.bit_length() <= MAX_RSA_BITS:
        return f"the modulus has fewer than {MIN_RSA_BITS} or more than {MAX_RSA_BITS} bits"
    if numbers.e % 2 == 0 or not MIN_RSA_EXPONENT <= numbers.e <= MAX_RSA_EXPONENT:
        return f"the exponent is even, below {MIN_RSA_EXPONENT} or above {MAX_RSA_EXPONENT}"
    if gcd(numbers.n, SMALL_PRIMES) != 1 or isqrt(numbers.n) ** 2 == numbers.n:
        return "the modulus is easily factored"
    return None


def weakness_of_ed25519(encoded: bytes) -> str | None:
    """Read a point as RFC 8032 §5.1.3 does; the sign of x, the last bit, does not matter here."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if y >= FIELD:
        return "the point is not encoded canonically"
    if y in SMALL_ORDER:
        return "the point is of small order"
    return None if is_square((y * y - 1) * (D * y * y + 1)) else "the point is not on the curve"


def is_square(number: int) -> bool:
    """Euler's criterion; a quotient is a square when the product is one."""
    return pow(number, (FIELD - 1) // 2, FIELD) == 1
