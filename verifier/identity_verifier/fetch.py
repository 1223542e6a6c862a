"""The only place that opens a connection: small answers, short waits, no redirects, cookies or proxies."""

import functools
import os
import time
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2

MAX_DOCUMENT_BYTES = 65_536
TIMEOUT_S = 3.0
"""For each of: connecting, sending, waiting for the first byte; and for the whole body together."""


class FetchError(Exception):
    """The other side could not be reached in time, or answered with something other than a small 200."""


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
                raise FetchError(f"status {response.status_code}")
            return b"".join(bounded(response.iter_raw()))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise FetchError(type(error).__name__) from error


def bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pass chunks on until there are too many bytes, or they come too slowly."""
    deadline, size = time.monotonic() + TIMEOUT_S, 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_DOCUMENT_BYTES:
            raise FetchError(f"longer than {MAX_DOCUMENT_BYTES} bytes")
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


def require_secure_url(url: str, *, allow_plain_http: bool) -> str:
    """Return the URL, or raise ``ValueError``: whoever can alter keys on the way can sign tokens.

    Plain http is for loopback, or when the caller says that the network between is trusted.
    """
    parts = urlsplit(url)
    is_plain = parts.scheme == "http" and (allow_plain_http or is_loopback(parts.hostname or ""))
    if not parts.hostname or not (parts.scheme == "https" or is_plain):
        raise ValueError(f"{url!r} must be https, or http to loopback")
    return url


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
