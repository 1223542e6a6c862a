"""The only place that opens a connection: small answers, short waits, no redirects, cookies or proxies."""

import functools
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any

import httpx2

MAX_DOCUMENT_BYTES = 65_536
TIMEOUT_S = 3.0
"""For each of: connecting, sending, waiting for the first byte; and for the whole body together."""

EXPIRED, NOT_YET_VALID = 10, 9
"""X509_V_ERR_CERT_HAS_EXPIRED and _NOT_YET_VALID: the issuer's operator mends these, and no setting of ours does."""

CAUSES_MAX = 8
"""Exceptions that a library puts around the one of the operating system: about four."""


class FetchError(Exception):
    """The other side could not be reached in time, or answered with something other than a small 200.

    ``status`` is the HTTP status of an answer. ``is_untrusted`` is true when the other side speaks no TLS, or shows a
    certificate that is for another host or from an authority that this machine does not trust.
    """

    def __init__(self, detail: str, *, status: int | None = None, is_untrusted: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.is_untrusted = is_untrusted


def fetch_document(url: str) -> bytes:
    """GET a document of at most 64 kB. Raises ``FetchError``."""
    return exchange("GET", url, {"Accept": "application/json"})


def post_form(url: str, form: Mapping[str, str], credentials: tuple[str, str]) -> bytes:
    """POST a form with HTTP Basic authentication; an answer of at most 64 kB. Raises ``FetchError``."""
    return exchange("POST", url, {"Accept": "application/json"}, data=form, auth=credentials)


def exchange(method: str, url: str, headers: dict[str, str], **content: Any) -> bytes:
    try:
        with client(os.getpid()).stream(method, url, headers=headers, **content) as response:
            if response.status_code != httpx2.codes.OK:
                raise FetchError(f"status {response.status_code}", status=response.status_code)
            return b"".join(bounded(response.iter_raw()))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise lost_connection(error) from error


def lost_connection(error: Exception) -> FetchError:
    """Say why there was no answer, by what lies at the bottom of the library's exceptions."""
    cause: BaseException = error
    for _ in range(CAUSES_MAX):
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        is_passing = cause.verify_code in (EXPIRED, NOT_YET_VALID)
        return FetchError(f"the certificate is refused: {cause.verify_message}", is_untrusted=not is_passing)
    if isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER":
        return FetchError("TLS is not spoken at this port", is_untrusted=True)
    words = cause.strerror if isinstance(cause, OSError) else None
    return FetchError(f"{type(error).__name__}: {words}" if words else type(error).__name__)


def bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass chunks on until there are too many bytes, or they come too slowly."""
    deadline, size = time.monotonic() + TIMEOUT_S, 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_DOCUMENT_BYTES:
            raise FetchError(f"longer than {MAX_DOCUMENT_BYTES} bytes", status=httpx2.codes.OK)
        if time.monotonic() > deadline:
            raise FetchError(f"slower than {TIMEOUT_S} s")
        yield chunk


@functools.cache
def client(_process_id: int) -> httpx2.Client:
    """One pool of connections per process: a forked worker must not share its parent's sockets."""
    return httpx2.Client(
        timeout=TIMEOUT_S,
        follow_redirects=False,
        # The environment gives certificate authorities, and nothing that could redirect or sign a request.
        verify=httpx2.create_ssl_context(trust_env=True),
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Raw bytes are read, so an answer cannot unfold to more than its limit.
        headers={"Accept-Encoding": "identity", "User-Agent": "identity-verifier"},
    )


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
