"""The load: keep-alive connections, each with one request under way, driven by one small process of its own.

A general HTTP client costs more CPU per request than the server under it, on cores that both share. This one sends
bytes that were built beforehand and looks only for the status and the length of an answer: some 15 µs each.
"""

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

RECEIVE_BYTES = 262_144
ANSWER_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Slice:
    """What one stretch of load showed. Seconds; ``latencies_s`` has one entry per answer, in no order."""

    took_s: float
    latencies_s: Sequence[float]
    wrong: int
    example: str

    @property
    def per_s(self) -> float:
        """Answers in a second."""
        return len(self.latencies_s) / self.took_s


@dataclass(slots=True)
class Connection:
    """One kept-alive connection and the answer that it waits for."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        """Send the next request."""
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """Read what is there; return the whole answer once it is."""
        chunk = self.socket.recv(RECEIVE_BYTES)
        if not chunk:
            raise ConnectionError("the server closed a connection")
        self.received += chunk
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0 or len(self.received) < head_end + 4 + _content_length(self.received, head_end):
            return None
        return bytes(self.received)


def _content_length(received: bytearray, head_end: int) -> int:
    head = bytes(received[:head_end]).lower()
    begin = head.find(b"\r\ncontent-length:")
    if begin < 0:
        return 0  # 204
    begin += len(b"\r\ncontent-length:")
    end = head.find(b"\r\n", begin)
    return int(head[begin : end if end >= 0 else None])


def run_load(port: int, requests: Sequence[bytes], connections: int, seconds: float, status: int) -> Slice:
    """Send ``requests`` in order, each once, until they or the seconds are used up.

    An answer with another status than ``status`` counts as wrong.
    """
    waiting: Iterator[bytes] = iter(requests)
    selector = selectors.DefaultSelector()
    wanted, latencies, wrong, example = f"HTTP/1.1 {status} ".encode(), [], 0, ""
    began = time.perf_counter()
    until = began + seconds
    for _, request in zip(range(connections), waiting, strict=False):
        connection = Connection(socket.create_connection(("127.0.0.1", port), ANSWER_S_MAX))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request)
    while selector.get_map():
        ready = selector.select(ANSWER_S_MAX)
        if not ready:
            raise TimeoutError("the server answers no more")
        for key, _ in ready:
            connection = key.data
            answer = connection.answer()
            if answer is None:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.sent_at)
            if not answer.startswith(wanted):
                wrong, example = wrong + 1, answer[:600].decode(errors="replace")
            following = next(waiting, None) if now < until else None
            if following is None:
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                connection.send(following)
    return Slice(time.perf_counter() - began, latencies, wrong, example)
