"""Whether the issuer publishes another name than the configured one; checked only after a token with another issuer.

One name for two hosts (``localhost`` and ``127.0.0.1``), a port too much or a capital letter: keys are found, and no
token ever fits. The issuer's own metadata (RFC 8414 §3.3) distinguishes such a name from a token of another issuer.
"""

import threading
from collections.abc import Callable
from datetime import datetime

from identity_verifier.configuration import misconfiguration_in
from identity_verifier.errors import ConfigurationError, Misconfiguration
from identity_verifier.fetch import FetchError
from identity_verifier.key_cache import is_past
from identity_verifier.strict_json import parse_object

KEY_SET_PATHS = ("/.well-known/jwks.json", "/jwks")
METADATA_PATH = "/.well-known/openid-configuration"


def metadata_url_beside(jwks_uri: str) -> str | None:
    """Where the metadata lie: on the host that the keys come from, which may be known by an inner name."""
    for path in KEY_SET_PATHS:
        if jwks_uri.endswith(path):
            return jwks_uri.removesuffix(path) + METADATA_PATH
    return None


class IssuerCheck:
    """Fetches the metadata at most once in ``interval_s``, and never again once the name was found to be right."""

    def __init__(self, issuer: str, jwks_uri: str, fetch: Callable[[str], bytes], interval_s: int) -> None:
        self._issuer = issuer
        self._url = metadata_url_beside(jwks_uri)
        self._fetch = fetch
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._attempted_at: datetime | None = None
        self._fault: ConfigurationError | None = None
        self._is_right = False

    def confirm(self) -> None:
        """A token was accepted, so the name is right."""
        self._is_right = True

    def raise_mismatch(self, now: datetime) -> None:
        """Raise ``ConfigurationError`` when the issuer calls itself otherwise, or there is none.

        A thread does not wait while another one fetches: its token is refused either way.
        """
        if self._is_right or not self._lock.acquire(blocking=False):
            return
        try:
            if self._attempted_at is None or is_past(self._attempted_at, self._interval_s, now):
                self._attempted_at, self._fault = now, self._ask()
        finally:
            self._lock.release()
        if self._fault is not None:
            raise ConfigurationError(self._fault.code, self._fault.detail)

    def _ask(self) -> ConfigurationError | None:
        if self._url is None:
            return None
        try:
            name = parse_object(self._fetch(self._url)).get("issuer")
        except FetchError as failure:
            return misconfiguration_in(failure, self._url)
        except Exception:  # a fetch may fail in any way, and then nothing is known against the configuration
            return None
        self._is_right = name == self._issuer
        if self._is_right or not isinstance(name, str):
            return None
        detail = f"issuer is {self._issuer!r}, but the issuer there calls itself {name[:200]!r}: use that name"
        return ConfigurationError(Misconfiguration.ISSUER_MISMATCH, detail)
