"""A real HTTP server on loopback whose answers a test can change while it runs."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What the server says next. ``drip_s`` waits after every byte; ``gate``, when set, before the status."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip_s: float = 0
    gate: threading.Event | None = None


class LoopbackServer:
    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.answer = Answer()
        self.paths: dict[str, Answer] = {}  # answers of their own
        self.requests: list[tuple[str, str, bytes]] = []
        self.last_headers: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{server.server_port}"

    def says(self, document: Any, **answer: Any) -> None:
        self.answer = Answer(json.dumps(document).encode(), **answer)

    @property
    def request_count(self) -> int:
        return len(self.requests)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def loopback_server(tls: ssl.SSLContext | None = None) -> Iterator[LoopbackServer]:
    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            loopback.requests.append((self.command, self.path, self.rfile.read(length)))
            loopback.last_headers = {name.lower(): value for name, value in self.headers.items()}
            answer = loopback.paths.get(self.path, loopback.answer)
            if answer.gate is not None:
                answer.gate.wait(10)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in {"Connection": "close", **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.write_body(answer)

        do_POST = do_GET  # noqa: N815

        def write_body(self, answer: Answer) -> None:
            try:
                if not answer.drip_s:
                    self.wfile.write(answer.body)
                    return
                for byte in answer.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(answer.drip_s)
            except OSError:
                pass  # the client gave up, which is what such a test is about

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    server.daemon_threads = True
    if tls is not None:
        # The handshake is made in the exchange's own thread: a client that gives up must not end the server.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    loopback = LoopbackServer(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield loopback
    finally:
        loopback.stop()
        thread.join()
