"""An upstream issuer of the tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

PORTAL = "portal"  # the audience that its tokens have


@dataclass(frozen=True, slots=True)
class Upstream:
    """An upstream issuer that signs whatever it is told to."""

    issuer: str
    key: ECKey
    kid: str = "login-1"

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False) | {"kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def sign(self, now: datetime, *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """An ID token of Sam that is right, but for what is changed; ``...`` leaves a claim or a header out."""
        second = int(now.timestamp())
        right = {"iss": self.issuer, "aud": PORTAL, "sub": "ext-sam", "iat": second, "exp": second + 600}
        members = {name: value for name, value in (right | claims).items() if value is not ...}
        named = {"alg": "ES256", "kid": self.kid, "typ": "JWT"} | dict(header or {})
        kept = {name: value for name, value in named.items() if value is not ...}
        return jws.serialize_compact(kept, json.dumps(members).encode(), self.key, algorithms=["ES256"])
