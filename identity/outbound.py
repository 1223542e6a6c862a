"""Outbound HTTP: small documents from public addresses over TLS, connected to the address that was checked."""

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue
from socket import getaddrinfo
from typing import Any
from urllib.parse import urlsplit

import httpcore2
from identity_verifier import FetchError

DOCUMENT_BYTES_MAX = 65_536
TIMEOUT_S = 3.0
CONNECTIONS_MAX = 20
LOOKUPS_MAX = 32
"""Look-ups of names at a time, those included that were given up and still hang: each holds a thread."""

GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291 §2.4; every other IPv6 block is local, reserved or multicast
TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is meant
SPECIAL_PURPOSE = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
        ),
    )
)
"""Every block of the IANA IPv4 Special-Purpose Address Registry, the IPv4 multicast addresses (RFC 5771), and every
block of the IANA IPv6 registry within ``GLOBAL_UNICAST``. The few that are globally reachable (AS112, AMT, anycast
protocols) are refused too: no issuer publishes keys there. ``is_global`` is not used, for it differs between Pythons.
"""

Resolve = Callable[[str, int], Iterable[Any]]
"""As ``socket.getaddrinfo``: an iterable of tuples whose fifth member starts with the address."""

HEADERS = [("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "identity-foundation")]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Looks names up within ``TIMEOUT_S``, which the system's resolver does not promise.

    A look-up that takes longer is given up, and its thread ends when the resolver answers. There are at most
    ``LOOKUPS_MAX`` threads; further look-ups are refused.
    """

    resolve: Resolve
    _free: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(LOOKUPS_MAX))

    def addresses(self, host: str, port: int) -> set[str]:
        """Return every address of ``host``. Raises ``FetchError``."""
        deadline = time.monotonic() + TIMEOUT_S
        if not self._free.acquire(timeout=TIMEOUT_S):
            raise FetchError("too many names are being looked up")
        answers: SimpleQueue[set[str] | Exception] = SimpleQueue()
        self._start(lambda: answers.put(self._answer(host, port)))
        try:
            answer = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
        except Empty:
            raise FetchError("the name does not resolve in time") from None
        if isinstance(answer, Exception):
            raise FetchError("the name does not resolve") from answer
        return answer

    def _start(self, look_up: Callable[[], None]) -> None:
        try:
            threading.Thread(target=look_up, name="look-up", daemon=True).start()
        except RuntimeError as error:  # the system has no thread left
            self._free.release()
            raise FetchError("the name cannot be looked up now") from error

    def _answer(self, host: str, port: int) -> set[str] | Exception:
        try:
            return {str(found[4][0]) for found in self.resolve(host, port)}
        except Exception as error:  # of any class: the thread that waits raises it
            return error
        finally:
            self._free.release()


class CheckedBackend(httpcore2.NetworkBackend):
    """Resolves a name once, refuses it when any answer is not public, and connects to that very answer.

    A second look-up by the library could be answered differently (DNS rebinding).
    """

    def __init__(self, *, allow_loopback: bool, resolve: Resolve = getaddrinfo) -> None:
        self._allow_loopback = allow_loopback
        self._lookup = Lookup(resolve)
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
        """Return one address of ``host``. Raises ``FetchError`` when any is special-purpose (RFC 6890)."""
        addresses = self._lookup.addresses(host, port)
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
    """True when an address is in no special-purpose block (RFC 6890), whatever the version of Python thinks of it."""
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address.version == network.version and address in network for network in SPECIAL_PURPOSE)


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
        """Return a property of the socket."""
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the whole answer takes too long")
        return left if timeout is None else min(timeout, left)


def make_fetch(*, allow_loopback: bool, resolve: Resolve = getaddrinfo) -> Callable[[str], bytes]:
    """Return a function that GETs at most 64 kB or raises ``FetchError``; it follows no redirect."""
    pool = httpcore2.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        network_backend=CheckedBackend(allow_loopback=allow_loopback, resolve=resolve),
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
    """Refuse any URL but a plain https URL of a host. Raises ``FetchError``."""
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
