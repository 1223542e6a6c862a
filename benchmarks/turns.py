"""One request to a small tenant, one to a large one, in turns: a noisy machine disturbs both alike."""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.load import Connection
from benchmarks.request import Request

HOST = "identity.example"
WARM_UP = 20  # requests of each side; then every statement is prepared

Following = Callable[[bytes | None], Request]
"""The next request of a side, given the body of the answer before it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case, sent to both tenants."""

    name: str
    status: int
    small: Following
    large: Following
    note: str = ""


@dataclass(slots=True)
class Compared:
    """What a pair showed: seconds of each answer, and statements of one request."""

    small_s: list[float] = field(default_factory=list)
    large_s: list[float] = field(default_factory=list)
    small_statements: float = 0
    large_statements: float = 0

    @property
    def ratio(self) -> float:
        """How many times as long the large tenant takes."""
        return median(self.large_s) / median(self.small_s)


class Asker:
    """One kept-alive connection to a server on this machine."""

    def __init__(self, port: int, timeout_s: float = 60.0) -> None:
        opened = socket.create_connection(("127.0.0.1", port), timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = Connection(opened)

    def ask(self, request: Request, status: int) -> tuple[bytes, float]:
        """Return the body of an answer and its seconds. Raises ``SystemExit`` for another status."""
        self._connection.send(request.to_bytes(HOST))
        while (answer := self._connection.answer()) is None:
            pass
        took_s = time.perf_counter() - self._connection.sent_at
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(f"HTTP/1.1 {status} ".encode()):
            raise SystemExit(f"{request.method} {request.path}: {answer[:600].decode(errors='replace')}")
        return body, took_s

    def close(self) -> None:
        """Close the connection."""
        self._connection.socket.close()


def compare(port: int, pairs: Sequence[Pair], rounds: int, report: Callable[[str], None]) -> dict[str, Compared]:
    """Ask each case ``rounds`` times of each tenant, all cases in every tenth of the rounds."""
    asker = Asker(port)
    found = {pair.name: Compared() for pair in pairs}
    last: dict[tuple[str, str], bytes | None] = {}

    def ask(pair: Pair, side: str) -> float:
        body, took_s = asker.ask(getattr(pair, side)(last.get((pair.name, side))), pair.status)
        last[pair.name, side] = body
        return took_s

    for pair in pairs:
        report(f"warming up: {pair.name}")
        for _ in range(WARM_UP):
            ask(pair, "small")
            ask(pair, "large")
    stretch = max(1, rounds // 10)
    for begin in range(0, rounds, stretch):
        for pair in pairs:
            report(f"round {begin + 1} of {rounds}: {pair.name}")
            seen = found[pair.name]
            for number in range(begin, min(begin + stretch, rounds)):
                sides = (("small", seen.small_s), ("large", seen.large_s))
                for side, seconds in sides if number % 2 else sides[::-1]:
                    seconds.append(ask(pair, side))
    asker.close()
    return found
