"""The one way out: small answers from public addresses over TLS, connected to the address that was checked."""

import ssl
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from socket import getaddrinfo
from typing import Any
from urllib.parse import urlsplit

import httpcore2
from identity_verifier import FetchError

DOCUMENT_BYTES_MAX = 65_536
TIMEOUT_S = 3.0
CONNECTIONS_MAX = 20
HEADERS = [("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "identity-foundation")]


class CheckedBackend(httpcore2.NetworkBackend):
    """Resolves a name once, refuses it when any answer is not public, and connects to that very answer.

    A second look-up by the library could be answered differently (DNS rebinding).
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to a checked address of ``host``. Raises ``FetchError``."""
        address = self.checked_address(host, port)
        return self._inner.connect_tcp(address, port, timeout, local_address, socket_options)

    def checked_address(self, host: str, port: int) -> str:
        """Return one address of ``host``. Raises ``FetchError`` when any is special-use (RFC 6890)."""
        try:
            addresses = {str(found[4][0]) for found in getaddrinfo(host, port)}
        except (OSError, UnicodeError) as error:
            raise FetchError("the name does not resolve") from error
        if not addresses or not all(self._is_allowed(address) for address in addresses):
            raise FetchError("the name leads to an address that is not public")
        return sorted(addresses)[0]

    def _is_allowed(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        inner = getattr(address, "ipv4_mapped", None) or address
        return (inner.is_global and not inner.is_multicast) or (self._allow_loopback and inner.is_loopback)


def make_fetch(*, allow_loopback: bool) -> Callable[[str], bytes]:
    """Return a function that GETs at most 64 kB or raises ``FetchError``; it follows no redirect."""
    pool = httpcore2.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        network_backend=CheckedBackend(allow_loopback=allow_loopback),
        max_connections=CONNECTIONS_MAX,
        max_keepalive_connections=0,
    )

    def fetch(url: str) -> bytes:
        scheme = urlsplit(url).scheme
        if scheme != "https" and not (allow_loopback and scheme == "http"):
            raise FetchError("the URL is not https")
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)
        try:
            with pool.stream("GET", url, headers=HEADERS, extensions={"timeout": timeouts}) as response:
                if response.status != 200:
                    raise FetchError(f"status {response.status}")
                return b"".join(_bounded(response.iter_stream()))
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise FetchError(type(error).__name__) from error

    return fetch


def _bounded(chunks: Iterable[bytes]) -> Iterable[bytes]:
    deadline, size = time.monotonic() + TIMEOUT_S, 0
    for chunk in chunks:
        size += len(chunk)
        if size > DOCUMENT_BYTES_MAX or time.monotonic() > deadline:
            raise FetchError(f"longer than {DOCUMENT_BYTES_MAX} bytes, or slower than {TIMEOUT_S} s")
        yield chunk
