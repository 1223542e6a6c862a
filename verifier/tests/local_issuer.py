"""An issuer for tests: it signs whatever it is told to, which no real one would."""

import base64
import json
from datetime import datetime, timezone
from typing import Any

from identity_verifier import Expected
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=timezone.utc)
NOW_S = int(NOW.timestamp())
ISSUER = "https://id.example/t/acme"
RIVAL = "https://id.example/t/rival"
AUDIENCE = "https://erp.example"
EXPECTED = Expected(ISSUER, AUDIENCE)

ACTOR = {"sub": "agent-7", "iss": ISSUER, "sub_profile": "ai_agent"}

CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "tenant": "acme",
    "sub": "2819c223-7f76",
    "sub_profile": "user",
    "aud": AUDIENCE,
    "client_id": "agent-7",
    "client_profile": "ai_agent",
    "act": {**ACTOR, "act": {**ACTOR, "sub": "agent-1"}},
    "scope": "invoices.read invoices.list",
    "authorization_details": [{"type": "task_resource_access", "actions": ["invoices.read"]}],
    "txn": "tsk_01",
    "iat": NOW_S,
    "exp": NOW_S + 120,
    "jti": "tok_01",
}

HEADER = b'{"typ":"at+jwt","alg":"ES256","kid":"k1"}'

SigningKey = ECKey | RSAKey | OKPKey


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign_parts(header: bytes, payload: bytes, key: SigningKey, algorithm: str) -> str:
    """Sign exactly these bytes, JSON or not."""
    signer: JWSAlgModel = JWSRegistry.algorithms[algorithm]
    signing_input = f"{encode(header)}.{encode(payload)}"
    return f"{signing_input}.{encode(signer.sign(signing_input.encode(), key))}"


class LocalIssuer:
    """One signing key, its published key set, and tokens that are right except for what a test changes."""

    def __init__(self, key_id: str = "k1", key: SigningKey | None = None, algorithm: str = "ES256") -> None:
        self.key_id = key_id
        self.key = key or ECKey.generate_key("P-256")
        self.algorithm = algorithm

    def public_jwk(self, **changed: Any) -> dict[str, Any]:
        return {
            **self.key.as_dict(private=False),
            "kid": self.key_id,
            "use": "sig",
            "alg": self.algorithm,
            **changed,
        }

    def key_set(self) -> dict[str, Any]:
        return {"keys": [self.public_jwk()]}

    def sign(self, claims: dict[str, Any] | bytes | None = None, **header: Any) -> str:
        """A value of ``...`` in the header leaves the member out."""
        members = {"typ": "at+jwt", "alg": self.algorithm, "kid": self.key_id, **header}
        members = {name: value for name, value in members.items() if value is not ...}
        payload = claims if isinstance(claims, bytes) else json.dumps(CLAIMS if claims is None else claims).encode()
        return sign_parts(json.dumps(members).encode(), payload, self.key, self.algorithm)


def changed_claims(**changed: Any) -> dict[str, Any]:
    """The right claims with some of them changed; ``...`` leaves one out."""
    return {name: value for name, value in {**CLAIMS, **changed}.items() if value is not ...}


def chain_of(length: int) -> dict[str, Any]:
    """An ``act`` claim with this many actors; the current one is ``agent-{length}``."""
    act: dict[str, Any] = {**ACTOR, "sub": "agent-1"}
    for position in range(2, length + 1):
        act = {**ACTOR, "sub": f"agent-{position}", "act": act}
    return act
