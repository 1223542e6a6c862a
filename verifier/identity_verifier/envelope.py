"""The serialization of a token (RFC 7515 §3.1): three base64url parts, a small header, and unverified bytes."""

import base64
import re
from dataclasses import dataclass, field
from typing import Any

from identity_verifier.errors import Rule, VerificationError
from identity_verifier.strict_json import StrictJsonError, parse_object

MAX_TOKEN_BYTES = 16_384
"""Twice what common servers accept in one header line, so a longer one is an attack, not a token."""
MAX_HEADER_BYTES = 512
"""A header holds ``typ``, ``alg`` and ``kid``; a certificate chain does not fit, and need not."""

COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A token taken apart (RFC 7515 §7.1). ``unverified_payload`` stays bytes until the signature is good."""

    header: dict[str, Any]
    unverified_payload: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """The header's ``kid``; empty when there is none, which no key set contains."""
        key_id = self.header.get("kid")
        return key_id if isinstance(key_id, str) else ""


def take_apart(unverified_token: str) -> Envelope:
    """Split and decode. Raises ``VerificationError`` with rule ``size`` or ``shape``."""
    if len(unverified_token) > MAX_TOKEN_BYTES:
        raise VerificationError(Rule.SIZE, f"longer than {MAX_TOKEN_BYTES} bytes")
    parts = COMPACT_FORM.fullmatch(unverified_token)
    if parts is None:
        raise VerificationError(Rule.SHAPE, "not three base64url parts")
    header, payload, signature = (decode_part(part) for part in parts.groups())
    signing_input = unverified_token.rpartition(".")[0].encode("ascii")
    return Envelope(parse_header(header), payload, signing_input, signature)


def decode_part(part: str) -> bytes:
    """Decode canonical base64url only, so that one token has one spelling."""
    if len(part) % 4 == 1:
        raise VerificationError(Rule.SHAPE, "a part is not base64url")
    decoded = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != part.encode("ascii"):
        raise VerificationError(Rule.SHAPE, "a part is not canonical base64url")
    return decoded


def parse_header(header: bytes) -> dict[str, Any]:
    if len(header) > MAX_HEADER_BYTES:
        raise VerificationError(Rule.SIZE, f"the header is longer than {MAX_HEADER_BYTES} bytes")
    try:
        return parse_object(header)
    except StrictJsonError as error:
        raise VerificationError(Rule.SHAPE, f"the header is refused: {error}") from error
