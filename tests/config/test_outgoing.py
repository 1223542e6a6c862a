"""The one way out: it reaches public addresses over TLS, and nothing in our own neighbourhood."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_network
from typing import Any

import pytest
from identity_verifier import FetchError
from loopback import loopback_server

from identity import outbound
from identity.outbound import DOCUMENT_BYTES_MAX, TIMEOUT_S, make_fetch

NEIGHBOURHOOD = [
    "0.0.0.0", "0", "127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1",
    "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
    "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "localhost", "localhost.", "[::]", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a00:1]", "[64:ff9b:1::1]", "[100::1]", "[2001::1]", "[2001:db8::1]", "[2002:7f00:1::]", "[3fff::1]",
    "[5f00::1]", "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]",
]  # fmt: skip


@pytest.fixture
def canary() -> Iterator[Any]:
    """A listener on this machine which nobody may reach."""
    with loopback_server() as server:
        yield server


@pytest.mark.parametrize("host", NEIGHBOURHOOD)
def test_an_address_that_is_not_public_is_never_connected_to(
    host: str, canary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *arguments, **_: connected.append(arguments))
    port = canary.url.rpartition(":")[2]
    with pytest.raises(FetchError):
        make_fetch(allow_loopback=False)(f"https://{host}:{port}/keys")
    assert connected == []
    assert canary.requests == []


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[fd12::1]", "[::ffff:10.0.0.1]"])
def test_to_allow_loopback_is_to_allow_nothing_else(host: str) -> None:
    with pytest.raises(FetchError, match="not public"):
        make_fetch(allow_loopback=True)(f"http://{host}/keys")


@pytest.mark.parametrize(
    "url",
    ["http://login.example/keys", "ftp://login.example", "file:///etc/passwd", "gopher://x", "//login.example",
     "https://", "https://[::1", "https://x:99999/", "https://x:y/", "", "login.example", "https://exa mple/",
     "https://login.example/\r\nX: y", "https://é.example/\x00", "https://" + "a" * 300 + ".example/", "https://..../",
     "https://user:pass@127.0.0.1/", "https://127.0.0.1\\@login.example/", "https://127.0.0.1#@login.example/"],
)  # fmt: skip
def test_what_is_no_https_url_of_a_public_host_is_a_failed_fetch_and_nothing_worse(url: str) -> None:
    with pytest.raises(FetchError):
        make_fetch(allow_loopback=False)(url)


def test_a_name_is_resolved_once_and_connected_to_where_it_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second look-up would say 127.0.0.1."""
    answers, connected = iter(["93.184.215.14", "127.0.0.1"]), []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        connected.append(address)
        raise OSError("as far as this test goes")

    monkeypatch.setattr(socket, "create_connection", connect)
    fetch = make_fetch(allow_loopback=False, resolve=resolve)
    with pytest.raises(FetchError):
        fetch("https://rebinding.example/keys")
    assert connected == [("93.184.215.14", 443)]
    with pytest.raises(FetchError, match="not public"):
        fetch("https://rebinding.example/keys")
    assert len(connected) == 1


def test_a_name_with_one_address_that_is_not_public_is_refused_whole() -> None:
    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in ("93.184.215.14", "10.0.0.1")]

    with pytest.raises(FetchError, match="not public"):
        make_fetch(allow_loopback=False, resolve=resolve)("https://mixed.example/keys")


def addresses_of(host: str, *addresses: str, allow_loopback: bool = False) -> str:
    """The address that is connected to where the resolver answers with ``addresses``."""
    backend = outbound.CheckedBackend(
        allow_loopback=allow_loopback, resolve=lambda _, port: [(0, 1, 6, "", (each, port)) for each in addresses]
    )
    return backend.checked_address(host, 443)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::5db8:d70e", "::ffff:93.184.215.14"])
def test_a_public_address_is_connected_to(address: str) -> None:
    assert addresses_of("login.example", address) == address


IANA_SPECIAL_PURPOSE = [
    # IPv4 Special-Purpose Address Registry, and multicast
    "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32",
    "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "255.255.255.255/32",
    # IPv6 Special-Purpose Address Registry, site-local addresses and multicast
    "::1/128", "::/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128",
    "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28",
    "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
    "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip


@pytest.mark.parametrize("block", IANA_SPECIAL_PURPOSE)
def test_no_address_of_a_special_purpose_block_is_public_in_whatever_form_it_comes(block: str) -> None:
    network = ip_network(block)
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        forms = [str(address)]
        if isinstance(address, IPv4Address):
            forms += [f"::ffff:{address}", f"64:ff9b::{address}"]
        for form in forms:
            with pytest.raises(FetchError, match="not public"):
                addresses_of("login.example", form)
            with pytest.raises(FetchError, match="not public"):
                addresses_of("login.example", "93.184.215.14", form)


@pytest.mark.parametrize(
    "address",
    ["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
     "169.253.255.255", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255",
     "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::", "2001:db7:ffff::", "2001:db9::",
     "2003::", "2620:4f:7fff:ffff::", "2620:4f:8001::", "3ffe::", "3fff:1000::"],
)  # fmt: skip
def test_the_neighbours_of_special_purpose_blocks_are_public(address: str) -> None:
    assert addresses_of("login.example", address) == address


@pytest.mark.promise(8)
def test_a_look_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.2)
    answered = threading.Event()
    fetch = make_fetch(allow_loopback=True, resolve=lambda *_: [answered.wait(20)])
    began = time.monotonic()
    with pytest.raises(FetchError, match="in time"):
        fetch("https://slow.example/keys")
    assert time.monotonic() - began < 2
    answered.set()


@pytest.mark.promise(8)
def test_look_ups_that_hang_are_bounded_and_others_serve_again_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.05)
    answered, asked = threading.Event(), []

    def resolve(host: str, port: int) -> list[Any]:
        asked.append(host)
        if host.startswith("slow"):
            answered.wait(20)
        return [(0, 1, 6, "", ("93.184.215.14", port))]

    lookup = outbound.Lookup(resolve)
    for number in range(outbound.LOOKUPS_MAX):
        with pytest.raises(FetchError, match="in time"):
            lookup.addresses(f"slow-{number}.example", 443)
    with pytest.raises(FetchError, match="too many"):
        lookup.addresses("login.example", 443)
    assert len(asked) == outbound.LOOKUPS_MAX
    answered.set()
    monkeypatch.setattr(outbound, "TIMEOUT_S", 5)
    assert lookup.addresses("login.example", 443) == {"93.184.215.14"}


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), UnicodeError("label"), ValueError("port"), MemoryError()]
)
def test_a_resolver_that_fails_in_whatever_way_is_a_failed_fetch(error: Exception) -> None:
    def resolve(*_: Any) -> list[Any]:
        raise error

    lookup = outbound.Lookup(resolve)
    for _ in range(outbound.LOOKUPS_MAX + 1):  # and gives its place back
        with pytest.raises(FetchError, match="does not resolve"):
            lookup.addresses("login.example", 443)


def test_a_small_document_is_fetched() -> None:
    with loopback_server() as server:
        server.says({"keys": []})
        assert make_fetch(allow_loopback=True)(f"{server.url}/keys") == b'{"keys": []}'
        assert server.last_headers["accept-encoding"] == "identity"
        assert "cookie" not in server.last_headers


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 400, 404, 500])
def test_nothing_but_200_counts_and_no_redirect_is_followed(status: int) -> None:
    with loopback_server() as server, loopback_server() as elsewhere:
        server.says({}, status=status, headers={"Location": elsewhere.url})
        with pytest.raises(FetchError, match=str(status)):
            make_fetch(allow_loopback=True)(f"{server.url}/keys")
        assert elsewhere.requests == []


def test_a_document_has_a_greatest_size() -> None:
    with loopback_server() as server:
        fetch = make_fetch(allow_loopback=True)
        server.answer.body = b" " * DOCUMENT_BYTES_MAX
        assert len(fetch(server.url)) == DOCUMENT_BYTES_MAX
        server.answer.body = b" " * (DOCUMENT_BYTES_MAX + 1)
        with pytest.raises(FetchError, match="longer"):
            fetch(server.url)


@contextmanager
def dripping(head: bytes, drop: bytes, pause_s: float) -> Iterator[str]:
    """A server that says ``head`` and then a drop again and again, for ever."""
    listener, is_over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(head)
                while not is_over.wait(pause_s):
                    connection.sendall(drop)
        except OSError:
            pass  # the other side gave up, which is what this is about

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
    finally:
        is_over.set()
        listener.close()
        thread.join()


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX-Drip: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "header", "body", "chunks", "never the answer"],
)
def test_an_answer_takes_three_seconds_at_most_however_it_is_dripped(
    head: bytes, drop: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TIMEOUT_S == 3
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.4)
    began = time.monotonic()
    with dripping(head, drop, 0.02) as url, pytest.raises(FetchError):
        make_fetch(allow_loopback=True)(url)
    assert time.monotonic() - began < 1.2


def test_what_is_no_http_is_a_failed_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.4)
    with dripping(b"220 smtp.example ESMTP\r\n", b"\x00\xff", 0.001) as url, pytest.raises(FetchError):
        make_fetch(allow_loopback=True)(url)
