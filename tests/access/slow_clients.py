"""Clients that mean harm: many connections, each with a request that never ends, made anew when it is closed."""

import json
import selectors
import socket
import subprocess
import sys
import threading
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STEP_S = 0.25
BEGUN_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Shape:
    """What one connection sends at once, and what with every step after that."""

    first: bytes
    then: bytes = b""
    reads: bool = True


def posted(path: str, *lines: str, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a POST whose body may be less than its head says; without a length it is chunked."""
    framed = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = "\r\n".join((f"POST {path} HTTP/1.1", "Host: localhost", framed, *lines))
    return head.encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Crowd:
    """So many connections of one shape to one port, for as long as a thread runs ``attack``."""

    port: int
    shape: Shape
    number: int
    stopped: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    closed: int = 0
    answers: dict[bytes, int] = field(default_factory=dict)

    def attack(self) -> None:
        """Keep the connections open and busy until ``stopped``."""
        selector, step_at = selectors.DefaultSelector(), time.monotonic()
        while not self.stopped.is_set():
            self._fill(selector)
            for key, _ in selector.select(STEP_S / 5) if self.shape.reads else ():
                self._hear(selector, key.fileobj)  # type: ignore[arg-type]
            if not self.shape.reads:
                self.stopped.wait(STEP_S)
            if self.shape.then and time.monotonic() >= step_at:
                step_at = time.monotonic() + STEP_S
                for key in list(selector.get_map().values()):
                    with suppress(OSError):
                        key.fileobj.send(self.shape.then)  # type: ignore[union-attr]
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]

    def _fill(self, selector: selectors.BaseSelector) -> None:
        missing = self.number - len(selector.get_map())
        for _ in range(min(missing, BEGUN_AT_ONCE)):
            with suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", self.port), 5)
                connection.setblocking(False)
                connection.send(self.shape.first)
                selector.register(connection, selectors.EVENT_READ)
        if missing <= BEGUN_AT_ONCE:
            self.begun.set()

    def _hear(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        try:
            said = connection.recv(65_536)
        except OSError:
            said = b""
        if said:
            status = said.split(b" ", 2)[1]
            self.answers[status] = self.answers.get(status, 0) + 1
            return
        self.closed += 1
        selector.unregister(connection)
        connection.close()


@contextmanager
def attacked(port: int, shape: Shape, number: int) -> Iterator[None]:
    """Attack a port from a process of its own until the block ends; it begins when all connections are there."""
    command = [sys.executable, "-m", __name__, json.dumps([port, number, *map(repr, astuple(shape))])]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begun\n"
            yield
        finally:
            process.stdin.close()
            print("attackers were told:", process.stdout.read())


def main() -> None:
    """Attack until the standard input ends."""
    port, number, *shape = json.loads(sys.argv[1])
    crowd = Crowd(port, Shape(*map(literal_eval, shape)), number)
    thread = threading.Thread(target=crowd.attack)
    thread.start()
    crowd.begun.wait()
    print("begun", flush=True)
    sys.stdin.read()
    crowd.stopped.set()
    thread.join()
    print(crowd.answers, "closed:", crowd.closed)


if __name__ == "__main__":
    main()
