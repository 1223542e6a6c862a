"""The one way out: small answers from public addresses over TLS, connected to the address that was checked."""

import ssl
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from socket import getaddrinfo
from typing import Any
from urllib.parse import urlsplit

import httpcore2
from identity_verifier import FetchError

DOCUMENT_BYTES_MAX = 65_536
TIMEOUT_S = 3.0
CONNECTIONS_MAX = 20
GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4; whatever else is routed leads to a neighbourhood
TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is meant
NOT_PUBLIC = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "192.88.99.0/24")))
"""Special-use networks that are inside the global ones, or that older versions of Python hold for public."""

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
        stream = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return HurriedStream(stream, time.monotonic() + TIMEOUT_S)

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
        address = meant_address(ip_address(text.partition("%")[0]))
        return is_public(address) or (self._allow_loopback and address.is_loopback)


def meant_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True when an address is none of the special-use ones of RFC 6890."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    is_special = any(address.version == network.version and address in network for network in NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not is_special


class HurriedStream(httpcore2.NetworkStream):
    """A connection that ends at a deadline: the library's own limits begin anew with every byte that comes."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what is there before the deadline. Raises ``httpcore2.ReadTimeout``."""
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write before the deadline. Raises ``httpcore2.WriteTimeout``."""
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Go on under TLS, with the same deadline."""
        inner = self._stream.start_tls(ssl_context, server_hostname, self._left(timeout))
        return HurriedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Tell of the socket."""
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the whole answer takes too long")
        return left if timeout is None else min(timeout, left)


def make_fetch(*, allow_loopback: bool) -> Callable[[str], bytes]:
    """Return a function that GETs at most 64 kB or raises ``FetchError``; it follows no redirect."""
    pool = httpcore2.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        network_backend=CheckedBackend(allow_loopback=allow_loopback),
        max_connections=CONNECTIONS_MAX,
        max_keepalive_connections=0,
    )

    def fetch(url: str) -> bytes:
        check_url(url, allow_http=allow_loopback)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)
        try:
            with pool.stream("GET", url, headers=HEADERS, extensions={"timeout": timeouts}) as response:
                if response.status != 200:
                    raise FetchError(f"status {response.status}")
                return b"".join(_bounded(response.iter_stream()))
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise FetchError(type(error).__name__) from error

    return fetch


def check_url(url: str, *, allow_http: bool) -> None:
    """Refuse what is not a plain https URL of a host. Raises ``FetchError``."""
    try:
        parts = urlsplit(url)
        is_plain = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError as error:
        raise FetchError("the URL is malformed") from error
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http"):
        raise FetchError("the URL is not https")
    if not is_plain:
        raise FetchError("the URL is malformed")


def _bounded(chunks: Iterable[bytes]) -> Iterable[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > DOCUMENT_BYTES_MAX:
            raise FetchError(f"longer than {DOCUMENT_BYTES_MAX} bytes")
        yield chunk
