"""The development issuer: it stands for a company's sign-in, and signs the ID tokens that `identity dev` hands out.

It has no address. Its key lies in the data folder, and a connection that trusts it holds the public half.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from dev.installation import BrokenFolderError
from identity.model.connection import DEVELOPMENT_ISSUER
from server.private_files import replace_private

KEY_FILE = "development_issuer.jwk"
JWKS_FILE = "development_issuer.jwks"
ID_TOKEN_LIFETIME_S = 600


@dataclass(frozen=True, slots=True)
class DevelopmentIssuer:
    """The issuer of one folder, with its key."""

    key: ECKey = field(repr=False)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public half, as a connection takes it."""
        return {"keys": [self.key.as_dict(private=False)]}

    def id_token(self, subject: str, audience: str, subject_claim: str = "sub") -> str:
        """Return an ID token (OpenID Connect Core §2) that says that ``subject`` has signed in just now."""
        now = int(time.time())
        claims = {"iss": DEVELOPMENT_ISSUER, "aud": audience, "sub": subject, "iat": now, "auth_time": now}
        claims |= {"exp": now + ID_TOKEN_LIFETIME_S, subject_claim: subject}
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, "typ": "JWT"}, claims, self.key)


def open_issuer(folder: Path) -> DevelopmentIssuer:
    """Return the issuer of a data folder, making its key first where there is none. Raises ``BrokenFolderError``."""
    file = folder / KEY_FILE
    if file.exists():
        return DevelopmentIssuer(_read_key(file))
    issuer = DevelopmentIssuer(_new_key())
    replace_private(folder / JWKS_FILE, json.dumps(issuer.jwks))
    replace_private(file, json.dumps(issuer.key.as_dict(private=True)))
    return issuer


def _read_key(file: Path) -> ECKey:
    try:
        return ECKey.import_key(json.loads(file.read_text()))
    except (ValueError, TypeError, KeyError, JoseError):
        raise BrokenFolderError(file) from None


def _new_key() -> ECKey:
    key = ECKey.generate_key("P-256", parameters={"alg": "ES256", "use": "sig"})
    key.ensure_kid()
    return key
